"""Compares traffic management initiatives of the tables with the remembered ones. Pure.

Issued: becomes ACTIVE. Released: was issued, and now is COMPLETED, PURGED, SUPERSEDED or CANCELLED, or its row is gone.
PAUSED is neither: an initiative that is paused or resumed is modified, as its status changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from swim_server.detection.adl_rows import ProgramRow
from swim_server.detection.tmi_data import Initiative, issued, modified, released
from swim_server.protocol.events import NewEvent

ACTIVE = "ACTIVE"
ENDED = frozenset({"COMPLETED", "PURGED", "SUPERSEDED", "CANCELLED"})
GONE = "PURGED"
"""The status of a released initiative whose row no longer exists."""
GONE_AFTER_ABSENCES = 2
RECENT_MS = 3_600_000
"""An older timestamp of a row is that of an earlier change."""
MAX_ENDED = 5_000


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """An initiative that was issued."""

    initiative: Initiative
    status: str
    issues: int = 1
    """How often it was issued."""
    modifications: int = 0
    absences: int = 0
    is_ended: bool = False


class ProgramBook(msgspec.Struct, frozen=True, kw_only=True):
    """All initiatives that were issued; serialisable."""

    scope: str = ""
    """Prefix of every event id."""
    has_begun: bool = False
    """The first poll has been made: what was in force then was not announced."""
    programs: dict[str, Program] = {}

    def in_force(self) -> list[int | str]:
        """Return the ids of those that were issued and not released."""
        return [program.initiative.program_id for program in self.programs.values() if not program.is_ended]


def compare_programs(book: ProgramBook, rows: Sequence[ProgramRow], now_ms: int) -> tuple[list[NewEvent], ProgramBook]:
    """Compare rows with the book. ``rows``: at least those that are ACTIVE, and those in force according to the book.

    The same input gives the same output; an event that is found again because the book was not saved keeps its id.
    """
    events: list[NewEvent] = []
    programs = dict(book.programs)
    by_key = {str(row.program_id): row for row in rows}
    for key, row in by_key.items():
        before = programs.get(key)
        if before is not None and not before.is_ended:
            programs[key] = _follow(_name(book, key, before.issues), before, row, now_ms, events)
        elif row.status == ACTIVE:
            after = Program(
                initiative=initiative_of(row), status=ACTIVE, issues=1 if before is None else before.issues + 1
            )
            programs[key] = after
            if book.has_begun:
                at_ms = _recent(row.updated_ms, now_ms) or _recent(row.created_ms, now_ms)
                events.append(issued(_name(book, key, after.issues), after.initiative, ACTIVE, at_ms))
    for key, before in book.programs.items():
        if key not in by_key and not before.is_ended:
            programs[key] = _miss(_name(book, key, before.issues), before, events)
    return events, msgspec.structs.replace(book, has_begun=True, programs=_bounded(programs))


def initiative_of(row: ProgramRow) -> Initiative:
    """Return what is announced of a row."""
    reasons = [text for text in (row.condition, row.cause) if text is not None]
    return Initiative(
        program_id=row.program_id,
        program_type=row.program_type,
        airport=row.element,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        reason=": ".join(reasons) or None,
    )


def _follow(name: str, before: Program, row: ProgramRow, now_ms: int, events: list[NewEvent]) -> Program:
    initiative = initiative_of(row)
    at_ms = _recent(row.updated_ms, now_ms)
    if row.status in ENDED:
        events.append(released(name, initiative, row.status, at_ms))
        return msgspec.structs.replace(before, initiative=initiative, status=row.status, absences=0, is_ended=True)
    is_same = row.status == before.status and initiative == before.initiative
    if is_same:
        return msgspec.structs.replace(before, absences=0) if before.absences else before
    number = before.modifications + 1
    events.append(modified(f"{name}:{row.status}", initiative, row.status, at_ms, number))
    return msgspec.structs.replace(before, initiative=initiative, status=row.status, modifications=number, absences=0)


def _miss(name: str, before: Program, events: list[NewEvent]) -> Program:
    absences = before.absences + 1
    if absences < GONE_AFTER_ABSENCES:
        return msgspec.structs.replace(before, absences=absences)
    events.append(released(name, before.initiative, GONE, None))
    return msgspec.structs.replace(before, status=GONE, absences=absences, is_ended=True)


def _bounded(programs: dict[str, Program]) -> dict[str, Program]:
    """Forget the oldest of those that have ended."""
    ended = [key for key, program in programs.items() if program.is_ended]
    for key in ended[: max(0, len(ended) - MAX_ENDED)]:
        del programs[key]
    return programs


def _recent(moment: int | None, now_ms: int) -> int | None:
    """Return a row's own timestamp, if it can be that of the change just seen."""
    return moment if moment is not None and -RECENT_MS <= moment - now_ms <= 0 else None


def _name(book: ProgramBook, key: str, issues: int) -> str:
    return f"{book.scope}{key}:{issues}"
