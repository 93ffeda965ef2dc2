"""What a check is and how it answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext


class Status(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    """A check it depends on did not pass; that one is what must be seen."""
    UNKNOWN = "unknown"
    """It could not be completed, or not in time."""


class AdviceKind(StrEnum):
    """What running a command does."""

    INSPECT = "inspect"
    """It only looks."""
    FIX = "fix"
    """It fixes the problem, but only if its requirements are met."""
    DECIDE = "decide"
    """It changes something that somebody may miss, or helps only if a guess is right."""


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """A command that should not be pasted without thinking."""

    kind: AdviceKind
    command: str
    requires: str | None = None
    """Who must type it, what must be true, or what is lost; None: nothing."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a check function returns."""

    status: Status
    expected: str
    observed: str
    evidence: tuple[str, ...] = ()
    """Where it was observed: file names, ids, lines. Never a secret."""
    fix: str | None = None
    """A command to paste that fixes the problem, does no harm and needs no decision."""
    advice: tuple[Advice, ...] = ()
    """Other commands, in the order in which to type them."""

    @property
    def command(self) -> str | None:
        """The first command to type: the fix, otherwise the first advice."""
        return self.fix or next((each.command for each in self.advice), None)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A check's answer together with the check's id."""

    id: str
    area: str
    status: Status
    expected: str
    observed: str
    evidence: tuple[str, ...]
    fix: str | None
    advice: tuple[Advice, ...] = ()
    seconds: float
    cause: str | None = None
    """The broken check that explains this one; None: it has a cause of its own."""

    @property
    def command(self) -> str | None:
        """The first command to type: the fix, otherwise the first advice."""
        return self.fix or next((each.command for each in self.advice), None)


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--fix`` does about a failed check. It is safe: nothing is lost that anybody would miss."""

    apply: Callable[[DoctorContext], Awaitable[Sequence[str]]]
    """Applies it and returns what was changed, one sentence each. Raises OSError, CommandError."""
    question: str | None = None
    """Asked first; None: no question is needed."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One small question about the service."""

    id: str
    """``area.what-must-hold``. Stable, as scripts depend on it."""
    summary: str
    """What must hold, in one sentence."""
    ask: Callable[[DoctorContext], Awaitable[Answer]]
    needs: tuple[str, ...] = ()
    """Checks without which this one is meaningless: unless they are ok or warn, it is skipped."""
    needs_outside: tuple[str, ...] = ()
    """The same for a service on another machine."""
    is_deep: bool = False
    """Only with ``--deep``: it loads the service."""
    is_outside: bool = False
    """Can run against a service on another machine, with only its address and a key."""
    is_root: bool = False
    """If it fails, there is no daemon to ask: exit code 3."""
    repair: Repair | None = None
    timeout_seconds: float = 2.0

    @property
    def area(self) -> str:
        return self.id.partition(".")[0]


UNLOADABLE = "this command's own code can't be loaded"
"""How a check that could not run reports that the code itself is broken."""

_LOOKS = re.compile(
    r"(?:sudo )?(?:SWIM_API_KEY=\S+ )?"
    r"(?:swimctl (?:logs|status|version|doctor|connections list|config (?:show|check)|keys list|db status)\b"
    r"|df |ls |ps |ss |cat |stat |head |tail |dmesg\b|getent |nc -vz |fuser -v |timedatectl status|grep "
    r"|echo \| openssl s_client |git (?:-C \S+ )?(?:status|diff|log)\b|systemctl (?:--user )?(?:status|show) |top -b )"
)
"""A command that only looks: it is never a fix."""
_CHANGES = re.compile(r"[;&]\s*(?!(?:df|du|ls|ps|ss|swimctl logs|timedatectl)\b)\w")
"""A second command that may change something."""


_COMMAND = re.compile(r"(?:.*?: )?((?:SWIM_API_KEY=\S+ )?swimctl [a-z][^;,]*)")
"""A command, alone or at the end of a sentence."""


def command_in(step: str | None) -> str | None:
    """Return the command in an error's next step, which may be a sentence; None if there is none."""
    match = _COMMAND.fullmatch(step or "")
    return match[1] if match is not None else None


def inspect(command: str, requires: str | None = None) -> Advice:
    """Advise a command that only looks."""
    return Advice(kind=AdviceKind.INSPECT, command=command, requires=requires)


def decide(command: str, requires: str | None = None) -> Advice:
    """Advise a command that needs a decision: what it requires, or what is lost."""
    return Advice(kind=AdviceKind.DECIDE, command=command, requires=requires)


def only_looks(command: str) -> bool:
    """Return True if a command changes nothing."""
    return _LOOKS.match(command) is not None and _CHANGES.search(command.partition("#")[0]) is None


def ok(expected: str, observed: str, *evidence: str) -> Answer:
    """Answer that everything is as it should be."""
    return Answer(status=Status.OK, expected=expected, observed=observed, evidence=evidence)


def warn(
    expected: str, observed: str, *evidence: str, fix: str | Advice | None = None, advice: Sequence[Advice] = ()
) -> Answer:
    """Answer that it works but needs attention."""
    return _answer(Status.WARN, expected, observed, evidence, fix, advice)


def fail(
    expected: str, observed: str, *evidence: str, fix: str | Advice | None = None, advice: Sequence[Advice] = ()
) -> Answer:
    """Answer that a promise is broken."""
    return _answer(Status.FAIL, expected, observed, evidence, fix, advice)


def skip(expected: str, why: str) -> Answer:
    """Answer that there is nothing to check."""
    return Answer(status=Status.SKIP, expected=expected, observed=why)


def unknown(expected: str, why: str, fix: str | Advice | None = None, advice: Sequence[Advice] = ()) -> Answer:
    """Answer that the check could not be completed."""
    return _answer(Status.UNKNOWN, expected, why, (), fix, advice)


def _answer(
    status: Status,
    expected: str,
    observed: str,
    evidence: tuple[str, ...],
    fix: str | Advice | None,
    advice: Sequence[Advice],
) -> Answer:
    """Build an answer; a command that only looks becomes advice even if it was given as the fix."""
    if isinstance(fix, str) and only_looks(fix):
        fix = inspect(fix)
    if isinstance(fix, Advice):
        advice = (fix, *advice)
        fix = None
    return Answer(status=status, expected=expected, observed=observed, evidence=evidence, fix=fix, advice=tuple(advice))
