"""The reading side of the local history: pages of bounded size, each seen as of one moment. Never waits for writes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from swim_server.brokers.broker import Page
from swim_server.brokers.history_file import connect_read_only
from swim_server.protocol.event_id import MAX_SEQUENCE, ZERO, EventId
from swim_server.protocol.events import Event

MAX_PAGE_EVENTS = 10_000
MAX_PAGE_BYTES = 4 * 1024 * 1024
SCANNED_PER_EVENT = 8
MIN_SCANNED = 2000
"""So many stored events are looked at for one page at most: types which are rare don't hold a thread for long."""

_END = (1 << 63) - 1
_OPEN_END = ".*"
_ROWS = "SELECT id, type, wire FROM events"
_OF_TYPES = "type IN (SELECT value FROM json_each(:types))"
_OPEN_ENDED = """
    (type IN (SELECT value FROM json_each(:types))
     OR EXISTS (SELECT 1 FROM json_each(:beginnings) WHERE substr(type, 1, length(value)) = value))
"""
_PAGE = "id > :after AND id <= :until ORDER BY id LIMIT :limit"
_LAST = "id < :before ORDER BY id DESC LIMIT :limit"
_SCANNED = "SELECT id FROM events WHERE id > ? AND id <= ? ORDER BY id LIMIT 1 OFFSET ?"
_GAP = f"""
    SELECT EXISTS (SELECT 1 FROM pruned WHERE up_to > :after AND (:types IS NULL OR {_OPEN_ENDED}))
        OR EXISTS (SELECT 1 FROM holes WHERE up_to > :after AND (reason != 'begun' OR :is_event))
"""
_SPAN = "SELECT min(id), max(id) FROM events"


class HistoryReader:
    """One read-only connection; used by one thread at a time. Raises what sqlite3 raises."""

    def __init__(self, path: Path) -> None:
        self._connection = connect_read_only(path)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def page(self, after: EventId, until: EventId | None, types: Collection[str] | None, limit: int) -> Page:
        """Read the stored events behind ``after``: at most ``limit``, and about 4 MiB."""
        with self._moment():
            end = self._end(until)
            limit = min(limit, MAX_PAGE_EVENTS)
            stop = end if types is None else self._scan_end(after, end, max(MIN_SCANNED, SCANNED_PER_EVENT * limit))
            events, is_full = self._fetch(after, stop, types, limit)
            next_after = events[-1].id if is_full else EventId.from_integer(stop)
            is_last = not is_full and stop == end
            return Page(events, max(after, next_after), is_last, self._has_gap(after, types))

    def last(self, count: int, types: Collection[str] | None, before: EventId | None) -> list[Event]:
        """Read the newest events, oldest first."""
        values = {"before": _packed(before, _END), **_listed(types), "limit": count}
        events = [_event(row) for row in self._connection.execute(_select(_LAST, types), values)]
        events.reverse()
        return events

    def has_gap(self, after: EventId, types: Collection[str] | None) -> bool:
        """Tell whether retention has passed ``after``, or a hole lies behind it."""
        return self._has_gap(after, types)

    def span(self) -> tuple[EventId | None, EventId | None]:
        """The oldest and the newest id stored."""
        oldest, newest = self._connection.execute(_SPAN).fetchone()
        if oldest is None:
            return None, None
        return EventId.from_integer(oldest), EventId.from_integer(newest)

    def count(self) -> int:
        """How many events are stored. Reads the whole table: some 80 ms a million."""
        return int(self._connection.execute("SELECT count(*) FROM events").fetchone()[0])

    @contextmanager
    def _moment(self) -> Iterator[None]:
        """See everything as of one moment."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def _end(self, until: EventId | None) -> int:
        """The newest stored id that is asked for."""
        newest = self._connection.execute(
            "SELECT max(id) FROM events WHERE id <= ?", (_packed(until, _END),)
        ).fetchone()
        return newest[0] or 0

    def _scan_end(self, after: EventId, end: int, count: int) -> int:
        found = self._connection.execute(_SCANNED, (after.to_integer(), end, count - 1)).fetchone()
        return end if found is None else int(found[0])

    def _fetch(self, after: EventId, stop: int, types: Collection[str] | None, limit: int) -> tuple[list[Event], bool]:
        """Events up to ``stop``, and whether there are more than the page takes."""
        values = {"after": after.to_integer(), "until": stop, **_listed(types), "limit": limit + 1}
        events: list[Event] = []
        size = 0
        for row in self._connection.execute(_select(_PAGE, types), values):
            if events and (len(events) == limit or size + len(row[2]) > MAX_PAGE_BYTES):
                return events, True
            events.append(_event(row))
            size += len(row[2])
        return events, False

    def _has_gap(self, after: EventId, types: Collection[str] | None) -> bool:
        is_event = after != ZERO and after.sequence != MAX_SEQUENCE
        values = {"after": after.to_integer(), **_listed(types), "is_event": is_event}
        return bool(self._connection.execute(_GAP, values).fetchone()[0])


def _select(range_and_order: str, types: Collection[str] | None) -> str:
    if types is None:
        return f"{_ROWS} WHERE {range_and_order}"
    is_open_ended = any(each.endswith(_OPEN_END) for each in types)
    return f"{_ROWS} WHERE {_OPEN_ENDED if is_open_ended else _OF_TYPES} AND {range_and_order}"


def _event(row: tuple[int, str, bytes]) -> Event:
    return Event(EventId.from_integer(row[0]), row[1], row[2])


def _packed(event_id: EventId | None, default: int) -> int:
    return default if event_id is None else event_id.to_integer()


def _listed(types: Collection[str] | None) -> dict[str, str | None]:
    """Return the types as parameters; of open-ended ones, ``tmi.program.*``, what their types begin with."""
    if types is None:
        return {"types": None, "beginnings": "[]"}
    beginnings = [each.removesuffix("*") for each in types if each.endswith(_OPEN_END)]
    return {"types": json.dumps(list(types)), "beginnings": json.dumps(beginnings)}
