"""How an event changes one entry: the rules shared by the server, its clients' mirrors and the tests. Pure.

A field in an event replaces the previous value, even with null; other fields stay.
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
"""The fields of every flight, null if unknown."""
MAX_FIELDS = 64
"""Further fields are ignored: an entry is what is known of a thing, not everything that was ever said of it."""
_NO_FIELDS = frozenset({"changed", "count", "positions"})
"""Fields that describe an event, not its flight."""
_ALIASES: Mapping[str, str] = MappingProxyType({"lat": "latitude", "lon": "longitude"})
_LEG_ENDED = ("in_utc", "arrived_at", "diverted")
"""Reset to null when the flight departs."""
_UNKNOWN_FLIGHT: Mapping[str, object] = MappingProxyType(dict.fromkeys(FLIGHT_FIELDS))


def fold_flight(entry: Entry | None, event_type: str, data: Mapping[str, object], timestamp: str) -> Entry:
    """Apply an event, or a position of a batch, to a flight; None: it is new. Returns the flight."""
    if entry is None:
        entry = {**_UNKNOWN_FLIGHT, "first_seen_at": timestamp}
        data = {field: _same(value) if type(value) is str else value for field, value in data.items()}
    if event_type == "flight.departed":
        entry.update((field, None) for field in _LEG_ENDED if field in entry)
    known = len(entry)
    if "first_seen_at" in data:
        data = {field: value for field, value in data.items() if field != "first_seen_at"}
    entry.update(data)
    if len(entry) != known:  # rare: most events have no field that is new to their flight
        _settle(entry, data, known)
    entry["updated_at"] = timestamp
    return entry


@lru_cache(maxsize=4096)
def _same(text: str) -> str:
    """Return one object for equal texts: codes occur in many flights."""
    return text


def _settle(entry: Entry, data: Mapping[str, object], known: int) -> None:
    """Check the fields that an event added to its flight."""
    added = list(entry)[known:]
    for field in added:
        name = _ALIASES.get(field)
        if name is not None:
            entry[name] = data[field]
        if name is not None or field in _NO_FIELDS:
            del entry[field]
    for field in list(entry)[max(known, MAX_FIELDS) :]:
        del entry[field]


def fold_entry(entry: Entry | None, data: Mapping[str, object], timestamp: str) -> Entry:
    """Apply an event to an entry of any other kind; None: it is new. Returns the entry."""
    if entry is None:
        entry = {"first_seen_at": timestamp, "updated_at": timestamp}
    known, first_seen_at = len(entry), entry["first_seen_at"]
    entry.update(data)
    if len(entry) > MAX_FIELDS:
        for field in list(entry)[max(known, MAX_FIELDS) :]:
            del entry[field]
    entry["first_seen_at"], entry["updated_at"] = first_seen_at, timestamp
    return entry
