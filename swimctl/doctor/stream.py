"""Events: one put in comes out, sources are fresh, history is written and kept."""

from __future__ import annotations

from swimctl.doctor.check import Check

CHECKS: tuple[Check, ...] = ()
