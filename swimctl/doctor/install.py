"""The package as it was installed: files, Python, dependencies, the ODBC driver."""

from __future__ import annotations

from swimctl.doctor.check import Check

CHECKS: tuple[Check, ...] = ()
