"""The writing side of the local history: gives ids, stores, remembers producers' names, and heals what it can."""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from swim_server.brokers import history_file, holes
from swim_server.brokers.broker import BrokerUnavailable, InvalidEvent, Published
from swim_server.brokers.draft import Draft
from swim_server.brokers.history_file import Synchronous, transaction
from swim_server.brokers.history_mark import read_boot_id
from swim_server.brokers.history_rows import RowReader
from swim_server.brokers.marks import Marks
from swim_server.brokers.opening import Known, take_stock
from swim_server.brokers.origin import Hole, Identity
from swim_server.brokers.recovery.names import rebuild_names
from swim_server.brokers.recovery.restoring import Restoring
from swim_server.brokers.recovery.second_look import find_damage
from swim_server.brokers.retention import Pruner, Retention
from swim_server.brokers.storing import StoredTypes, add_types, known_names, read_after, store
from swim_server.brokers.trouble import DiskTrouble, HistoryDamaged, is_damage, unavailable
from swim_server.brokers.trouble_note import TroubleNote
from swim_server.concurrency.clock import Clock
from swim_server.logs import get_logger
from swim_server.protocol.event_id import MAX_MILLISECONDS, ZERO, EventId
from swim_server.protocol.events import Event, NewEvent

MAX_WAL_BYTES = 64 * 1024 * 1024
"""A write-ahead log that outgrows concurrent checkpoints is checkpointed between two commits."""
SET_ASIDE_AT_ONCE, SET_ASIDE_SECONDS = 5, 60.0
"""Limits the files set aside, so that a disk that damages every write is not filled with them."""
SMALLEST_PAGE_BYTES = 512
"""SQLite treats a shorter file as a new one."""


_log = get_logger("broker")
T = TypeVar("T")


class Appended(msgspec.Struct, frozen=True):
    """What one commit did."""

    events: list[Event]
    """In the order of their ids; first those that another process on the same file has stored meanwhile."""
    answers: list[list[Published] | InvalidEvent]
    """One for each call, in their order."""


class History:
    """The file as its one writer sees it. Every method blocks, and all belong to one thread.

    Raises BrokerUnavailable where disk, lock or permission is at fault; the next call tries again. A damaged file
    is set aside, a new one begun, and what can still be read brought over into it.
    """

    is_copy = False
    """What it lacks can be had again from where the events got their ids."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        retention: Retention,
        synchronous: Synchronous = "normal",
        connect: history_file.Connect = history_file.connect,
        boot_id: str | None = None,
        notes: Path | None = None,
    ) -> None:
        """Open nothing yet. ``notes``: a folder of another file system, for what must be known if this one is lost."""
        self.path = path
        self.trouble_note = TroubleNote(path, notes)
        self.newest = ZERO
        """No id up to this one is ever given out again."""
        self.newest_shown = ZERO
        """The newest id that an event has, or may once have had."""
        self.found = ZERO
        """The newest id shown when the file was first opened."""
        self.generation = 0
        """Counts the files opened: readers of an older one reopen."""
        self.removed = 0
        """Events let go of by retention since the start."""
        self.identity = Identity("", "")
        """Which installation and which order of events it is; empty before it was opened."""
        self._clock = clock
        self._retention = retention
        self._synchronous: Synchronous = synchronous
        self._connect = connect
        self._boot_id = read_boot_id() if boot_id is None else boot_id
        self._marks = Marks(path, writer=secrets.token_hex(8), boot_id=self._boot_id, mode=synchronous)
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        """Device and inode of the file that is open."""
        self._pruner: Pruner | None = None
        self._restoring: Restoring | None = None
        """What is brought over from a damaged file."""
        self._types: StoredTypes | None = None
        self._rows = RowReader()
        self._set_aside_at: deque[float] = deque(maxlen=SET_ASIDE_AT_ONCE)
        """When files were set aside, by the monotonic clock."""
        self._loss = "lost"
        """What to call the hole if the file turns out to be gone."""
        self._are_names_damaged = False
        """The table of producers' names must be rebuilt when the file is opened."""

    def open(self) -> None:
        """Open the file, or begin one; afterwards ``newest`` is above every id that was ever given out."""
        self._on_sound_file(lambda _: None)

    def append(self, calls: Sequence[Sequence[NewEvent]]) -> Appended:
        """Store the events of several calls in one transaction. A call with an InvalidEvent is left out as a whole."""
        return self._on_sound_file(lambda connection: self._append(connection, calls))

    def take_foreign(self) -> list[Event]:
        """Read what another process on the same file has stored since the last look."""
        events = self._on_sound_file(lambda connection: read_after(connection, self.newest, self._rows))
        if events:
            self._committed(events[-1].id)
        return events

    def prune(self, *, at_least: int = 0) -> bool:
        """Remove a little of what retention no longer keeps, or recover a little; True when more is due now."""

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
        """Notice a file that was replaced under us; keep marks and write-ahead log in order.

        ``damage``: what a reader found, and in which ``generation``: a later file has nothing of it.
        """
        if self._connection is not None and _identity(self.path) != self._identity:
            _log.error(
                "history was replaced or removed while in use: continuing with what is there now", path=str(self.path)
            )
            self._let_go()
        if damage is not None and self._connection is not None and damage[1] == self.generation:
            self._set_aside(damage[0])
        self._on_sound_file(self._shorten_wal)
        self._marks.look_after(self.newest)

    def record_unreadable(self, stretches: Sequence[tuple[int, int]]) -> list[Hole]:
        """Record stretches that are not what was stored; answer those that were not known."""

        def record(connection: sqlite3.Connection) -> list[Hole]:
            with transaction(connection):
                return holes.write_rotten(connection, stretches, self._now_ms())

        return self._on_sound_file(record)

    def rebuild_names(self) -> int:
        """Rebuild the table of producers' event ids; return how many are lost."""

        def rebuild(connection: sqlite3.Connection) -> int:
            with transaction(connection):
                return rebuild_names(connection)

        return self._on_sound_file(rebuild)

    def know_types(self, types: set[str]) -> None:
        """Record every stored type, after all of history was read."""

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                add_types(connection, types)
                holes.write_meta(connection, "types", "complete")
            self._types = StoredTypes(connection)

        self._on_sound_file(write)

    def sync(self) -> None:
        """Wait until every commit so far is on the disk. Any thread; raises BrokerUnavailable."""
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

    def _on_sound_file(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with the file open; if it proves damaged, set it aside and do it with a new one."""
        for _ in range(3):
            try:
                if self._connection is None:
                    self._open()
                assert self._connection is not None
                return work(self._connection)
            except HistoryDamaged as damage:
                self._set_aside(damage.reason)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise unavailable(error, self.path) from error
                self._set_aside_if_damaged(error)
            except OSError as error:
                raise unavailable(error, self.path) from error
        raise BrokerUnavailable(f"{self.path} is damaged again as soon as it is created: check its disk")

    def _set_aside_if_damaged(self, error: sqlite3.Error) -> None:
        """Look a second time: what the disk read wrong once may be right. Raises BrokerUnavailable.

        Where producers' names alone are damaged, the next opening rebuilds their table.
        """
        self._let_go()
        if not self.path.is_file():
            self._set_aside(str(error))
            return
        try:
            reason = history_file.damage_of(self.path, error)
        except DiskTrouble:
            if not find_damage(self.path, only_names=True):
                raise
            self._are_names_damaged = True
        else:
            self._set_aside(reason)

    def _open(self) -> None:
        if self.path.is_dir():
            raise HistoryDamaged("it is a folder")
        size = self.path.stat().st_size if self.path.exists() else None
        if size is not None and (0 < size < SMALLEST_PAGE_BYTES or (size == 0 and self._marks.has_mark())):
            raise HistoryDamaged(f"it has {size} bytes")
        connection = self._connect(self.path)
        try:
            newest = max(self.newest, self.trouble_note.read())
            known = Known(
                newest, self._now_ms(), self._boot_id, self._loss, self._are_names_damaged, is_copy=self.is_copy
            )
            opened = take_stock(connection, self.path, self._marks, self._synchronous, known)
            pruner = Pruner(connection, self._retention)
        except BaseException:
            connection.close()
            raise
        self.newest, self.newest_shown = opened.newest, opened.newest_shown
        self.identity, self._types = opened.identity, opened.types
        self._connection, self._pruner, self._identity = connection, pruner, _identity(self.path)
        if not self.generation:
            self.found = self.newest_shown
        self.generation += 1
        self._loss, self._are_names_damaged = "lost", False
        self._marks.begin(self.newest, self.identity)
        self.trouble_note.remove()
        if self._restoring is None:
            self._restoring = Restoring.resume(connection, self.path)
        if self._restoring is not None:
            self._restore(connection, self._restoring, is_first=True)

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

    def _restore(self, connection: sqlite3.Connection, restoring: Restoring, *, is_first: bool = False) -> bool:
        """Recover a little of what a damaged file still holds; True when more is due."""
        is_more = restoring.step(connection, self.newest, self._now_ms(), is_first=is_first)
        if not is_more:
            self._restoring = None
            self._types = StoredTypes(connection)
        return is_more

    def _shorten_wal(self, connection: sqlite3.Connection) -> None:
        wal = self.path.with_name(f"{self.path.name}-wal")
        if wal.exists() and wal.stat().st_size > MAX_WAL_BYTES:
            connection.execute("PRAGMA busy_timeout = 200")
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            connection.execute(f"PRAGMA busy_timeout = {int(history_file.BUSY_SECONDS * 1000)}")

    def _set_aside(self, reason: str) -> None:
        self._let_go()
        now = time.monotonic()
        if len(self._set_aside_at) == SET_ASIDE_AT_ONCE and now - self._set_aside_at[0] < SET_ASIDE_SECONDS:
            raise DiskTrouble(f"{self.path} is damaged again and again ({reason}): check its disk")
        self._set_aside_at.append(now)
        self._restoring = None
        try:
            target = history_file.set_aside(self.path, datetime.fromtimestamp(self._now_ms() / 1000, UTC))
        except OSError as error:
            raise BrokerUnavailable(f"{self.path} is damaged ({reason}) and can't be moved: {error}") from error
        self._loss = "damaged"
        self._restoring = None if self.is_copy else Restoring(target)
        _log.error(
            "history is damaged: it is set aside, and a new one begins with what can still be read", path=str(target),
            reason=reason,
        )  # fmt: skip

    def _let_go(self) -> None:
        connection, self._connection, self._pruner = self._connection, None, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _now_ms(self) -> int:
        """Return the clock's time; 0 where it is out of all bounds, so that ids count on from the newest."""
        now_ms = self._clock.now_ms()
        return now_ms if 0 <= now_ms < MAX_MILLISECONDS else 0


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - one call, no Path made each time
    except OSError:
        return None
    return found.st_dev, found.st_ino
