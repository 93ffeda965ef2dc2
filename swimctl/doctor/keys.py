"""The keys: a wrong one is refused, none lies about in plain text, none runs out unnoticed."""

from __future__ import annotations

from swimctl.doctor.check import Check

CHECKS: tuple[Check, ...] = ()
