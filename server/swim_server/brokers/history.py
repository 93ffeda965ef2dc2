"""The writing side of the local history: gives ids, stores, remembers producers' names, and heals what it can."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from swim_server.brokers import history_file, holes
from swim_server.brokers.broker import BrokerUnavailable, InvalidEvent, Published
from swim_server.brokers.checksum import event_checksum, name_checksum
from swim_server.brokers.draft import Draft, NamesRotten, find_known
from swim_server.brokers.history_file import Synchronous, transaction
from swim_server.brokers.history_mark import newest_of, read_boot_id
from swim_server.brokers.history_rows import RowReader
from swim_server.brokers.marks import Marks
from swim_server.brokers.names import rebuild_names
from swim_server.brokers.origin import BEGUN, Hole, Identity, find_hole, identity_of
from swim_server.brokers.restoring import Restoring
from swim_server.brokers.retention import Pruner, Retention
from swim_server.brokers.trouble import HistoryDamaged, is_damage, unavailable
from swim_server.logs import get_logger
from swim_server.protocol.event_id import MAX_MILLISECONDS, ZERO, EventId
from swim_server.protocol.events import Event, NewEvent

MAX_WAL_BYTES = 64 * 1024 * 1024
"""A write-ahead log that checkpoints beside the commits can't keep at bay is written back between two commits."""
SMALLEST_PAGE_BYTES = 512
"""A file that is shorter SQLite takes for a new one."""
FUTURE_MS = 24 * 60 * 60 * 1000
"""A clock may have been so far ahead when a row was stored; an id beyond it is one that rotted."""

_INSERT = "INSERT INTO events (id, type, wire, crc) VALUES (?, ?, ?, ?)"
_INSERT_EVENT_ID = "INSERT OR REPLACE INTO event_ids (id, digest, crc) VALUES (?, ?, ?)"
_INSERT_TYPE = "INSERT OR IGNORE INTO types (type) VALUES (?)"
_AFTER = "SELECT id, type, wire, crc FROM events WHERE id > ? ORDER BY id"

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

    def __init__(
        self,
        path: Path,
        *,
        clock_ms: Callable[[], int],
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
        self.identity = Identity("", "")
        """Which installation and which order of events it is; empty before it was opened."""
        self._clock_ms = clock_ms
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
        self._types: set[str] = set()
        """Those that stand in the table of types."""
        self._rows = RowReader()
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
        """Let go of a little of what retention no longer keeps, or restore a little; True when more is due now."""

        def step(connection: sqlite3.Connection) -> bool:
            assert self._pruner is not None
            if self._restoring is not None:
                return self._restore(connection, self._restoring)
            before = self._pruner.removed
            is_more = self._pruner.step(self._now_ms(), at_least=at_least)
            self.removed += self._pruner.removed - before
            return is_more

        return self._on_sound_file(step)

    def look_after(self, *, damage: str | None = None) -> None:
        """Notice a file that was replaced under us; keep marks and write-ahead log in order.

        ``damage``: what was found in the file, twice, by whoever reads it.
        """
        if self._connection is not None and _identity(self.path) != self._identity:
            _log.error(
                "history was replaced or removed while in use: going on with what is there now", path=str(self.path)
            )
            self._let_go()
        if damage is not None and self._connection is not None:
            self._set_aside(damage)
        self._on_sound_file(self._shorten_wal)
        self._marks.look_after(self.newest)

    def record_unreadable(self, stretches: Sequence[tuple[int, int]]) -> list[Hole]:
        """Record stretches that are not what was stored; answer those that were not known."""

        def record(connection: sqlite3.Connection) -> list[Hole]:
            with transaction(connection):
                return holes.write_rotten(connection, stretches, self._now_ms())

        return self._on_sound_file(record)

    def rebuild_names(self) -> int:
        """Make the table of producers' names anew; answer how many are lost."""

        def rebuild(connection: sqlite3.Connection) -> int:
            with transaction(connection):
                return rebuild_names(connection)

        return self._on_sound_file(rebuild)

    def know_types(self, types: set[str]) -> None:
        """Every type that is stored is among these, or has been put down since."""

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.executemany(_INSERT_TYPE, [(event_type,) for event_type in types])
                holes.write_meta(connection, "types", "complete")
            self._types |= types

        if not types <= self._types:
            self._on_sound_file(write)

    def sync(self) -> None:
        """Wait until every commit so far is on the disk. Any thread; raises BrokerUnavailable."""
        try:
            history_file.sync(self.path)
        except OSError as error:
            raise unavailable(error, self.path) from error

    def close(self) -> None:
        """Bring everything to the disk and let go. Idempotent."""
        if self._connection is not None:
            is_whole = True
            try:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                history_file.sync(self.path)
            except (sqlite3.Error, OSError) as error:
                is_whole = False
                _log.error("history could not be brought to the disk as a whole", error=str(error))
            self._let_go()
            if is_whole:
                self._marks.close(self.newest)

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
        raise BrokerUnavailable(f"{self.path} is damaged again as soon as it is made: check its disk")

    def _set_aside_if_damaged(self, error: sqlite3.Error) -> None:
        """A second look, on another connection, decides: what the disk read wrong once may be right."""
        reason = str(error)
        try:
            if self.path.is_file():
                history_file.confirm_damage(self.path)
                self._let_go()
                return
        except HistoryDamaged as damage:
            reason = damage.reason
        except (sqlite3.Error, OSError) as trouble:
            if not (isinstance(trouble, sqlite3.Error) and is_damage(trouble)):
                self._let_go()
                raise unavailable(trouble, self.path) from trouble
        self._set_aside(reason)

    def _open(self) -> None:
        if self.path.is_dir():
            raise HistoryDamaged("it is a folder")
        size = self.path.stat().st_size if self.path.exists() else None
        if size is not None and (0 < size < SMALLEST_PAGE_BYTES or (size == 0 and self._marks.has_mark())):
            raise HistoryDamaged(f"it has {size} bytes")
        connection = self._connect(self.path)
        try:
            is_new = history_file.prepare(connection, self.path, self._synchronous)
            found = self._marks.find(holes.read_identity(connection), is_new=is_new)
            now = EventId(self._now_ms(), 0)
            latest = max(EventId(now.milliseconds + FUTURE_MS, 0), self.newest, newest_of(found.mark))
            end = holes.read_end(connection, latest.to_integer())
            hole = find_hole(
                found, stored=end.newest, known=self.newest, now=now, boot_id=self._boot_id, loss=self._loss
            )
            self._put_down(connection, end, hole, identity_of(found, hole, _draw()), is_new=is_new)
            if self._synchronous == "full" and not is_new:
                history_file.sync(self.path)  # what was committed under ``normal``, before the mark promises more
            pruner = Pruner(connection, self._retention)
        except BaseException:
            connection.close()
            raise
        self.newest = max(end.newest, hole.up_to if hole else ZERO)
        self.newest_shown = self.newest if hole and hole.reason != BEGUN else end.newest_shown
        self._connection, self._pruner, self._identity = connection, pruner, _identity(self.path)
        self.generation += 1
        self._loss = "lost"
        self._marks.begin(self.newest, self.identity)
        if self._restoring is None:
            self._restoring = Restoring.resume(connection, self.path)
        if self._restoring is not None:
            self._restore(connection, self._restoring, is_first=True)

    def _put_down(
        self, connection: sqlite3.Connection, end: holes.End, hole: Hole | None, identity: Identity, *, is_new: bool
    ) -> None:
        """Write into the file what opening it has shown, where that is new."""
        self.identity = identity
        self._types = {row[0] for row in connection.execute("SELECT type FROM types")}
        with transaction(connection):
            if not holes.seal_holes(connection):
                _log.error("what history knew of its gaps had rotted: clients that resume are told of a gap")
            if hole is not None:
                holes.write_hole(connection, hole, self._now_ms())
            holes.write_rotten(connection, [(packed - 1, packed) for packed in end.rotten], self._now_ms())
            if holes.read_identity(connection) != identity:
                holes.write_identity(connection, identity)
            if is_new:
                holes.write_meta(connection, "types", "complete")
        if hole is not None and hole.reason != BEGUN:
            _log.warning(
                "history has a gap, clients that resume from before it are told",
                reason=hole.reason,
                up_to=str(hole.up_to),
            )

    def _append(self, connection: sqlite3.Connection, calls: Sequence[Sequence[NewEvent]]) -> Appended:
        now_ms = self._now_ms()
        with transaction(connection):
            foreign = self._read_foreign(connection)
            newest = foreign[-1].id if foreign else self.newest
            draft = Draft(newest, now_ms, self._find_known(connection, calls, now_ms))
            answers = [draft.add(call) for call in calls]
            if draft.events:
                connection.executemany(_INSERT, [_row_of(event) for event in draft.events])
            if draft.names:
                connection.executemany(_INSERT_EVENT_ID, [_name_row(*each) for each in draft.names.items()])
            new_types = {event.type for event in draft.events} - self._types
            connection.executemany(_INSERT_TYPE, [(event_type,) for event_type in new_types])
        self._types |= new_types
        events = [*foreign, *draft.events]
        if events:
            self._committed(events[-1].id)
        return Appended(events, answers)

    def _find_known(
        self, connection: sqlite3.Connection, calls: Sequence[Sequence[NewEvent]], now_ms: int
    ) -> dict[str, EventId]:
        try:
            return find_known(connection, calls, now_ms)
        except NamesRotten:
            _log.error(
                "producers' names of events had rotted: made anew from what is left", lost=rebuild_names(connection)
            )
            return find_known(connection, calls, now_ms)

    def _read_foreign(self, connection: sqlite3.Connection) -> list[Event]:
        newest = connection.execute("SELECT max(id) FROM events").fetchone()[0]
        if newest is None or newest <= self.newest.to_integer():
            return []
        rows = connection.execute(_AFTER, (self.newest.to_integer(),))
        return [event for row in rows if (event := self._rows.event(row)) is not None]

    def _committed(self, newest: EventId) -> None:
        self.newest = self.newest_shown = newest
        self._marks.committed(newest)

    def _restore(self, connection: sqlite3.Connection, restoring: Restoring, *, is_first: bool = False) -> bool:
        """Bring over a little of what a damaged file still holds; True when more is due."""
        is_more = restoring.step(connection, self.newest, self._now_ms(), is_first=is_first)
        if not is_more:
            self._restoring = None
            self._types = {row[0] for row in connection.execute("SELECT type FROM types")}
        return is_more

    def _shorten_wal(self, connection: sqlite3.Connection) -> None:
        wal = self.path.with_name(f"{self.path.name}-wal")
        if wal.exists() and wal.stat().st_size > MAX_WAL_BYTES:
            connection.execute("PRAGMA busy_timeout = 200")
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            connection.execute(f"PRAGMA busy_timeout = {int(history_file.BUSY_SECONDS * 1000)}")

    def _set_aside(self, reason: str) -> None:
        self._let_go()
        self._restoring = None
        try:
            target = history_file.set_aside(self.path, datetime.fromtimestamp(self._now_ms() / 1000, UTC))
        except OSError as error:
            raise BrokerUnavailable(f"{self.path} is damaged ({reason}) and can't be moved: {error}") from error
        self._loss = "damaged"
        self._restoring = Restoring(target)
        _log.error(
            "history is damaged: set aside, a new one begins with what can still be read", path=str(target),
            reason=reason,
        )  # fmt: skip

    def _let_go(self) -> None:
        connection, self._connection, self._pruner = self._connection, None, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _now_ms(self) -> int:
        """The clock's time; 0 where it is out of all bounds, so that ids count on from the newest."""
        now_ms = self._clock_ms()
        return now_ms if 0 <= now_ms < MAX_MILLISECONDS else 0


def _row_of(event: Event) -> tuple[int, str, bytes, int]:
    packed = event.id.to_integer()
    return packed, event.type, event.wire, event_checksum(packed, event.type, event.wire)


def _name_row(digest: str, event_id: EventId) -> tuple[int, str, int]:
    packed = event_id.to_integer()
    return packed, digest, name_checksum(packed, digest)


def _draw() -> Identity:
    return Identity(secrets.token_hex(16), secrets.token_hex(4))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - one call, no Path made each time
    except OSError:
        return None
    return found.st_dev, found.st_ino
