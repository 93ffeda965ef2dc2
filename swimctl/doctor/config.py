"""The configuration: valid, safe, and the one that the process runs with."""

from __future__ import annotations

from swimctl.doctor.check import Check

CHECKS: tuple[Check, ...] = ()
