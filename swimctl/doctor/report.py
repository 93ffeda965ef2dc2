"""The results of one run of doctor, and the exit code they mean. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from swimctl.doctor.check import Result, Status
from swimctl.errors import ExitCode

SEVERITY = (Status.FAIL, Status.UNKNOWN, Status.WARN)
"""Statuses by severity, the worst first."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one run."""

    subject: str
    """The home, or the address, that was examined."""
    results: tuple[Result, ...]
    """In the catalogue's order."""
    order: tuple[str, ...] = ()
    """All checks, dependencies first."""
    seconds: float
    is_strict: bool = False
    is_absent: bool = False
    """There was no daemon to ask: the root check failed."""
    changed: tuple[str, ...] = ()
    """What ``--fix`` has changed."""

    @property
    def is_ok(self) -> bool:
        """Everything that was checked is proven; warnings count only if strict."""
        bad = SEVERITY if self.is_strict else (Status.FAIL, Status.UNKNOWN)
        return not any(each.status in bad for each in self.results)

    @property
    def exit_code(self) -> ExitCode:
        """0 all well, 1 something failed, 3 there was no daemon to ask."""
        if self.is_absent:
            return ExitCode.NOT_RUNNING
        return ExitCode.DONE if self.is_ok else ExitCode.FAILED

    @property
    def problems(self) -> tuple[Result, ...]:
        """The problems with a cause of their own: the worst first, and among these the lowest."""
        rank = {id: number for number, id in enumerate(self.order)}
        lowest = sorted(self.results, key=lambda each: rank.get(each.id, len(rank)))
        return tuple(each for status in SEVERITY for each in lowest if each.status is status and each.cause is None)

    def following(self, cause: str) -> tuple[Result, ...]:
        """Return the problems that follow from another check."""
        return tuple(each for each in self.results if each.cause == cause)

    def count(self, status: Status) -> int:
        """Return how many checks had this outcome."""
        return sum(each.status is status for each in self.results)

    def document(self) -> dict[str, Any]:
        """Return the report as ``--json`` prints it."""
        first = self.problems[0].id if self.problems else None
        return {
            "ok": self.is_ok,
            "subject": self.subject,
            "first": first,
            "counts": {str(status): self.count(status) for status in Status},
            "seconds": self.seconds,
            "changed": list(self.changed),
            "checks": [msgspec.to_builtins(each) for each in self.results],
        }


def is_absent(results: Sequence[Result], roots: frozenset[str]) -> bool:
    """Return True if a root check failed, so that there was no daemon to ask."""
    return any(each.id in roots and each.status is Status.FAIL for each in results)
