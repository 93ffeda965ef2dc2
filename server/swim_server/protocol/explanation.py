"""Why filters pass or stop an event, clause by clause: the result of ``Filters.passes``, with reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from swim_server.protocol.filters import Filters, excluded_kinds, predicates_of
from swim_server.protocol.json_data import JsonObject
from swim_server.protocol.positions import POSITIONS
from swim_server.protocol.predicates import (
    ARTCC_FIELDS,
    airports_of,
    canonical,
    codes_of,
    firs_of,
    fits,
    off_block_ms_of,
    phase_of,
    place_of,
)
from swim_server.protocol.timestamps import format_ms

MAX_FOUND = 20
"""Maximum number of the event's values that are listed."""
MAX_CHARACTERS = 80
"""Maximum length of each, in characters."""

Finder = Callable[[Mapping[str, object]], Sequence[object]]


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one filter kind for one event."""

    kind: str
    """``airports``, ``callsign_prefix`` …; both ends of the departure window are one: ``dep_window``."""
    wanted: Any
    """As a client would send it: a list of codes, a box, start and end."""
    found: list[Any]
    """The event's values that were compared; empty: there is nothing to compare. Of a batch: the values of the
    positions that are left after this clause or, if none is left, of those that reached it.
    """
    passes: bool
    """Whether the event passes; of a batch: whether any position is left after this clause and those before it."""
    applies: bool = True
    """False: it can't be applied to events of this family, so it passes all of them."""
    remaining: int | None = None
    """Of a batch: how many positions are left after this clause and those before it."""
    matched: list[Any] = []
    """For codes and callsigns: which values of ``found`` match; patterns (``EG**``) as the event has them."""


class FilterExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """The clauses in the order in which they are judged."""

    clauses: list[Clause]
    passes: bool
    positions: int | None = None
    """Of a batch: how many positions it has."""
    remaining: int | None = None
    """Of a batch: how many of them pass."""

    @property
    def stopped_by(self) -> Clause | None:
        """The first clause that stops the event; None if it passes."""
        return next((clause for clause in self.clauses if not clause.passes), None)


def explain(filters: Filters, event_type: str, data: Mapping[str, object]) -> FilterExplanation:
    """Judge an event clause by clause; ``passes`` equals the result of ``Filters.passes``. Never raises."""
    wanted = _wanted(filters)
    if event_type == POSITIONS:
        return _explain_batch(filters, wanted, data)
    excluded = excluded_kinds(event_type)
    clauses = [
        Clause(
            kind=kind,
            wanted=wanted[kind],
            found=_distinct(_FINDERS[kind](data)),
            matched=_matched(kind, filters, _FINDERS[kind](data)),
            passes=kind in excluded or predicate(data),
            applies=kind not in excluded,
        )
        for kind, predicate in predicates_of(filters)
    ]
    return FilterExplanation(clauses=clauses, passes=all(clause.passes for clause in clauses))


def without(filters: Filters, kind: str) -> Filters:
    """Return the same filters without one clause."""
    kept = {name: getattr(filters, name) for name in _ATTRIBUTES.values() if name != _ATTRIBUTES[kind]}
    return Filters(**kept)


def _explain_batch(filters: Filters, wanted: Mapping[str, object], data: Mapping[str, object]) -> FilterExplanation:
    positions = data.get("positions")
    rows = positions if isinstance(positions, list) else []
    kept = [row for row in rows if isinstance(row, dict)]
    clauses = []
    for kind, predicate in predicates_of(filters):
        left = [row for row in kept if predicate(row)]
        values = [value for row in left or kept for value in _FINDERS[kind](row)]
        kept = left
        clauses.append(
            Clause(
                kind=kind,
                wanted=wanted[kind],
                found=_distinct(values),
                matched=_matched(kind, filters, values),
                passes=bool(kept),
                remaining=len(kept),
            )
        )
    passes, remaining = (bool(kept), len(kept)) if clauses else (True, len(rows))
    return FilterExplanation(clauses=clauses, passes=passes, positions=len(rows), remaining=remaining)


def _wanted(filters: Filters) -> JsonObject:
    """Return each clause's value as it is on the wire."""
    wire = filters.to_wire()
    window = {end: wire.pop(end) for end in ("dep_window_start", "dep_window_end") if end in wire}
    return {**wire, "dep_window": window} if window else wire


def _distinct(values: Any) -> list[Any]:
    found: dict[Any, None] = {}
    for value in values:
        found[value[:MAX_CHARACTERS] if isinstance(value, str) else value] = None
        if len(found) == MAX_FOUND:
            break
    return [list(value) if isinstance(value, tuple) else value for value in found]


def _matched(kind: str, filters: Filters, values: Sequence[Any]) -> list[Any]:
    wanted: Any = getattr(filters, _ATTRIBUTES[kind])
    if kind in ("airports", "artccs", "firs"):
        return _distinct(value for value in values if (fits(value, wanted) if kind != "artccs" else value in wanted))
    if kind == "callsign_prefix":
        return _distinct(value for value in values if value.startswith(tuple(wanted)))
    return []


def _callsign(data: Mapping[str, object]) -> list[str]:
    callsign = canonical(data.get("callsign"))
    return [callsign] if callsign else []


def _phase(data: Mapping[str, object]) -> list[str]:
    phase = phase_of(data)
    return [phase] if phase else []


def _place(data: Mapping[str, object]) -> list[tuple[float, float]]:
    place = place_of(data)
    return [place] if place is not None else []


def _off_block(data: Mapping[str, object]) -> list[str]:
    moment = off_block_ms_of(data)
    if moment is None:
        return []
    try:
        return [format_ms(moment)]
    except OverflowError:
        return [f"{moment} ms"]


_FINDERS: Mapping[str, Finder] = MappingProxyType(
    {
        "callsign_prefix": _callsign,
        "airports": airports_of,
        "artccs": lambda data: codes_of(data, ARTCC_FIELDS),
        "bbox": _place,
        "phase": _phase,
        "firs": firs_of,
        "dep_window": _off_block,
    }
)
"""The function that finds what each clause compares."""
_ATTRIBUTES: Mapping[str, str] = MappingProxyType(
    {
        "callsign_prefix": "callsign_prefixes",
        "airports": "airports",
        "artccs": "artccs",
        "bbox": "bbox",
        "phase": "phases",
        "firs": "firs",
        "dep_window": "dep_window",
    }
)
"""The attribute of ``Filters`` that each clause comes from."""
