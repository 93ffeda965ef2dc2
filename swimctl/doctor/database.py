"""The key database: reachable, of the right schema, with the right clock, the same for daemon and command line."""

from __future__ import annotations

from swimctl.doctor.check import Check

CHECKS: tuple[Check, ...] = ()
