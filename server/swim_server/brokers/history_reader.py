"""The reading side of the local history: pages of bounded size, each as of one moment. Never waits for writes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swim_server.brokers.broker import Page
from swim_server.brokers.history_file import connect_read_only
from swim_server.brokers.history_rows import RowReader
from swim_server.brokers.recovery.names import are_names_damaged, check_names
from swim_server.brokers.trouble import HistoryDamaged
from swim_server.protocol.channels import OPEN_END, is_listed
from swim_server.protocol.event_id import MAX_SEQUENCE, ZERO, EventId
from swim_server.protocol.events import Event

MAX_PAGE_EVENTS = 10_000
MAX_PAGE_BYTES = 4 * 1024 * 1024
SCANNED_PER_EVENT = 8
MIN_SCANNED = 2000
"""Maximum number of stored events scanned for one page: reading rare types must not occupy a thread for long."""
COUNTED = 100_000
"""Number of events counted in one step, which takes some 20 ms."""

_END = (1 << 63) - 1
_ROWS = "SELECT id, type, wire, crc FROM events"
_OF_TYPES = "type IN (SELECT value FROM json_each(:types))"
_OF_TYPES_OR_UNKNOWN = f"({_OF_TYPES} OR type NOT IN (SELECT type FROM types))"
"""A row whose type was never stored is damaged, and may be one of those requested."""
_PAGE = "id > :after AND id <= :until ORDER BY id LIMIT :limit"
_LAST = "id < :before ORDER BY id DESC LIMIT :limit"
_SCANNED = "SELECT id FROM events WHERE id > ? AND id <= ? ORDER BY id LIMIT 1 OFFSET ?"
_GAP = f"""
    SELECT EXISTS (SELECT 1 FROM pruned WHERE up_to > :after AND (:types IS NULL OR {_OF_TYPES}))
        OR EXISTS (SELECT 1 FROM holes WHERE up_to > :after AND (reason != 'begun' OR :is_event))
"""
_SPAN = "SELECT min(id), max(id) FROM events"
_COUNT_SOME = "SELECT count(*), max(id) FROM (SELECT id FROM events WHERE id > ? ORDER BY id LIMIT ?)"
_STORED_TYPES = "SELECT type FROM types"
_FOUND_TYPES = "SELECT DISTINCT type FROM events"
_KNOWS_TYPES = "SELECT value FROM meta WHERE name = 'types'"

Rotten = list[tuple[int, int]]
"""Ranges ``after < id <= up_to`` found damaged while reading."""


class HistoryReader:
    """One read-only connection; used by one thread at a time. Raises what sqlite3 raises."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect_read_only(path)
        self._rows = RowReader()
        try:
            is_known = self._connection.execute(_KNOWS_TYPES).fetchone() is not None
        except BaseException:  # a damaged file
            self._connection.close()
            raise
        self._stored_types = _STORED_TYPES if is_known else _FOUND_TYPES
        self._condition = _OF_TYPES_OR_UNKNOWN if is_known else _OF_TYPES

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def page(
        self, after: EventId, until: EventId | None, types: Collection[str] | None, limit: int
    ) -> tuple[Page, Rotten]:
        """Read the stored events after ``after``: at most ``limit``, and about 4 MiB."""
        with self._moment():
            types = self._exact(types)
            end = self._end(until)
            limit = min(limit, MAX_PAGE_EVENTS)
            stop = end if types is None else self._scan_end(after, end, max(MIN_SCANNED, SCANNED_PER_EVENT * limit))
            events, rotten, cut_at = self._fetch(after, stop, types, limit)
            next_after = EventId.from_integer(stop if cut_at is None else cut_at)
            is_last = cut_at is None and stop == end
            has_gap = bool(rotten) or self._has_gap(after, types)
            return Page(events, max(after, next_after), is_last, has_gap), rotten

    def last(self, count: int, types: Collection[str] | None, before: EventId | None) -> tuple[list[Event], Rotten]:
        """Read the newest events, oldest first."""
        types = self._exact(types)
        values = {"before": _packed(before, _END), "types": _listed(types), "limit": count}
        rotten: Rotten = []
        events = list(self._sound(self._connection.execute(self._select(_LAST, types), values), types, rotten))
        events.reverse()
        return events, rotten

    def has_gap(self, after: EventId, types: Collection[str] | None) -> bool:
        """Tell whether retention has removed events after ``after``, or there is a hole after it."""
        return self._has_gap(after, self._exact(types))

    def span(self) -> tuple[EventId | None, EventId | None]:
        """Return the oldest and the newest id stored."""
        oldest, newest = self._connection.execute(_SPAN).fetchone()
        if oldest is None:
            return None, None
        return EventId.from_integer(oldest), EventId.from_integer(newest)

    def count(self) -> int:
        """Return how many events are stored. Reads the whole table: some 80 ms per million."""
        return int(self._connection.execute("SELECT count(*) FROM events").fetchone()[0])

    def count_some(self, after: int, limit: int = COUNTED) -> tuple[int, int | None]:
        """Count the events after an id, at most ``limit``; return the count and the last id counted (None: the end)."""
        number, last = self._connection.execute(_COUNT_SOME, (after, limit)).fetchone()
        return number, (last if number == limit else None)

    @contextmanager
    def _moment(self) -> Iterator[None]:
        """Run the block in one read transaction, so that it sees everything as of one moment."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def _end(self, until: EventId | None) -> int:
        """Return the newest stored id within the requested range."""
        newest = self._connection.execute(
            "SELECT max(id) FROM events WHERE id <= ?", (_packed(until, _END),)
        ).fetchone()
        return newest[0] or 0

    def _scan_end(self, after: EventId, end: int, count: int) -> int:
        found = self._connection.execute(_SCANNED, (after.to_integer(), end, count - 1)).fetchone()
        return end if found is None else int(found[0])

    def _fetch(
        self, after: EventId, stop: int, types: Collection[str] | None, limit: int
    ) -> tuple[list[Event], Rotten, int | None]:
        """Return events up to ``stop`` and, if there are more rows than the page takes, the last id scanned."""
        values = {"after": after.to_integer(), "until": stop, "types": _listed(types), "limit": limit + 1}
        events: list[Event] = []
        rotten: Rotten = []
        size, last = 0, after.to_integer()
        for seen, row in enumerate(self._connection.execute(self._select(_PAGE, types), values)):
            event = self._rows.event(row)
            if seen == limit or (events and event is not None and size + len(event.wire) > MAX_PAGE_BYTES):
                return events, rotten, last
            last = row[0]
            if event is None:
                rotten.append((last - 1, last))
            elif types is None or event.type in types:
                events.append(event)
                size += len(event.wire)
        return events, rotten, None

    def _sound(
        self, rows: Iterable[tuple[Any, Any, Any, Any]], types: Collection[str] | None, rotten: Rotten
    ) -> Iterator[Event]:
        for row in rows:
            event = self._rows.event(row)
            if event is None:
                rotten.append((row[0] - 1, row[0]))
            elif types is None or event.type in types:
                yield event

    def _has_gap(self, after: EventId, types: Collection[str] | None) -> bool:
        is_event = after != ZERO and after.sequence != MAX_SEQUENCE
        values = {"after": after.to_integer(), "types": _listed(types), "is_event": is_event}
        return bool(self._connection.execute(_GAP, values).fetchone()[0])

    def _exact(self, types: Collection[str] | None) -> Collection[str] | None:
        """Return the stored types that open-ended ones, like ``tmi.program.*``, cover."""
        if types is None or not any(each.endswith(OPEN_END) for each in types):
            return types
        rows = self._connection.execute(self._stored_types)  # as bytes, like all text on this connection
        stored = [raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw) for (raw,) in rows]
        return {*types, *(each for each in stored if is_listed(each, types))}

    def _select(self, range_and_order: str, types: Collection[str] | None) -> str:
        if types is None:
            return f"{_ROWS} WHERE {range_and_order}"
        return f"{_ROWS} WHERE {self._condition} AND {range_and_order}"

    def rows(self, after: int, count: int) -> tuple[int | None, set[str], Rotten]:
        """Read some rows of any type; return the last id (None: the end), their types, and the damaged ranges."""
        select = f"{_ROWS} WHERE id > ? ORDER BY id LIMIT ?"
        rotten: Rotten = []
        last, number, found = after, 0, set[str]()
        for row in self._connection.execute(select, (after, count)):
            number += 1
            if row[0] <= last:
                raise HistoryDamaged(f"event {row[0]} stands behind event {last}")
            event = self._rows.event(row)
            if event is None and rotten and rotten[-1][1] == last:
                rotten[-1] = rotten[-1][0], row[0]  # there is nothing between them
            elif event is None:
                rotten.append((row[0] - 1, row[0]))
            else:
                found.add(event.type)
            last = row[0]
        return (last if number == count else None), found, rotten

    def names(self, after: int) -> tuple[int | None, bool]:
        """Read some producers' event ids; return the last id (None: the end) and whether all are intact."""
        try:
            return check_names(self._connection, after)
        except sqlite3.Error as error:
            return None, not are_names_damaged(self._path, error)


def _packed(event_id: EventId | None, default: int) -> int:
    return default if event_id is None else event_id.to_integer()


def _listed(types: Collection[str] | None) -> str | None:
    return None if types is None else json.dumps(list(types))
