"""The writing side of the local history: assigns ids, stores events, and remembers producers' event ids."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from swim_server.brokers import history_file, holes
from swim_server.brokers.broker import InvalidEvent, Published
from swim_server.brokers.draft import Draft
from swim_server.brokers.history_file import FileOptions, transaction
from swim_server.brokers.history_rows import RowReader
from swim_server.brokers.origin import Hole
from swim_server.brokers.recovery.names import rebuild_names
from swim_server.brokers.recovery.writable_file import WritableFile
from swim_server.brokers.retention import Retention
from swim_server.brokers.storing import StoredTypes, add_types, known_names, read_after, store
from swim_server.brokers.trouble import unavailable
from swim_server.concurrency.clock import Clock
from swim_server.logs import get_logger
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import Event, NewEvent

MAX_WAL_BYTES = 64 * 1024 * 1024
"""A write-ahead log that outgrows concurrent checkpoints is checkpointed between two commits."""
_log = get_logger("broker")
T = TypeVar("T")


class Appended(msgspec.Struct, frozen=True):
    """What one commit did."""

    events: list[Event]
    """In the order of their ids; first those that another process on the same file has stored meanwhile."""
    answers: list[list[Published] | InvalidEvent]
    """One for each call, in their order."""


class History(WritableFile):
    """History as its only writer sees it. Every method blocks, and all belong to one thread.

    Raises BrokerUnavailable if a disk, a lock or a permission is the problem; the next call tries again.
    """

    def __init__(self, path: Path, *, clock: Clock, retention: Retention, options: FileOptions = FileOptions()) -> None:
        super().__init__(path, clock=clock, retention=retention, options=options)
        self._rows = RowReader()

    def open(self) -> None:
        """Open the file or create one; afterwards ``newest`` is above every id ever given."""
        self._on_sound_file(lambda _: None)

    def append(self, calls: Sequence[Sequence[NewEvent]]) -> Appended:
        """Store the events of several calls in one transaction. A call with an InvalidEvent is left out entirely."""
        return self._on_sound_file(lambda connection: self._append(connection, calls))

    def take_foreign(self) -> list[Event]:
        """Read what another process on the same file has stored since the last call."""
        events = self._on_sound_file(lambda connection: read_after(connection, self.newest, self._rows))
        if events:
            self._committed(events[-1].id)
        return events

    def prune(self, *, at_least: int = 0) -> bool:
        """Remove a little of what exceeds retention, or recover a little; True if more is due now."""

        def step(connection: sqlite3.Connection) -> bool:
            assert self._pruner is not None
            if self._restoring is not None:
                return self._restore(connection, self._restoring)
            before = self._pruner.removed
            is_more = self._pruner.step(self._now_ms(), at_least=at_least)
            self.removed += self._pruner.removed - before
            return is_more

        return self._on_sound_file(step)

    def look_after(self, *, damage: tuple[str, int] | None = None) -> None:
        """Notice a file that was replaced while in use; maintain the marks and the write-ahead log.

        ``damage``: what a reader found, and in which ``generation``: it does not concern a later file.
        """
        if self._is_replaced():
            _log.error(
                "history was replaced or removed while in use: continuing with what is there now", path=str(self.path)
            )
            self._let_go()
        if damage is not None and self._connection is not None and damage[1] == self.generation:
            self._set_aside(damage[0])
        self._on_sound_file(self._shorten_wal)
        self._marks.look_after(self.newest)

    def record_unreadable(self, stretches: Sequence[tuple[int, int]]) -> list[Hole]:
        """Record ranges that no longer hold what was stored; return those that were not known."""

        def record(connection: sqlite3.Connection) -> list[Hole]:
            with transaction(connection):
                return holes.write_rotten(connection, stretches, self._now_ms())

        return self._on_sound_file(record)

    def rebuild_names(self) -> int:
        """Rebuild the table of producers' event ids; return how many were lost."""

        def rebuild(connection: sqlite3.Connection) -> int:
            with transaction(connection):
                return rebuild_names(connection)

        return self._on_sound_file(rebuild)

    def know_types(self, types: set[str]) -> None:
        """Record every stored type, once all of history has been read."""

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                add_types(connection, types)
                holes.write_meta(connection, "types", "complete")
            self._types = StoredTypes(connection)

        self._on_sound_file(write)

    def sync(self) -> None:
        """Wait until every commit so far is on the disk. Callable from any thread; raises BrokerUnavailable."""
        try:
            history_file.sync(self.path)
        except OSError as error:
            raise unavailable(error, self.path) from error

    def close(self) -> None:
        """Sync everything to disk and close the file. Idempotent."""
        if self._connection is not None:
            is_whole = True
            try:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                history_file.sync(self.path)
            except (sqlite3.Error, OSError) as error:
                is_whole = False
                self.trouble_note.put_down(self.newest)
                _log.error("history could not be synced to disk completely", error=str(error))
            self._let_go()
            if is_whole:
                self._marks.close(self.newest)
                self.trouble_note.remove()

    def _append(self, connection: sqlite3.Connection, calls: Sequence[Sequence[NewEvent]]) -> Appended:
        assert self._types is not None
        now_ms = self._now_ms()
        with transaction(connection):
            foreign = read_after(connection, self.newest, self._rows)
            newest = foreign[-1].id if foreign else self.newest
            draft = Draft(newest, now_ms, known_names(connection, self.path, calls, now_ms))
            answers = [draft.add(call) for call in calls]
            store(connection, draft, self._types)
        self._types.committed()
        events = [*foreign, *draft.events]
        if events:
            self._committed(events[-1].id)
        return Appended(events, answers)

    def _committed(self, newest: EventId) -> None:
        self.newest = self.newest_shown = newest
        self._marks.committed(newest)

    def _shorten_wal(self, connection: sqlite3.Connection) -> None:
        wal = self.path.with_name(f"{self.path.name}-wal")
        if wal.exists() and wal.stat().st_size > MAX_WAL_BYTES:
            connection.execute("PRAGMA busy_timeout = 200")
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            connection.execute(f"PRAGMA busy_timeout = {int(history_file.BUSY_SECONDS * 1000)}")
