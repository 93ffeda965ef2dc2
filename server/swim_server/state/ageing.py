"""Ends entries of dead sources: by an event that ends their kind, never silently. Pure.

An entry without events for ``max_age`` is ended; a traffic management initiative only once its end has passed too.
Kinds that no event type ends don't age.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swim_server.protocol.events import NewEvent
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms
from swim_server.state.kinds import FLIGHTS, TMIS, Key

if TYPE_CHECKING:
    from swim_server.state.folding import Entry
    from swim_server.state.world import Entries, World

MAX_AT_ONCE = 200
"""Maximum number of entries ended at once; the others follow."""
_DELETED_FIELDS = (
    *("callsign", "flight_uid", "dep", "arr", "latitude", "longitude", "altitude_ft", "groundspeed_kts"),
    *("heading_deg", "current_artcc", "current_fir", "current_sector", "phase"),
)
_RELEASED_FIELDS = ("program_id", "program_type", "airport", "status", "end_time", "airports", "firs")


def aged_out(world: World, now_ms: int, max_age_ms: int) -> list[NewEvent]:
    """Build the events that end entries that are too old, oldest first. An entry's ``event_id`` is always the same."""
    found = [
        (touched_ms, entries, key)
        for entries in world.kinds.values()
        if entries.kind.ends
        for key, touched_ms in entries.touched_ms.items()
        if touched_ms < now_ms - max_age_ms and not _goes_on(entries, key, now_ms)
    ]
    found.sort(key=lambda each: each[0])
    return [_end(entries, key, touched_ms) for touched_ms, entries, key in found[:MAX_AT_ONCE]]


def _goes_on(entries: Entries, key: Key, now_ms: int) -> bool:
    if entries.kind is not TMIS:
        return False
    end = entries.by_key[key].get("end_time")
    try:
        return isinstance(end, str) and parse_ms(end) > now_ms
    except InvalidTimestamp:
        return False


def _end(entries: Entries, key: Key, touched_ms: int) -> NewEvent:
    kind, entry = entries.kind, entries.by_key[key]
    return NewEvent(
        type=min(kind.ends),
        data=_last_words(entries, key, entry),
        event_id=f"state:{kind.name}:{key}:{touched_ms}",
    )


def _last_words(entries: Entries, key: Key, entry: Entry) -> dict[str, Any]:
    """Return the data that filters need to judge the end as they judged what came before."""
    if entries.kind is FLIGHTS:
        return {field: entry.get(field) for field in _DELETED_FIELDS}
    if entries.kind is TMIS:
        return {field: entry[field] for field in _RELEASED_FIELDS if field in entry}
    return {field: value for field, value in entry.items() if field not in ("first_seen_at", "updated_at")}
