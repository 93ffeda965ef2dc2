"""What a check is and what it answers. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext


class Status(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    """Its ground is gone: another check that it needs did not come out well. That one is what must be seen."""
    UNKNOWN = "unknown"
    """It could not be carried out, or not in time."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a check function returns."""

    status: Status
    expected: str
    observed: str
    evidence: tuple[str, ...] = ()
    """Where it was seen: file names, ids, lines. Never a secret."""
    fix: str | None = None
    """Something to paste."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with the check that it belongs to."""

    id: str
    area: str
    status: Status
    expected: str
    observed: str
    evidence: tuple[str, ...]
    fix: str | None
    seconds: float


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--fix`` does about a check that did not come out well. Safe: nothing that anybody misses is lost."""

    mend: Callable[[DoctorContext], Awaitable[Sequence[str]]]
    """Does it; answers what was changed, a sentence each. Raises OSError, CommandError."""
    question: str | None = None
    """What is asked first; None: it needs no asking."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One small question about the service."""

    id: str
    """``area.what-must-hold``; stable: scripts depend on it."""
    summary: str
    """What must hold, in one sentence."""
    ask: Callable[[DoctorContext], Awaitable[Answer]]
    needs: tuple[str, ...] = ()
    """Checks without which this one says nothing: unless they are ok or warn, it is skipped."""
    needs_outside: tuple[str, ...] = ()
    """The same where the service is on another machine."""
    is_deep: bool = False
    """Only with ``--deep``: it loads the service."""
    is_outside: bool = False
    """Can be asked of a service on another machine, with nothing but its address and a key."""
    is_root: bool = False
    """When it fails there is nobody to be asked: exit code 3."""
    repair: Repair | None = None
    timeout_seconds: float = 2.0

    @property
    def area(self) -> str:
        return self.id.partition(".")[0]


def ok(expected: str, observed: str, *evidence: str) -> Answer:
    """All is as it should be."""
    return Answer(status=Status.OK, expected=expected, observed=observed, evidence=evidence)


def warn(expected: str, observed: str, *evidence: str, fix: str | None = None) -> Answer:
    """Answer that it works, and that somebody should look at it."""
    return Answer(status=Status.WARN, expected=expected, observed=observed, evidence=evidence, fix=fix)


def fail(expected: str, observed: str, *evidence: str, fix: str | None = None) -> Answer:
    """Answer that a promise is broken."""
    return Answer(status=Status.FAIL, expected=expected, observed=observed, evidence=evidence, fix=fix)


def skip(expected: str, why: str) -> Answer:
    """There is nothing to ask here."""
    return Answer(status=Status.SKIP, expected=expected, observed=why)


def unknown(expected: str, why: str, fix: str | None = None) -> Answer:
    """Answer that it could not be found out."""
    return Answer(status=Status.UNKNOWN, expected=expected, observed=why, fix=fix)
