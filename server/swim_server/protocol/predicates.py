"""What each filter kind compares an event's data with. Returns True or False for any data, valid or not."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

Predicate = Callable[[Mapping[str, object]], bool]

AIRPORT_FIELDS = ("dep", "arr", "departure_aerodrome", "arrival_aerodrome", "airport", "arrived_at")
AIRPORT_LIST = "airports"
"""All aerodromes of an event that concerns many, which may include patterns like ``EG**``."""
ARTCC_FIELDS = ("current_artcc", "artcc", "facility")
FIR_FIELDS = ("current_fir", "current_artcc")
FIR_LISTS = ("traversed_firs", "firs")
OFF_BLOCK_FIELDS = ("estimated_off_block_time", "etd")


PATTERN_MARK = "*"
"""The character that makes an event's code a pattern."""


class Box(NamedTuple):
    """A region in decimal degrees, edges included; if ``east < west`` it crosses the antimeridian."""

    north: float
    south: float
    east: float
    west: float

    def contains(self, latitude: float, longitude: float) -> bool:
        """Tell whether a point is inside. NaN and places that are not on earth never are."""
        if not self.south <= latitude <= self.north:
            return False
        if self.west <= self.east:
            return self.west <= longitude <= self.east
        return self.west <= longitude <= 180 or -180 <= longitude <= self.east


def canonical(value: object) -> str | None:
    """Return the form in which codes are compared: stripped, upper case. None if it is not text."""
    return value.strip().upper() if isinstance(value, str) else None


def codes_of(data: Mapping[str, object], fields: tuple[str, ...]) -> list[str]:
    """Return all codes in the fields, in the form in which they are compared."""
    found = []
    for field in fields:
        value = data.get(field)
        if isinstance(value, str) and value:
            found.append(value.strip().upper())
    return found


def airports_of(data: Mapping[str, object]) -> list[str]:
    """Return all aerodromes that an event concerns, including patterns (``EG**``)."""
    found = codes_of(data, AIRPORT_FIELDS)
    listed = data.get(AIRPORT_LIST)
    return found + _listed(listed) if listed else found


def firs_of(data: Mapping[str, object]) -> list[str]:
    """Return all FIRs that a flight is in or crosses, or that a measure concerns; lists, or texts with commas."""
    found = codes_of(data, FIR_FIELDS)
    for field in FIR_LISTS:
        listed = data.get(field)
        if listed:
            found += _listed(listed)
    return found


def _listed(value: object) -> list[str]:
    """Read the codes of a list, or of a text with commas."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list):
        return []
    return [item.strip().upper() for item in value if isinstance(item, str)]


def patterns_in(codes: Iterable[str]) -> list[str]:
    """Return the patterns among an event's codes: ``EG**`` stands for every code that begins with ``EG``."""
    return [code for code in codes if PATTERN_MARK in code]


def fits(code: str, wanted: Collection[str]) -> bool:
    """Tell whether an event's code is wanted, or is a pattern that matches a wanted one."""
    return code in wanted or (PATTERN_MARK in code and any(map(_pattern(code), wanted)))


@lru_cache(maxsize=1024)
def _pattern(code: str) -> Callable[[str], object]:
    """Compile a pattern, in which ``*`` stands for any number of characters."""
    parts = (re.escape(part) for part in re.split(r"\*+", code))
    return re.compile(".*".join(parts)).fullmatch


def phase_of(data: Mapping[str, object]) -> str | None:
    """Return the flight's phase; None if the event has none."""
    return canonical(data.get("phase")) or None


def off_block_ms_of(data: Mapping[str, object]) -> int | None:
    """Return when the flight intends to depart, in milliseconds since the epoch; None if missing or unreadable.

    A number is seconds since the epoch: an earlier provider sends those too.
    """
    for field in OFF_BLOCK_FIELDS:
        value = data.get(field)
        if type(value) is int:
            return value * 1000
        if isinstance(value, str):
            try:
                return parse_ms(value)
            except InvalidTimestamp:
                continue
    return None


def place_of(data: Mapping[str, object]) -> tuple[float, float] | None:
    """Return latitude and longitude; None if either is missing or not a number."""
    latitude, longitude = data.get("lat"), data.get("lon")
    if latitude is None:
        latitude = data.get("latitude")
    if longitude is None:
        longitude = data.get("longitude")
    if type(latitude) is not float and type(latitude) is not int:
        return None
    if type(longitude) is not float and type(longitude) is not int:
        return None
    return latitude, longitude


def has_code(fields: tuple[str, ...], wanted: frozenset[str]) -> Predicate:
    """Tell whether any of the fields contains a wanted code; without such a field: no match."""

    def predicate(data: Mapping[str, object]) -> bool:
        for field in fields:
            value = data.get(field)
            if value and isinstance(value, str) and (value in wanted or value.strip().upper() in wanted):
                return True
        return False

    return predicate


def has_airport(wanted: frozenset[str]) -> Predicate:
    """Tell whether an event concerns a wanted aerodrome; without such a field: no match."""

    def predicate(data: Mapping[str, object]) -> bool:
        has_pattern = False
        for field in AIRPORT_FIELDS:
            value = data.get(field)
            if value and isinstance(value, str):
                if value in wanted or value.strip().upper() in wanted:
                    return True
                has_pattern = has_pattern or PATTERN_MARK in value
        if not has_pattern and AIRPORT_LIST not in data:  # as all flights do
            return False
        return any(fits(code, wanted) for code in airports_of(data))

    return predicate


def has_fir(wanted: frozenset[str]) -> Predicate:
    """Tell whether the flight is in or crosses a wanted FIR, or a measure concerns it; without a field: no match."""

    def predicate(data: Mapping[str, object]) -> bool:
        firs = firs_of(data)
        return not wanted.isdisjoint(firs) or any(fits(code, wanted) for code in patterns_in(firs))

    return predicate


def has_callsign(prefixes: frozenset[str]) -> Predicate:
    """Tell whether the callsign begins with one of the prefixes; no callsign: no match."""
    beginnings = tuple(sorted(prefixes))

    def predicate(data: Mapping[str, object]) -> bool:
        value = data.get("callsign")
        return isinstance(value, str) and value.strip().upper().startswith(beginnings)

    return predicate


def has_phase(wanted: frozenset[str]) -> Predicate:
    """Tell whether the phase is a wanted one; no phase: match."""

    def predicate(data: Mapping[str, object]) -> bool:
        phase = phase_of(data)
        return phase is None or phase in wanted

    return predicate


def leaves_within(start_ms: int | None, end_ms: int | None) -> Predicate:
    """Tell whether the flight intends to depart within the window, both ends included; without a time: match."""

    def predicate(data: Mapping[str, object]) -> bool:
        moment = off_block_ms_of(data)
        if moment is None:
            return True
        return (start_ms is None or start_ms <= moment) and (end_ms is None or moment <= end_ms)

    return predicate


def lies_within(box: Box) -> Predicate:
    """Tell whether the position is inside the box; without a position: no match."""
    contains = box.contains

    def predicate(data: Mapping[str, object]) -> bool:
        place = place_of(data)
        return place is not None and contains(*place)

    return predicate
