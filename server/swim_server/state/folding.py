"""How an event changes one entry: the rules that the server, its clients' mirrors and the tests share. Pure.

A field that an event names replaces the one that was held, also by null; what it does not name stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

Entry = dict[str, Any]

FLIGHT_FIELDS = (
    *("callsign", "flight_uid", "dep", "arr", "equipment", "route", "latitude", "longitude", "altitude_ft"),
    *("groundspeed_kts", "heading_deg", "vertical_rate_fpm", "current_artcc", "current_fir", "current_sector"),
    *("phase", "off_utc", "in_utc", "first_seen_at", "updated_at"),
)
"""What every flight has, null where it is not known."""
MAX_FIELDS = 64
"""Further fields are not taken in: an entry is what is known of one thing, not all that was ever said of it."""
_NO_FIELDS = frozenset({"changed", "count", "positions"})
"""What tells of an event, not of its flight."""
_ALIASES: Mapping[str, str] = MappingProxyType({"lat": "latitude", "lon": "longitude"})
_LEG_ENDED = ("in_utc", "arrived_at", "diverted")
"""Null again when the flight departs."""
_UNKNOWN_FLIGHT: Mapping[str, Any] = MappingProxyType(dict.fromkeys(FLIGHT_FIELDS))


def fold_flight(entry: Entry | None, event_type: str, data: Mapping[str, Any], timestamp: str) -> Entry:
    """Change a flight by an event, or by one of a batch's positions; None: it was not known. Returns the flight."""
    if entry is None:
        entry = {**_UNKNOWN_FLIGHT, "first_seen_at": timestamp}
        data = {field: _same(value) if type(value) is str else value for field, value in data.items()}
    if event_type == "flight.departed":
        entry.update((field, None) for field in _LEG_ENDED if field in entry)
    known = len(entry)
    if "first_seen_at" in data:
        data = {field: value for field, value in data.items() if field != "first_seen_at"}
    entry.update(data)
    if len(entry) != known:  # hardly ever: most events name nothing that no flight had before
        _settle(entry, data, known)
    entry["updated_at"] = timestamp
    return entry


@lru_cache(maxsize=4096)
def _same(text: str) -> str:
    """Give one object for equal texts: codes stand in many flights."""
    return text


def _settle(entry: Entry, data: Mapping[str, Any], known: int) -> None:
    """Look at the fields that an event added to those that its flight had."""
    added = list(entry)[known:]
    for field in added:
        name = _ALIASES.get(field)
        if name is not None:
            entry[name] = data[field]
        if name is not None or field in _NO_FIELDS:
            del entry[field]
    for field in list(entry)[max(known, MAX_FIELDS) :]:
        del entry[field]


def fold_entry(entry: Entry | None, data: Mapping[str, Any], timestamp: str) -> Entry:
    """Change an entry of any other kind by an event; None: it was not known. Returns the entry."""
    if entry is None:
        entry = {"first_seen_at": timestamp, "updated_at": timestamp}
    known, first_seen_at = len(entry), entry["first_seen_at"]
    entry.update(data)
    if len(entry) > MAX_FIELDS:
        for field in list(entry)[max(known, MAX_FIELDS) :]:
            del entry[field]
    entry["first_seen_at"], entry["updated_at"] = first_seen_at, timestamp
    return entry
