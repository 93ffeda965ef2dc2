"""The public address, as a client sees it."""

from __future__ import annotations

from swimctl.doctor.check import Check

CHECKS: tuple[Check, ...] = ()
