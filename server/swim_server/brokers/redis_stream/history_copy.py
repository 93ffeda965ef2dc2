"""A node's own copy of a history whose ids are given elsewhere: events arrive with their ids and can be read again."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from swim_server.brokers import holes
from swim_server.brokers.draft import Draft
from swim_server.brokers.history import History
from swim_server.brokers.history_file import transaction
from swim_server.brokers.origin import Hole
from swim_server.brokers.storing import read_after, store
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import Event
from swim_server.protocol.positions import POSITION_TYPES

_REMEMBER = """
    INSERT INTO pruned (type, up_to) VALUES (?, ?) ON CONFLICT (type) DO UPDATE SET up_to = max(up_to, excluded.up_to)
"""
_STREAM = "stream"


class CopyEndsEarlier(Exception):
    """The copy ends before the event that is to be followed: it was damaged, and must be read again from there."""

    def __init__(self, newest: EventId) -> None:
        self.newest = newest
        super().__init__(str(newest))


class CopyState(msgspec.Struct, frozen=True):
    """What the copy is of, and how far it reaches."""

    newest: EventId
    """Everything up to here was read, or is lost."""
    last_event: EventId | None
    """The newest event that is stored; None: none is."""
    stream: str | None
    """The installation whose stream it copies; None: none yet."""

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was ever stored here."""
        return self.last_event is None and self.newest == ZERO


class HistoryCopy(History):
    """The copy as its only writer sees it. Every method blocks; raises BrokerUnavailable."""

    is_copy = True

    def adopt(self, events: Sequence[Event], after: EventId) -> list[Event]:
        """Store events that follow ``after``; return those not delivered yet, beginning with another process's.

        Raises CopyEndsEarlier if the copy no longer reaches ``after``.
        """

        def write(connection: sqlite3.Connection) -> list[Event]:
            assert self._types is not None
            with transaction(connection):
                foreign = read_after(connection, self.newest, self._rows)
                newest = foreign[-1].id if foreign else self.newest
                if newest < after:
                    raise CopyEndsEarlier(newest)
                draft = Draft(newest, 0, {})
                draft.events = [event for event in events if event.id > newest]
                store(connection, draft, self._types)
            self._types.committed()
            found = [*foreign, *draft.events]
            if found:
                self._committed(found[-1].id)
            return found

        return self._on_sound_file(write)

    def look(self) -> CopyState:
        """Return the state of the copy."""

        def read(connection: sqlite3.Connection) -> CopyState:
            last = connection.execute("SELECT max(id) FROM events").fetchone()[0]
            last_event = None if last is None else EventId.from_integer(last)
            return CopyState(self.newest, last_event, holes.read_meta(connection, _STREAM))

        return self._on_sound_file(read)

    def follow(self, stream: str) -> None:
        """Record whose stream it copies."""

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                holes.write_meta(connection, _STREAM, stream)

        self._on_sound_file(write)

    def note_hole(self, hole: Hole) -> bool:
        """Record events that are lost; False if that was known."""

        def write(connection: sqlite3.Connection) -> bool:
            up_to = hole.up_to.to_integer()
            known = connection.execute("SELECT after FROM holes WHERE up_to = ?", (up_to,)).fetchone()
            if known is not None and known[0] <= hole.after.to_integer():
                return False
            with transaction(connection):
                holes.write_hole(connection, hole, self._now_ms())
            return True

        return self._on_sound_file(write)

    def note_positions_gone(self, up_to: EventId) -> None:
        """Record that positions up to an id were trimmed before they were copied."""

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.executemany(_REMEMBER, [(each, up_to.to_integer()) for each in POSITION_TYPES])

        self._on_sound_file(write)
