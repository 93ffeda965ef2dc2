"""Whether the service can be sent clients, and if not, why: in words that tell a stranger nothing secret."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Check(NamedTuple):
    """One thing that has to hold. ``problem`` answers None while it does."""

    name: str
    problem: Callable[[], str | None]


class Readiness:
    """The checks behind ``/readyz``. Asking costs nothing: each answers from memory."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = tuple(checks)

    def document(self) -> tuple[bool, dict[str, str]]:
        """Whether all hold, and what each says: ``ok`` or its problem."""
        found = {check.name: check.problem() or "ok" for check in self._checks}
        return all(answer == "ok" for answer in found.values()), found
