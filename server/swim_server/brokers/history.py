"""The writing side of the local history: gives ids, stores, remembers producers' names, and heals what it can."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from swim_server.brokers import history_file
from swim_server.brokers.broker import BrokerUnavailable, InvalidEvent, Published
from swim_server.brokers.draft import Draft, find_known
from swim_server.brokers.history_file import HistoryDamaged, Synchronous, transaction
from swim_server.brokers.history_mark import HistoryMark, Mark, read_boot_id
from swim_server.brokers.retention import Pruner, Retention
from swim_server.concurrency.clock import Clock
from swim_server.logs import get_logger
from swim_server.protocol.event_id import MAX_MILLISECONDS, ZERO, EventId
from swim_server.protocol.events import Event, NewEvent

MAX_WAL_BYTES = 64 * 1024 * 1024
"""A write-ahead log that checkpoints beside the commits can't keep at bay is written back between two commits."""
SMALLEST_PAGE_BYTES = 512
"""A file that is shorter SQLite takes for a new one."""
BEGUN = "begun"
"""The reason of the hole before a history that never lost anything: ids from there belong to another history."""

_NEWEST = """
    SELECT coalesce((SELECT max(id) FROM events), 0), coalesce((SELECT max(up_to) FROM pruned), 0),
           coalesce((SELECT max(up_to) FROM holes), 0), coalesce((SELECT max(up_to) FROM holes WHERE reason != ?), 0)
"""
_INSERT = "INSERT INTO events (id, type, wire) VALUES (?, ?, ?)"
_INSERT_EVENT_ID = "INSERT OR REPLACE INTO event_ids (id, digest) VALUES (?, ?)"
_AFTER = "SELECT id, type, wire FROM events WHERE id > ? ORDER BY id"

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
    is set aside and a new one begun.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        retention: Retention,
        synchronous: Synchronous = "normal",
        connect: history_file.Connect = history_file.connect,
        boot_id: str | None = None,
    ) -> None:
        self.path = path
        self.newest = ZERO
        """No id up to this one is ever given out again."""
        self.newest_shown = ZERO
        """The newest id that an event has, or may once have had."""
        self.generation = 0
        """Counts the files opened: whoever reads an older one opens anew."""
        self.removed = 0
        """Events let go of by retention since the start."""
        self._clock = clock
        self._retention = retention
        self._synchronous: Synchronous = synchronous
        self._connect = connect
        self._boot_id = read_boot_id() if boot_id is None else boot_id
        self._mark = HistoryMark(path.with_name(f"{path.stem}.mark"))
        self._is_mark_writable = True
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        """Device and inode of the file that is open."""
        self._pruner: Pruner | None = None
        self._loss = "lost"
        """What to call the hole if the file turns out to be gone."""

    def open(self) -> None:
        """Open the file, or begin one; afterwards ``newest`` is above every id that was ever given out."""
        self._on_sound_file(lambda _: None)

    def append(self, calls: Sequence[Sequence[NewEvent]]) -> Appended:
        """Store the events of several calls in one transaction. A call with an InvalidEvent is left out as a whole."""
        return self._on_sound_file(lambda connection: self._append(connection, calls))

    def take_foreign(self) -> list[Event]:
        """Read what another process on the same file has stored since the last look."""
        events = self._on_sound_file(self._read_foreign)
        if events:
            self._committed(events[-1].id)
        return events

    def prune(self, *, at_least: int = 0) -> bool:
        """Let go of a little of what retention no longer keeps; True when more is due now."""

        def step(_: sqlite3.Connection) -> bool:
            assert self._pruner is not None
            before = self._pruner.removed
            is_more = self._pruner.step(self._now_ms(), at_least=at_least)
            self.removed += self._pruner.removed - before
            return is_more

        return self._on_sound_file(step)

    def look_after(self, *, is_suspect: bool) -> None:
        """Notice a file that was replaced under us, or damaged; keep the write-ahead log short."""
        if self._connection is not None and _identity(self.path) != self._identity:
            _log.error(
                "history was replaced or removed while in use: going on with what is there now", path=str(self.path)
            )
            self._let_go()
        self._on_sound_file(self._verify if is_suspect else self._shorten_wal)

    def close(self) -> None:
        """Bring everything to the disk and let go. Idempotent."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self._let_go()
            mark = self._mark.read()
            if mark is None or mark.newest <= self.newest:  # else another process goes on with it
                self._write_mark(is_clean=True)
        self._mark.close()

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
                if not history_file.is_damage(error):
                    raise history_file.unavailable(error, self.path) from error
                self._set_aside(str(error))
            except OSError as error:
                raise history_file.unavailable(error, self.path) from error
        raise BrokerUnavailable(f"{self.path} is damaged again as soon as it is made: check its disk")

    def _open(self) -> None:
        mark = self._mark.read()
        if self.path.is_dir():
            raise HistoryDamaged("it is a folder")
        size = self.path.stat().st_size if self.path.exists() else None
        if size is not None and (0 < size < SMALLEST_PAGE_BYTES or (size == 0 and mark is not None)):
            raise HistoryDamaged(f"it has {size} bytes")
        connection = self._connect(self.path)
        try:
            is_new = history_file.prepare(connection, self._synchronous)
            event, pruned, hole, hole_shown = connection.execute(_NEWEST, (BEGUN,)).fetchone()
            stored = EventId.from_integer(max(event, pruned, hole))
            found = self._find_hole(mark, stored, is_new)
            if found is not None:
                self._record_hole(connection, stored, *found)
            pruner = Pruner(connection, self._retention)
        except BaseException:
            connection.close()
            raise
        self.newest = max(stored, found[0] if found else ZERO)
        shown = EventId.from_integer(max(event, pruned, hole_shown))
        self.newest_shown = self.newest if found and found[1] != BEGUN else shown
        self._connection, self._pruner, self._identity = connection, pruner, _identity(self.path)
        self.generation += 1
        self._loss = "lost"
        self._write_mark(is_clean=False)

    def _find_hole(self, mark: Mark | None, stored: EventId, is_new: bool) -> tuple[EventId, str] | None:
        """Up to which id events may be missing behind the newest stored one, and why; None when none can be."""
        known = max(self.newest, mark.newest if mark else ZERO)
        now = EventId(self._now_ms(), 0)
        if known > stored:
            return known, self._loss if is_new else "restored"
        if is_new:
            return now, BEGUN
        is_other_boot = mark is not None and mark.boot_id != self._boot_id and bool(mark.boot_id and self._boot_id)
        if mark is not None and is_other_boot and not mark.is_clean and self._synchronous != "full":
            return max(now, EventId(min(stored.milliseconds + 1000, MAX_MILLISECONDS), 0)), "power cut"
        return None

    def _record_hole(self, connection: sqlite3.Connection, after: EventId, up_to: EventId, reason: str) -> None:
        row = (up_to.to_integer(), after.to_integer(), reason, self._now_ms())
        with transaction(connection):
            connection.execute("INSERT OR REPLACE INTO holes (up_to, after, reason, at_ms) VALUES (?, ?, ?, ?)", row)
        if reason != BEGUN:
            _log.warning(
                "history has a gap, clients that resume from before it are told", reason=reason, up_to=str(up_to)
            )

    def _append(self, connection: sqlite3.Connection, calls: Sequence[Sequence[NewEvent]]) -> Appended:
        now_ms = self._now_ms()
        with transaction(connection):
            foreign = self._read_foreign(connection)
            newest = foreign[-1].id if foreign else self.newest
            draft = Draft(newest, now_ms, find_known(connection, calls, now_ms))
            answers = [draft.add(call) for call in calls]
            if draft.events:
                connection.executemany(
                    _INSERT, [(event.id.to_integer(), event.type, event.wire) for event in draft.events]
                )
            if draft.names:
                names = [(event_id.to_integer(), digest) for digest, event_id in draft.names.items()]
                connection.executemany(_INSERT_EVENT_ID, names)
        events = [*foreign, *draft.events]
        if events:
            self._committed(events[-1].id)
        return Appended(events, answers)

    def _read_foreign(self, connection: sqlite3.Connection) -> list[Event]:
        newest = connection.execute("SELECT max(id) FROM events").fetchone()[0]
        if newest is None or newest <= self.newest.to_integer():
            return []
        rows = connection.execute(_AFTER, (self.newest.to_integer(),))
        return [Event(EventId.from_integer(packed), event_type, wire) for packed, event_type, wire in rows]

    def _committed(self, newest: EventId) -> None:
        self.newest = self.newest_shown = newest
        self._write_mark()

    def _write_mark(self, *, is_clean: bool | None = None) -> None:
        """Put down the newest id; ``is_clean`` given: at open and close, waiting for the disk."""
        mark = Mark(self.newest, self._boot_id, bool(is_clean))
        try:
            if is_clean is None:
                self._mark.write(mark)
            else:
                self._mark.write_through(mark)
        except OSError as error:
            if self._is_mark_writable:
                _log.warning("the mark beside history can't be written", path=str(self._mark.path), error=str(error))
            self._is_mark_writable = False
        else:
            self._is_mark_writable = True

    def _verify(self, _: sqlite3.Connection) -> None:
        fresh = history_file.connect_read_only(self.path)  # what is open already may hold sound pages in memory
        try:
            history_file.verify(fresh)
        finally:
            fresh.close()

    def _shorten_wal(self, connection: sqlite3.Connection) -> None:
        wal = self.path.with_name(f"{self.path.name}-wal")
        if wal.exists() and wal.stat().st_size > MAX_WAL_BYTES:
            connection.execute("PRAGMA busy_timeout = 200")
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            connection.execute(f"PRAGMA busy_timeout = {int(history_file.BUSY_SECONDS * 1000)}")

    def _set_aside(self, reason: str) -> None:
        self._let_go()
        try:
            target = history_file.set_aside(self.path, datetime.fromtimestamp(self._now_ms() / 1000, UTC))
        except OSError as error:
            raise BrokerUnavailable(f"{self.path} is damaged ({reason}) and can't be moved: {error}") from error
        self._loss = "damaged"
        _log.error("history is damaged: set aside, a new one begins", path=str(target), reason=reason)

    def _let_go(self) -> None:
        connection, self._connection, self._pruner = self._connection, None, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _now_ms(self) -> int:
        """The clock's time; 0 where it is out of all bounds, so that ids count on from the newest."""
        now_ms = self._clock.now_ms()
        return now_ms if 0 <= now_ms < MAX_MILLISECONDS else 0


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - one call, no Path made each time
    except OSError:
        return None
    return found.st_dev, found.st_ino
