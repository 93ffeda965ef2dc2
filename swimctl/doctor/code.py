"""The code that runs is the code that was deployed."""

from __future__ import annotations

from swimctl.doctor.check import Check

CHECKS: tuple[Check, ...] = ()
