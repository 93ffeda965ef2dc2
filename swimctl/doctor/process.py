"""The process: its lock, its port, its limits, its memory and its loop."""

from __future__ import annotations

from swimctl.doctor.check import Check

CHECKS: tuple[Check, ...] = ()
