"""The content of a commit: the events of several calls with their ids, each producer's event id at most once a day."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from hashlib import blake2b

from swim_server.brokers.broker import InvalidEvent, Published
from swim_server.brokers.checksum import name_checksum
from swim_server.brokers.retention import EVENT_ID_KEEP_MS
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import Event, NewEvent, stamp
from swim_server.protocol.positions import MAX_MESSAGE_BYTES, split

MAX_TYPE_CHARACTERS = 200
_KNOWN = "SELECT digest, id, crc FROM event_ids WHERE digest IN (SELECT value FROM json_each(?))"


class NamesRotten(Exception):
    """A producer's event id does not match its checksum: the table of names must be rebuilt before it is used."""


class Draft:
    """The content of a transaction: ids are assigned here, one call after the other."""

    def __init__(self, newest: EventId, now_ms: int, known: dict[str, EventId]) -> None:
        self.events: list[Event] = []
        self.names: dict[str, EventId] = {}
        """Digests of new producer event ids, with the ids of their events."""
        self._newest = newest
        self._now_ms = now_ms
        self._known = known

    def add(self, call: Sequence[NewEvent]) -> list[Published] | InvalidEvent:
        """Add all events of a call, or none."""
        newest = self._newest
        events: list[Event] = []
        names: dict[str, EventId] = {}
        answers: list[Published] = []
        for index, event in enumerate(call):
            digest = None if event.event_id is None else digest_of(event.event_id)
            first = None if digest is None else names.get(digest) or self.names.get(digest) or self._known.get(digest)
            if first is not None:
                answers.append(Published(str(first), duplicate=True))
                continue
            try:
                for part in parts_of(event):
                    newest = newest.next(self._now_ms)
                    events.append(_stamp(part, newest))
            except (TypeError, ValueError, OverflowError, RecursionError) as error:
                return InvalidEvent(index, str(error) or type(error).__name__)
            if digest is not None:
                names[digest] = newest
            answers.append(Published(str(newest)))
        self._newest = newest
        self.events += events
        self.names |= names
        return answers


def parts_of(event: NewEvent) -> list[NewEvent]:
    """Return the events that one is stored as. Raises ValueError or TypeError if it can't be stored."""
    if not isinstance(event.type, str) or not 0 < len(event.type) <= MAX_TYPE_CHARACTERS:
        raise ValueError(f"its type must be a string of 1 to {MAX_TYPE_CHARACTERS} characters")
    if not isinstance(event.data, dict):
        raise TypeError(f"its data must be an object, not {type(event.data).__name__}")
    return split(event)


def _stamp(event: NewEvent, event_id: EventId) -> Event:
    stamped = stamp(event, event_id)
    if len(stamped.wire) > MAX_MESSAGE_BYTES:
        size = f"it makes a message of {len(stamped.wire):,} bytes"
        raise ValueError(f"{size}, at most {MAX_MESSAGE_BYTES:,} are sent: split it or leave something out")
    return stamped


def find_known(connection: sqlite3.Connection, calls: Sequence[Sequence[NewEvent]], now_ms: int) -> dict[str, EventId]:
    """Return the ids for those producer event ids of the calls that were published within the last day.

    Raises NamesRotten.
    """
    digests = [digest_of(event.event_id) for call in calls for event in call if event.event_id is not None]
    if not digests:
        return {}
    oldest = EventId(max(now_ms - EVENT_ID_KEEP_MS, 0), 0).to_integer()
    known: dict[str, EventId] = {}
    for digest, packed, crc in connection.execute(_KNOWN, (json.dumps(digests),)):
        if crc is not None and crc != name_checksum(packed, digest):
            raise NamesRotten(digest)
        if packed >= oldest:
            known[digest] = EventId.from_integer(packed)
    return known


def digest_of(event_id: str) -> str:
    """Return the digest under which a producer's event id is remembered."""
    return blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
