"""The live connections: each with a key that holds, each counted, the expected ones there."""

from __future__ import annotations

from swimctl.doctor.check import Check

CHECKS: tuple[Check, ...] = ()
