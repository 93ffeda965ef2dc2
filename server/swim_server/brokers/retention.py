"""Retention: removes events by age and by size, in steps so small that a publish never waits long."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

import msgspec

from swim_server.brokers.history_file import transaction
from swim_server.protocol.event_id import MAX_MILLISECONDS, EventId
from swim_server.protocol.positions import POSITION_TYPES

EVENT_ID_KEEP_MS = 24 * 60 * 60 * 1000
"""How long a repeated ``event_id`` counts as a duplicate."""

_SCAN_ROWS = 2000
"""Rows examined in one step, whether or not they are removed."""
_POSITION_ROWS = 32
"""Rows removed in one step: a batch may take 64 KiB."""
_ROWS = 500
_VACUUM_PAGES = 128
_FREE_PAGES = 256
"""Free pages kept for new events before the file is shrunk."""
_END = EventId(MAX_MILLISECONDS, 0).to_integer()

_WINDOW = "SELECT max(id) FROM (SELECT id FROM events WHERE id > ? AND id <= ? ORDER BY id LIMIT ?)"
_CHOICE = """
    SELECT type, max(id), count(*) FROM (
        SELECT id, type FROM events
        WHERE id > ? AND id <= ? AND (type IN (SELECT value FROM json_each(?))) = ? ORDER BY id LIMIT ?
    ) GROUP BY type
"""
_DELETE = "DELETE FROM events WHERE id > ? AND id <= ? AND (type IN (SELECT value FROM json_each(?))) = ?"
_REMEMBER = """
    INSERT INTO pruned (type, up_to) VALUES (?, ?) ON CONFLICT (type) DO UPDATE SET up_to = max(up_to, excluded.up_to)
"""
_DELETE_EVENT_IDS = "DELETE FROM event_ids WHERE id IN (SELECT id FROM event_ids WHERE id < ? ORDER BY id LIMIT ?)"


class Retention(msgspec.Struct, frozen=True):
    """How long events are kept, and how many bytes of them."""

    keep_ms: int
    keep_positions_ms: int
    max_bytes: int


class _Kind:
    """Positions, or all other events: each kind is removed oldest first."""

    def __init__(self, is_position: bool, limit_rows: int) -> None:
        self.is_position = is_position
        self.limit_rows = limit_rows
        self.cursor = 0
        """No event of this kind is stored up to this id."""


class Pruner:
    """Removes what exceeds retention, one small transaction per step. Blocks; belongs to the writer thread."""

    def __init__(self, connection: sqlite3.Connection, retention: Retention) -> None:
        self._connection = connection
        self._retention = retention
        self._positions = _Kind(True, _POSITION_ROWS)
        self._rest = _Kind(False, _ROWS)
        self._position_types = json.dumps(POSITION_TYPES)
        for event_type, up_to in connection.execute("SELECT type, up_to FROM pruned"):
            kind = self._positions if event_type in POSITION_TYPES else self._rest
            kind.cursor = max(kind.cursor, up_to)
        self.removed = 0
        """Events removed since it was built."""

    def step(self, now_ms: int, *, at_least: int = 0) -> bool:
        """Remove a little; True if more is due now. ``at_least``: how many rows keep pace with what is stored."""
        is_more = self._by_age(self._positions, now_ms - self._retention.keep_positions_ms, at_least)
        is_more |= self._by_age(self._rest, now_ms - self._retention.keep_ms, at_least)
        is_more |= self._forget_event_ids(_at(now_ms - EVENT_ID_KEEP_MS))
        return self._by_size(at_least) or is_more

    def _by_age(self, kind: _Kind, cutoff_ms: int, at_least: int) -> bool:
        cutoff = _at(cutoff_ms)
        return kind.cursor < cutoff and self._remove(kind, cutoff, at_least)

    def _by_size(self, at_least: int) -> bool:
        pages, free, page_bytes = self._sizes()
        is_over = pages * page_bytes > self._retention.max_bytes
        if is_over and (pages - free) * page_bytes > self._retention.max_bytes:
            return (
                self._remove(self._positions, _END, at_least)
                or self._remove(self._rest, _END, at_least)
                or self._forget_event_ids(_END)
            )
        if free > (0 if is_over else max(_FREE_PAGES, pages // 4)):
            self._connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
            return True
        return False

    def _sizes(self) -> tuple[int, int, int]:
        pages, free, page_bytes = (
            int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return pages, free, page_bytes

    def _remove(self, kind: _Kind, up_to: int, at_least: int) -> bool:
        """Remove the oldest events of a kind, none newer than ``up_to``; False if none are left."""
        window = self._connection.execute(_WINDOW, (kind.cursor, up_to, max(_SCAN_ROWS, 2 * at_least))).fetchone()[0]
        if window is None:
            return False
        limit = max(kind.limit_rows, at_least)
        chosen: Sequence[tuple[str, int, int]] = self._connection.execute(
            _CHOICE, (kind.cursor, window, self._position_types, kind.is_position, limit)
        ).fetchall()
        count = sum(row[2] for row in chosen)
        end = max(row[1] for row in chosen) if count == limit else window
        if chosen:
            with transaction(self._connection):
                self._connection.execute(_DELETE, (kind.cursor, end, self._position_types, kind.is_position))
                self._connection.executemany(_REMEMBER, [(row[0], row[1]) for row in chosen])
            self.removed += count
        kind.cursor = end
        return True

    def _forget_event_ids(self, before: int) -> bool:
        return self._connection.execute(_DELETE_EVENT_IDS, (before, _ROWS)).rowcount == _ROWS


def _at(milliseconds: int) -> int:
    """Return the first id of a millisecond."""
    return EventId(min(max(milliseconds, 0), MAX_MILLISECONDS), 0).to_integer()
