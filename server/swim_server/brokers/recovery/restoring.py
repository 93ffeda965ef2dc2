"""Copies what a damaged history still holds into the new one, a little at a time, and narrows the holes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from swim_server.brokers import holes
from swim_server.brokers.checksum import event_checksum, name_checksum
from swim_server.brokers.history_file import transaction
from swim_server.brokers.origin import Hole
from swim_server.brokers.recovery.pages import Stretch
from swim_server.brokers.recovery.salvage import NAMES_MISSING, Account, Name, Piece, read_account, salvage
from swim_server.logs import get_logger
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import Event

FIRST_SECONDS = 2.0
"""How long the start waits for the recovery; the rest is recovered while the service runs."""
STEP_SECONDS = 0.02
PAUSE_SECONDS = 5.0
"""Delay after a disk problem."""
MAX_HOLES = 1000
DAMAGED, UNREADABLE = "damaged", "unreadable"
_NOTE = "restoring"
"""Key, in the new history, of the file that is being recovered, so that recovery continues after a restart."""

_INSERT = "INSERT OR IGNORE INTO events (id, type, wire, crc) VALUES (?, ?, ?, ?)"
_INSERT_NAME = "INSERT OR IGNORE INTO event_ids (id, digest, crc) VALUES (?, ?, ?)"
_REMEMBER = """
    INSERT INTO pruned (type, up_to) VALUES (?, ?) ON CONFLICT (type) DO UPDATE SET up_to = max(up_to, excluded.up_to)
"""
_log = get_logger("broker")


class Restoring:
    """The recovery of one damaged file. Until it ends, one gap covers all of it, and clients that resume are told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.restored = 0
        self.lacks_names = False
        """Some producers' event ids are lost: a repeat of one would be stored again."""
        self.trouble: str | None = None
        """Why the file could not be read last time."""
        self._pieces: Iterator[Piece] | None = None
        self._account: Account | None = None
        self._pruned: dict[str, int] = {}
        self._lost: list[Stretch] = []
        self._newest = 0
        self._again_at = 0.0

    @classmethod
    def resume(cls, connection: sqlite3.Connection, history: Path) -> Restoring | None:
        """Continue what an earlier process did not finish; None: there is nothing to continue."""
        name = holes.read_meta(connection, _NOTE)
        path = history.with_name(name) if name is not None and "/" not in name else None
        return cls(path) if path is not None and path.is_file() else None

    def step(self, connection: sqlite3.Connection, newest: EventId, now_ms: int, *, is_first: bool = False) -> bool:
        """Recover a little in one transaction; True if more is due. What the disk can't read is retried later."""
        if time.monotonic() < self._again_at:
            return True
        deadline = time.monotonic() + (FIRST_SECONDS if is_first else STEP_SECONDS)
        try:
            if self._pieces is None:
                self._begin(connection)
            assert self._pieces is not None
            with transaction(connection):
                for piece in self._pieces:
                    self._take(connection, piece)
                    if time.monotonic() >= deadline:
                        return True
                self._finish(connection, newest, now_ms)
        except OSError as error:
            _log.warning("the rest of a damaged history can't be read at the moment", error=str(error))
            self.trouble = str(error)
            self._pieces, self._again_at = None, time.monotonic() + PAUSE_SECONDS
            return True
        if self.lacks_names:
            _log.error("some producers' event ids are lost: the same events, published again, are stored again")
        _log.info(
            "recovered what could be read of the damaged history; the damaged file is kept",
            path=str(self.path), events=self.restored, gaps=len(self._lost), names_missing=self.lacks_names,
        )  # fmt: skip
        return False

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Begin, or begin again after trouble: what was already copied is skipped."""
        self.restored, self._lost, self._newest = 0, [], 0
        self._account = read_account(self.path)
        self._pruned = dict(self._account.pruned) if self._account is not None else {}
        self._pieces = salvage(self.path) if self.path.is_file() else iter(())
        with transaction(connection):
            holes.write_meta(connection, _NOTE, self.path.name)

    def _take(self, connection: sqlite3.Connection, piece: Piece) -> None:
        if isinstance(piece, Stretch):
            self._lost.append(piece)
        elif piece is NAMES_MISSING:
            self.lacks_names = True
        elif isinstance(piece, Name):
            row = (piece.packed_id, piece.digest, name_checksum(piece.packed_id, piece.digest))
            connection.execute(_INSERT_NAME, row)
        else:
            self._take_event(connection, piece)

    def _take_event(self, connection: sqlite3.Connection, event: Event) -> None:
        packed = event.id.to_integer()
        if packed <= self._pruned.get(event.type, -1):
            return  # retention had removed it
        row = (packed, event.type, event.wire, event_checksum(packed, event.type, event.wire))
        self.restored += max(0, connection.execute(_INSERT, row).rowcount)
        self._newest = max(self._newest, packed)

    def _finish(self, connection: sqlite3.Connection, newest: EventId, now_ms: int) -> None:
        """Replace the single hole by those that remain."""
        covered = connection.execute("SELECT max(up_to) FROM holes WHERE reason = ?", (DAMAGED,)).fetchone()[0]
        end = max(newest.to_integer(), self._newest) if covered is None else covered
        connection.execute("DELETE FROM holes WHERE reason = ?", (DAMAGED,))
        lost = [*self._lost, *([Stretch(self._newest, end)] if self._newest < end else [])]
        if self._account is None:
            lost = [Stretch(-1, end)]
        for event_type, up_to in self._account.pruned if self._account is not None else ():
            connection.execute(_REMEMBER, (event_type, up_to))
        for up_to, after, reason in self._account.holes if self._account is not None else ():
            holes.write_hole(connection, Hole(_id(after), _id(up_to), reason), now_ms)
        for after, up_to in _merged(lost, end):
            holes.write_hole(connection, Hole(_id(after), _id(up_to), UNREADABLE), now_ms)
        connection.execute("INSERT OR IGNORE INTO types (type) SELECT DISTINCT type FROM events")
        holes.write_meta(connection, _NOTE, None)


def _merged(lost: list[Stretch], end: int) -> list[Stretch]:
    """Return the ranges in order, none beyond ``end``, adjacent ones merged; a very large number becomes one range."""
    merged: list[Stretch] = []
    for after, up_to in sorted(Stretch(max(each.after, 0), min(each.up_to, end)) for each in lost):
        if up_to <= after:
            continue
        if merged and after <= merged[-1].up_to:
            merged[-1] = Stretch(merged[-1].after, max(merged[-1].up_to, up_to))
        else:
            merged.append(Stretch(after, up_to))
    if len(merged) > MAX_HOLES:
        return [Stretch(merged[0].after, merged[-1].up_to)]
    return merged


def _id(packed: int) -> EventId:
    return EventId.from_integer(packed) if packed > 0 else ZERO
