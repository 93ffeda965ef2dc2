"""What a commit writes: its events, producers' event ids, and new types. Runs inside the commit's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from swim_server.brokers.checksum import HALF, MASK, crc32, name_checksum, type_seed
from swim_server.brokers.draft import Draft, NamesRotten, find_known
from swim_server.brokers.history_rows import RowReader
from swim_server.brokers.recovery.names import are_names_damaged, rebuild_names
from swim_server.logs import get_logger
from swim_server.protocol.event_id import SEQUENCE_BITS, EventId
from swim_server.protocol.events import Event, NewEvent

NAMES_ROTTEN = "the table of producers' event ids was damaged: rebuilt from the events that are left"

_INSERT = "INSERT INTO events (id, type, wire, crc) VALUES (?, ?, ?, ?)"
_INSERT_EVENT_ID = "INSERT OR REPLACE INTO event_ids (id, digest, crc) VALUES (?, ?, ?)"
_INSERT_TYPE = "INSERT OR IGNORE INTO types (type) VALUES (?)"
_AFTER = "SELECT id, type, wire, crc FROM events WHERE id > ? ORDER BY id"
_log = get_logger("broker")


class StoredTypes:
    """The types in the table of types, with the start values of their checksums."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._seeds = {row[0]: type_seed(row[0]) for row in connection.execute("SELECT type FROM types")}
        self._uncommitted: dict[str, int] = {}

    def rows(self, events: Sequence[Event]) -> list[tuple[int, str, bytes, int]]:
        """Return the rows of events. Runs for every stored event, so it avoids calls."""
        seeds = self._seeds
        rows: list[tuple[int, str, bytes, int]] = []
        for event in events:
            milliseconds, sequence = event.id
            event_type, wire = event.type, event.wire
            packed = milliseconds << SEQUENCE_BITS | sequence
            seed = seeds.get(event_type)
            if seed is None:
                seed = self._uncommitted[event_type] = type_seed(event_type)
            rows.append((packed, event_type, wire, crc32(wire, (packed ^ packed >> 32 ^ seed) & MASK) - HALF))
        return rows

    def write(self, connection: sqlite3.Connection) -> None:
        """Store the new types, if there are any."""
        if self._uncommitted:
            add_types(connection, self._uncommitted)

    def committed(self) -> None:
        """Mark the stored types as known."""
        if self._uncommitted:
            self._seeds |= self._uncommitted
            self._uncommitted = {}


def store(connection: sqlite3.Connection, draft: Draft, types: StoredTypes) -> None:
    """Write a draft."""
    if draft.events:
        connection.executemany(_INSERT, types.rows(draft.events))
        types.write(connection)
    if draft.names:
        names = [(each.to_integer(), digest) for digest, each in draft.names.items()]
        rows = [(packed, digest, name_checksum(packed, digest)) for packed, digest in names]
        connection.executemany(_INSERT_EVENT_ID, rows)


def add_types(connection: sqlite3.Connection, types: Iterable[str]) -> None:
    """Store types."""
    connection.executemany(_INSERT_TYPE, [(event_type,) for event_type in types])


def known_names(
    connection: sqlite3.Connection, path: Path, calls: Sequence[Sequence[NewEvent]], now_ms: int
) -> dict[str, EventId]:
    """Find which of the calls' event ids are known; rebuild the table if one of them is damaged."""
    try:
        return find_known(connection, calls, now_ms)
    except NamesRotten:
        pass
    except sqlite3.Error as error:
        are_names_damaged(path, error)
    _log.error(NAMES_ROTTEN, lost=rebuild_names(connection))
    return find_known(connection, calls, now_ms)


def read_after(connection: sqlite3.Connection, newest: EventId, rows: RowReader) -> list[Event]:
    """Read what another process has stored after ``newest``."""
    last = connection.execute("SELECT max(id) FROM events").fetchone()[0]
    if last is None or last <= newest.to_integer():
        return []
    found = connection.execute(_AFTER, (newest.to_integer(),))
    return [event for row in found if (event := rows.event(row)) is not None]
