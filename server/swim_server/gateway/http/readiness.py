"""Whether the service can be sent clients and, if not, why: in words that reveal nothing secret."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Check(NamedTuple):
    """One condition of readiness. ``problem`` returns None while it holds."""

    name: str
    problem: Callable[[], str | None]


class Readiness:
    """The checks behind ``/readyz``. All of them answer from memory."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = tuple(checks)

    def document(self) -> tuple[bool, dict[str, str]]:
        """Return whether all hold, and the result of each: ``ok`` or its problem."""
        found = {check.name: check.problem() or "ok" for check in self._checks}
        return all(answer == "ok" for answer in found.values()), found
