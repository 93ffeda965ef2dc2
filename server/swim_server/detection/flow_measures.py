"""Flow measures of the ECFMP API, version 1: compares the list with the remembered one; gives ``tmi.*`` events. Pure.

A measure counts as issued when it is first seen in the list and has not ended yet, whether notified (its start is in
the future: ``status`` says NOTIFIED) or active: pilots want to know before they plan. Reaching its start is not an
event, as ``start_time`` has announced it. It is released when it is withdrawn, when its end passes, or when two answers
in a row lack it; a measure that had ended before it was first seen is not announced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from swim_server.detection.tmi_data import Initiative, issued, modified, released
from swim_server.protocol.events import NewEvent
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

MAX_MEASURES = 10_000
WITHDRAWN_AFTER_ABSENCES = 2
REMEMBER_ENDED_MS = 7 * 86_400_000
"""How long a measure is remembered after its end, in case it is served again."""
MAX_REASON = 2_000

_ICAO = re.compile(r"[A-Z]{4}", re.ASCII)


class InvalidMeasures(ValueError):
    """A document that is not a list of flow measures."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class FlowFilter(msgspec.Struct, frozen=True):
    """To which flights a measure applies: ``ADEP``, ``ADES``, ``level`` …, and values."""

    type: str
    value: Any = None


class FlowRule(msgspec.Struct, frozen=True):
    """What it requires of them."""

    type: str | None = None
    """``minimum_departure_interval``, ``mandatory_route`` …"""
    value: Any = None


class FlowMeasure(msgspec.Struct, frozen=True, kw_only=True):
    """One measure as the API returns it."""

    id: int
    starttime: str
    endtime: str
    ident: str | None = None
    event_id: int | None = None
    reason: str | None = None
    measure: FlowRule = FlowRule()
    filters: list[FlowFilter] = []
    notified_flight_information_regions: list[int] = []
    """Ids in the API's list of FIRs."""
    withdrawn_at: str | None = None


class _Region(msgspec.Struct, frozen=True):
    """One entry of the API's list of FIRs."""

    id: int
    identifier: str


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """A measure that has been announced."""

    initiative: Initiative
    issues: int = 1
    """How often it was issued: once, unless it reappeared after its end."""
    modifications: int = 0
    absences: int = 0
    ended_ms: int | None = None
    """When it was released; None: it is in force."""
    is_final: bool = False
    """Whether it was explicitly withdrawn: an outdated copy of the list does not issue it again."""


class MeasureBook(msgspec.Struct, frozen=True, kw_only=True):
    """All measures announced; serialisable."""

    scope: str = ""
    """Prefix of every event id."""
    measures: dict[int, Remembered] = {}


class Compared(msgspec.Struct, frozen=True):
    """The result of one poll."""

    events: list[NewEvent]
    book: MeasureBook


def decode_measures(document: bytes) -> tuple[list[FlowMeasure], int]:
    """Decode an answer; return also how many entries could not be read. Raises InvalidMeasures."""
    try:
        rows = msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidMeasures(f"not JSON: {error}") from None
    if not isinstance(rows, list):
        raise InvalidMeasures(f"not a list of measures, but {type(rows).__name__}")
    measures = []
    for row in rows[:MAX_MEASURES]:
        try:
            measure = msgspec.convert(row, FlowMeasure)
            parse_ms(measure.starttime), parse_ms(measure.endtime)
        except (msgspec.ValidationError, InvalidTimestamp):
            continue
        measures.append(measure)
    return measures, len(rows) - len(measures)


def decode_regions(document: bytes) -> dict[int, str]:
    """Decode the API's list of FIRs: identifiers by id. Raises InvalidMeasures."""
    try:
        rows = msgspec.json.decode(document, type=list[_Region])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidMeasures(f"no list of FIRs: {error}") from None
    return {row.id: row.identifier.strip().upper() for row in rows}


def compare_measures(
    book: MeasureBook, measures: Sequence[FlowMeasure] | None, now_ms: int, regions: Mapping[int, str] | None = None
) -> Compared:
    """Compare the current list with the book. ``None``: there was no answer, only time has passed.

    ``regions``: the identifiers of FIRs by their ids. The same input gives the same output; an event keeps its id if it
    is found again because the book was not saved.
    """
    regions = regions or {}
    events: list[NewEvent] = []
    kept: dict[int, Remembered] = {}
    listed = {measure.id: measure for measure in measures or ()}
    for number, known in book.measures.items():
        after = _follow(book, known, listed.get(number), now_ms, events, regions, was_asked=measures is not None)
        if after.ended_ms is None or after.ended_ms > now_ms - REMEMBER_ENDED_MS:
            kept[number] = after
    for number, measure in listed.items():
        known_before = book.measures.get(number)
        is_announced = known_before is not None and known_before.ended_ms is None
        is_over = known_before is not None and known_before.is_final
        if not is_announced and not is_over and _holds(measure, now_ms):
            issues = 1 if known_before is None else known_before.issues + 1
            kept[number] = Remembered(initiative=initiative_of(measure, regions), issues=issues)
            name = _name(book, number, issues)
            events.append(issued(name, kept[number].initiative, _status(measure, now_ms), None))
    return Compared(events, msgspec.structs.replace(book, measures=kept))


def initiative_of(measure: FlowMeasure, regions: Mapping[int, str]) -> Initiative:
    """Return what is announced of a measure.

    The aerodrome is its destination if it has one, else its departure. It may concern many: ``airports`` and ``firs``
    have all of them, patterns (``EG**``) as they are. The API's order of values means nothing, and is not kept.
    """
    departures, destinations = _aerodromes(measure, "ADEP"), _aerodromes(measure, "ADES")
    departure, destination = _only(departures), _only(destinations)
    firs = (regions.get(number) for number in measure.notified_flight_information_regions)
    return Initiative(
        program_id=measure.id,
        program_type=measure.measure.type,
        airport=destination or departure,
        start_ms=parse_ms(measure.starttime),
        end_ms=parse_ms(measure.endtime),
        reason=None if measure.reason is None else measure.reason[:MAX_REASON],
        more={
            "ident": measure.ident,
            "event_id": measure.event_id,
            "measure": msgspec.to_builtins(measure.measure),
            "filters": _in_order([{"type": one.type, "value": _in_order(one.value)} for one in measure.filters]),
            "dep": departure,
            "arr": destination,
            "deps": departures,
            "arrs": destinations,
            "airports": sorted({*departures, *destinations}),
            "firs": sorted({fir for fir in firs if fir}),
        },
    )


def _in_order(value: object) -> Any:
    """Return a list in canonical order; any other value unchanged."""
    if not isinstance(value, list):
        return value
    return sorted(value, key=lambda item: msgspec.json.encode(item, order="sorted"))


def _follow(
    book: MeasureBook,
    known: Remembered,
    measure: FlowMeasure | None,
    now_ms: int,
    events: list[NewEvent],
    regions: Mapping[int, str],
    *,
    was_asked: bool,
) -> Remembered:
    """Follow a measure that was announced."""
    if known.ended_ms is not None:
        return known
    name = _name(book, int(known.initiative.program_id), known.issues)
    if measure is None:
        absences = known.absences + was_asked
        end_ms = known.initiative.end_ms
        if end_ms is not None and end_ms <= now_ms:
            return _release(name, known, "EXPIRED", end_ms, now_ms, events)
        if absences >= WITHDRAWN_AFTER_ABSENCES:
            return _release(name, known, "WITHDRAWN", None, now_ms, events)
        return msgspec.structs.replace(known, absences=absences)
    initiative = initiative_of(measure, regions)
    now = msgspec.structs.replace(known, initiative=initiative, absences=0)
    if measure.withdrawn_at is not None:
        after = _release(name, now, "WITHDRAWN", _moment(measure.withdrawn_at, now_ms), now_ms, events)
        return msgspec.structs.replace(after, is_final=True)
    if not _holds(measure, now_ms):
        return _release(name, now, "EXPIRED", initiative.end_ms, now_ms, events)
    if initiative.terms() != known.initiative.terms():
        now = msgspec.structs.replace(now, modifications=known.modifications + 1)
        events.append(modified(name, initiative, _status(measure, now_ms), None, now.modifications))
    return now


def _release(
    name: str, known: Remembered, status: str, at_ms: int | None, now_ms: int, events: list[NewEvent]
) -> Remembered:
    events.append(released(name, known.initiative, status, at_ms))
    return msgspec.structs.replace(known, ended_ms=now_ms)


def _holds(measure: FlowMeasure, now_ms: int) -> bool:
    return measure.withdrawn_at is None and parse_ms(measure.endtime) > now_ms


def _status(measure: FlowMeasure, now_ms: int) -> str:
    return "NOTIFIED" if parse_ms(measure.starttime) > now_ms else "ACTIVE"


def _name(book: MeasureBook, number: int, issues: int) -> str:
    return f"{book.scope}{number}:{issues}"


def _moment(text: str, now_ms: int) -> int | None:
    """Return the time of a withdrawal; None if it is invalid or in the future."""
    try:
        moment = parse_ms(text)
    except InvalidTimestamp:
        return None
    return moment if moment <= now_ms else None


def _aerodromes(measure: FlowMeasure, kind: str) -> list[str]:
    """Return the aerodromes and patterns that the filters of a kind name, in alphabetical order."""
    values = [one.value for one in measure.filters if one.type.upper() == kind]
    codes = [code for value in values for code in (value if isinstance(value, list) else [value])]
    return sorted({code.strip().upper() for code in codes if isinstance(code, str) and code.strip()})


def _only(codes: list[str]) -> str | None:
    """Return the one aerodrome; None for several, a pattern, or none."""
    return codes[0] if len(codes) == 1 and _ICAO.fullmatch(codes[0]) else None
