"""Filters: which events of its channels a connection receives. Canonical values, immutable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from swim_server.protocol.filter_values import (
    MAX_VALUES,
    InvalidFilter,
    check_kinds,
    read_box,
    read_codes,
    read_time,
)
from swim_server.protocol.json_data import JsonObject
from swim_server.protocol.positions import POSITIONS
from swim_server.protocol.predicates import (
    ARTCC_FIELDS,
    Box,
    Predicate,
    has_airport,
    has_callsign,
    has_code,
    has_fir,
    has_phase,
    leaves_within,
    lies_within,
)
from swim_server.protocol.timestamps import format_ms

__all__ = ["EMPTY", "Box", "FilterChange", "Filters", "InvalidFilter", "excluded_kinds", "merge"]


_FLIGHT_KINDS = frozenset({"callsign_prefix", "phase", "dep_window"})
_EXCLUDED = (frozenset[str](), _FLIGHT_KINDS, _FLIGHT_KINDS | {"airports"})
"""Kinds that don't apply to a family, and so pass all its events: none, or those of one of two classes of families."""
_CLASS: Mapping[str, int] = MappingProxyType({"tmi": 1, "aman": 1, "splits": 2, "system": 2})
"""The class of each family; every other family is in the first."""

_NO_WINDOW: tuple[int | None, int | None] = (None, None)
_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Filters:
    """All filter kinds of a connection: an event passes if it passes every kind that is set and applies to it.

    Codes are in upper case, times in milliseconds since the epoch, so equal filters are equal values and share a group.
    An empty set, None or ``(None, None)`` means that the kind is not set.
    """

    airports: frozenset[str] = _NOTHING
    artccs: frozenset[str] = _NOTHING
    firs: frozenset[str] = _NOTHING
    callsign_prefixes: frozenset[str] = _NOTHING
    phases: frozenset[str] = _NOTHING
    dep_window: tuple[int | None, int | None] = _NO_WINDOW
    """First and last moment, both inclusive; None: unbounded on that side."""
    bbox: Box | None = None
    is_set: bool = field(init=False, repr=False, compare=False, hash=False)
    """Whether any kind is set."""
    _predicates: tuple[tuple[Predicate, ...], ...] = field(init=False, repr=False, compare=False, hash=False)
    """The predicates of the kinds that are set and apply, for each class of families."""

    def __post_init__(self) -> None:
        kinds = predicates_of(self)
        chosen = (tuple(predicate for kind, predicate in kinds if kind not in excluded) for excluded in _EXCLUDED)
        object.__setattr__(self, "_predicates", tuple(chosen))
        object.__setattr__(self, "is_set", bool(kinds))

    def __bool__(self) -> bool:
        """Tell whether any kind is set."""
        return self.is_set

    @staticmethod
    def parse(raw: object) -> FilterChange:
        """Read a client's ``filters``. Null and an empty list mean: no change. Raises InvalidFilter."""
        if raw is None or raw == []:
            return FilterChange()
        if not isinstance(raw, dict):
            raise InvalidFilter("filters", raw, 'must be an object, like {"airports": ["KJFK"]}')
        check_kinds(raw)
        found = {attribute: read(kind, raw[kind]) for kind, attribute, read in _READERS if kind in raw}
        return FilterChange(firs=_read_firs(raw), **found)

    def passes(self, event_type: str, data: Mapping[str, object]) -> bool:
        """Tell whether an event passes; a batch of positions passes if any of its positions does. Never raises."""
        if event_type == POSITIONS:
            return self.cut(data) is not None
        return self.passes_in(class_of(event_type), data)

    def passes_in(self, family_class: int, data: Mapping[str, object]) -> bool:
        """Tell whether an event of this class of families passes; not for batches. For many filters and one event."""
        for predicate in self._predicates[family_class]:  # noqa: SIM110 (a generator takes twice the time)
            if not predicate(data):
                return False
        return True

    def cut(self, data: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the positions of a ``flight.positions`` batch that pass, as a batch with its own count.

        Returns the same object if all of them pass, None if none does. Never raises.
        """
        predicates = self._predicates[0]
        if not predicates:
            return data
        positions = data.get("positions")
        if not isinstance(positions, list):
            return None
        kept = [position for position in positions if isinstance(position, dict)]
        for predicate in predicates:
            kept = [position for position in kept if predicate(position)]
        if not kept:
            return None
        return data if len(kept) == len(positions) else {**data, "count": len(kept), "positions": kept}

    def to_wire(self) -> JsonObject:
        """Return the filters as a client would send them: the kinds that are set, codes sorted."""
        wire: JsonObject = {}
        for kind, codes in (
            ("airports", self.airports),
            ("artccs", self.artccs),
            ("firs", self.firs),
            ("callsign_prefix", self.callsign_prefixes),
            ("phase", self.phases),
        ):
            if codes:
                wire[kind] = sorted(codes)
        for kind, moment in zip(("dep_window_start", "dep_window_end"), self.dep_window, strict=True):
            if moment is not None:
                wire[kind] = format_ms(moment)
        if self.bbox is not None:
            wire["bbox"] = self.bbox._asdict()
        return wire


class FilterChange(msgspec.Struct, frozen=True, kw_only=True):
    """What one ``filters`` object changes: each kind it names is replaced, or cleared if it is empty or None."""

    airports: frozenset[str] | UnsetType = UNSET
    artccs: frozenset[str] | UnsetType = UNSET
    firs: frozenset[str] | UnsetType = UNSET
    callsign_prefixes: frozenset[str] | UnsetType = UNSET
    phases: frozenset[str] | UnsetType = UNSET
    dep_window_start: int | UnsetType | None = UNSET
    dep_window_end: int | UnsetType | None = UNSET
    bbox: Box | UnsetType | None = UNSET

    def apply(self, current: Filters) -> Filters:
        """Return the filters that result. Raises InvalidFilter for a window that would end before it starts."""
        start, end = current.dep_window
        start = start if isinstance(self.dep_window_start, UnsetType) else self.dep_window_start
        end = end if isinstance(self.dep_window_end, UnsetType) else self.dep_window_end
        if start is not None and end is not None and end < start:
            raise InvalidFilter("dep_window_end", format_ms(end), f"must not be before {format_ms(start)}, the start")
        return Filters(
            airports=_either(self.airports, current.airports),
            artccs=_either(self.artccs, current.artccs),
            firs=_either(self.firs, current.firs),
            callsign_prefixes=_either(self.callsign_prefixes, current.callsign_prefixes),
            phases=_either(self.phases, current.phases),
            dep_window=(start, end),
            bbox=current.bbox if isinstance(self.bbox, UnsetType) else self.bbox,
        )


_READERS: tuple[tuple[str, str, Callable[[str, object], Any]], ...] = (
    ("airports", "airports", read_codes),
    ("artccs", "artccs", read_codes),
    ("callsign_prefix", "callsign_prefixes", read_codes),
    ("phase", "phases", read_codes),
    ("dep_window_start", "dep_window_start", read_time),
    ("dep_window_end", "dep_window_end", read_time),
    ("bbox", "bbox", read_box),
)
"""Each kind with a single field: its attribute of FilterChange and the function that reads it."""


def _read_firs(raw: Mapping[str, object]) -> frozenset[str] | UnsetType:
    named = [kind for kind in ("firs", "constrained_firs") if kind in raw]
    if not named:
        return UNSET
    firs = frozenset[str]().union(*(read_codes(kind, raw[kind]) for kind in named))
    if len(firs) > MAX_VALUES:
        raise InvalidFilter("firs", len(firs), f"must list at most {MAX_VALUES} values")
    return firs


def _either(new: frozenset[str] | UnsetType, old: frozenset[str]) -> frozenset[str]:
    return old if isinstance(new, UnsetType) else new


def predicates_of(filters: Filters) -> list[tuple[str, Predicate]]:
    """Return the predicate of each kind that is set, the cheapest and most selective first."""
    found: list[tuple[str, Predicate]] = []
    if filters.callsign_prefixes:
        found.append(("callsign_prefix", has_callsign(filters.callsign_prefixes)))
    if filters.airports:
        found.append(("airports", has_airport(filters.airports)))
    if filters.artccs:
        found.append(("artccs", has_code(ARTCC_FIELDS, filters.artccs)))
    if filters.bbox is not None:
        found.append(("bbox", lies_within(filters.bbox)))
    if filters.phases:
        found.append(("phase", has_phase(filters.phases)))
    if filters.firs:
        found.append(("firs", has_fir(filters.firs)))
    if filters.dep_window != _NO_WINDOW:
        found.append(("dep_window", leaves_within(*filters.dep_window)))
    return found


def excluded_kinds(event_type: str) -> frozenset[str]:
    """Return the filter kinds that don't apply to events of a type and so pass all of them."""
    return _EXCLUDED[class_of(event_type)]


def class_of(event_type: str) -> int:
    """Return the class of a type's family: the same filter kinds apply to all families of a class."""
    return _CLASS.get(event_type.partition(".")[0], 0)


EMPTY = Filters()
"""No filter: every event passes."""


def merge(current: Filters, raw: object) -> Filters:
    """Merge a client's ``filters`` into the current ones: each kind that it names is replaced.

    An empty list or null clears a kind. Nothing is merged if any kind is invalid. Raises InvalidFilter.
    """
    return Filters.parse(raw).apply(current)
