"""What changed between two reports: which problems appeared, changed or ended, and when. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from swimctl.text import duration

if TYPE_CHECKING:
    from swimctl.doctor.check import Result
    from swimctl.doctor.report import Report

KEPT = 200
"""How many of the newest changes are kept."""


class Event(StrEnum):
    """What happened to a problem."""

    BEGINS = "begins"
    CHANGES = "changes"
    """The problem continues with another status."""
    ENDS = "ends"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one check. Changes that follow from another check belong to that one."""

    event: Event
    check: str
    at: float
    """Unix time of the run that saw it."""
    since: float
    """Unix time at which the problem was first seen."""
    status: str
    """The current status; for an ended problem, its last one."""
    observed: str
    follows: tuple[str, ...] = ()
    """Checks that are broken because of this one."""
    fix: str | None = None

    def document(self, subject: str) -> dict[str, Any]:
        """Return the change as ``--json`` and the program of ``--on-change`` receive it."""
        return {
            "event": str(self.event), "subject": subject, "check": self.check, "status": self.status,
            "observed": self.observed, "at": _moment(self.at), "since": _moment(self.since),
            "seconds": round(self.at - self.since, 1), "follows": list(self.follows), "fix": self.fix,
        }  # fmt: skip

    @property
    def line(self) -> str:
        """The change in one line, for people."""
        clock = datetime.fromtimestamp(self.at).strftime("%H:%M:%S")
        if self.event is Event.ENDS:
            return f"{clock}  ends     {self.check}, {self.status} for {duration(self.at - self.since)}"
        hence = f"; hence {', '.join(self.follows)}" if self.follows else ""
        return f"{clock}  {self.event:<8} {self.check}, {self.status}: {self.observed}{hence}"


class Watch:
    """The current problems, since when, and what has changed."""

    def __init__(self) -> None:
        self.open: dict[str, tuple[Result, float]] = {}
        """By check: the problem as last seen, and when it was first seen."""
        self.changes: list[Change] = []
        """All changes, the newest last."""

    def see(self, report: Report, at: float) -> list[Change]:
        """Compare a report with the previous one; return the changes."""
        problems = {each.id: each for each in report.problems}
        found = []
        for id, (before, since) in list(self.open.items()):
            if id not in problems:
                del self.open[id]
                found.append(_change(Event.ENDS, before, report, at, since))
        for id, each in problems.items():
            known = self.open.get(id)
            if known is None:
                found.append(_change(Event.BEGINS, each, report, at, at))
            elif known[0].status is not each.status:
                found.append(_change(Event.CHANGES, each, report, at, known[1]))
            self.open[id] = (each, known[1] if known is not None else at)
        self.changes = [*self.changes, *found][-KEPT:]
        return found


def _change(event: Event, result: Result, report: Report, at: float, since: float) -> Change:
    return Change(
        event=event, check=result.id, at=at, since=since, status=str(result.status), observed=result.observed,
        follows=tuple(each.id for each in report.following(result.id)) if event is not Event.ENDS else (),
        fix=result.fix,
    )  # fmt: skip


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
