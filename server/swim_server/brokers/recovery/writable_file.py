"""The history file while it is open for writing: what proves damaged is set aside, and a new file begun."""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from swim_server.brokers import history_file
from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.history_file import FileOptions
from swim_server.brokers.history_mark import read_boot_id
from swim_server.brokers.marks import Marks
from swim_server.brokers.opening import Known, take_stock
from swim_server.brokers.origin import Identity
from swim_server.brokers.recovery.restoring import Restoring
from swim_server.brokers.recovery.second_look import find_damage
from swim_server.brokers.recovery.trouble_note import TroubleNote
from swim_server.brokers.retention import Pruner, Retention
from swim_server.brokers.storing import StoredTypes
from swim_server.brokers.trouble import DiskTrouble, HistoryDamaged, is_damage, unavailable
from swim_server.concurrency.clock import Clock
from swim_server.logs import get_logger
from swim_server.protocol.event_id import MAX_MILLISECONDS, ZERO

SET_ASIDE_AT_ONCE, SET_ASIDE_SECONDS = 5, 60.0
"""Limits the files set aside, so that a disk that damages every write is not filled with them."""
SMALLEST_PAGE_BYTES = 512
"""SQLite treats a shorter file as a new one."""

_log = get_logger("broker")
T = TypeVar("T")


class WritableFile:
    """Opens the file when it is first needed, and again after damage. Every method blocks and belongs to one thread.

    Raises BrokerUnavailable if a disk, a lock or a permission is the problem; the next call tries again. What can still
    be read of a damaged file is copied into the new one, a little at a time.
    """

    is_copy = False
    """Whether what it lacks can be read again from where the events got their ids."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        retention: Retention,
        options: FileOptions = FileOptions(),
    ) -> None:
        self.path = path
        self.trouble_note = TroubleNote(path, options.notes)
        self.newest = ZERO
        """No id up to this one is ever given again."""
        self.newest_shown = ZERO
        """The newest id that an event has, or may once have had."""
        self.found = ZERO
        """The newest id shown when the file was first opened."""
        self.generation = 0
        """Counts the files opened: readers of an older one reopen."""
        self.removed = 0
        """Events removed by retention since the start."""
        self.identity = Identity("", "")
        """The installation and order of events; empty before it was opened."""
        self._clock = clock
        self._retention = retention
        self._synchronous = options.synchronous
        self._connect = options.connect
        self._boot_id = read_boot_id() if options.boot_id is None else options.boot_id
        self._marks = Marks(path, writer=secrets.token_hex(8), boot_id=self._boot_id, mode=options.synchronous)
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        """Device and inode of the file that is open."""
        self._pruner: Pruner | None = None
        self._restoring: Restoring | None = None
        """The recovery of a damaged file, while there is one."""
        self._types: StoredTypes | None = None
        self._set_aside_at: deque[float] = deque(maxlen=SET_ASIDE_AT_ONCE)
        """Monotonic times at which files were set aside."""
        self._loss = "lost"
        """The reason recorded for the hole if the file turns out to be gone."""
        self._are_names_damaged = False
        """The table of producers' names must be rebuilt when the file is opened."""

    def _on_sound_file(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` with the file open; if the file proves damaged, set it aside and run it with a new one."""
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
        """Check again, as a failed read may have looked like damage. Raises BrokerUnavailable.

        If only producers' event ids are damaged, the next opening rebuilds their table.
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

    def _restore(self, connection: sqlite3.Connection, restoring: Restoring, *, is_first: bool = False) -> bool:
        """Recover a little of what a damaged file still holds; True if more is due."""
        is_more = restoring.step(connection, self.newest, self._now_ms(), is_first=is_first)
        if not is_more:
            self._restoring = None
            self._types = StoredTypes(connection)
        return is_more

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

    def _is_replaced(self) -> bool:
        """Tell whether the path no longer names the file that is open."""
        return self._connection is not None and _identity(self.path) != self._identity

    def _let_go(self) -> None:
        connection, self._connection, self._pruner = self._connection, None, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _now_ms(self) -> int:
        """Return the clock's time; 0 if it is out of range, so that ids continue from the newest."""
        now_ms = self._clock.now_ms()
        return now_ms if 0 <= now_ms < MAX_MILLISECONDS else 0


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - one call, no Path made each time
    except OSError:
        return None
    return found.st_dev, found.st_ino
