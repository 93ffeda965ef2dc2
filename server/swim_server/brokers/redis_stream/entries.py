"""An event as an entry of a stream: everything but its id, which the server gives. All nodes encode it identically."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from swim_server.protocol.control_characters import escape_json
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import Event, NewEvent
from swim_server.protocol.positions import MAX_MESSAGE_BYTES
from swim_server.protocol.timestamps import format_ms

Entry = tuple[bytes, list[bytes]]
"""An entry of a stream as the server returns it: its id and its fields."""
FIELD = b"event"
_FIXED_BYTES = len(b'{"type":,"timestamp":"2026-01-16T14:30:15.000Z","id":"","data":}')
_encoder = msgspec.json.Encoder()


class InvalidEntry(ValueError):
    """An entry that no node of this version wrote."""


def encode_entry(event: NewEvent) -> tuple[bytes, int]:
    """Return the entry of an event, and how long its id may be. Raises ValueError, TypeError, OverflowError."""
    event_type, data = event.type.encode(), escape_json(_encoder.encode(event.data))
    timestamp = "" if event.timestamp_ms is None else format_ms(event.timestamp_ms)
    room = MAX_MESSAGE_BYTES - _FIXED_BYTES - len(_shown_type(event.type)) - len(data)
    if room <= 0:
        raise ValueError(too_long(MAX_MESSAGE_BYTES - room + 15))
    return b"%b\n%b\n%b" % (event_type, timestamp.encode(), data), room


def too_long(size: int) -> str:
    """Return the error for an event whose message is too long."""
    text = f"it makes a message of {size:,} bytes, at most {MAX_MESSAGE_BYTES:,} are sent"
    return f"{text}: divide it or leave something out"


def message_bytes(room: int, event_id_bytes: int) -> int:
    """Return the size of the message of an event with this much space for its id."""
    return MAX_MESSAGE_BYTES - room + event_id_bytes


class EntryReader:
    """Converts entries to events. Types are few, and decoded once each."""

    def __init__(self) -> None:
        self._types: dict[bytes, tuple[str, bytes]] = {}
        self._formatted = -1, b""
        """The last time and its text: events of one commit have the same."""

    def _timestamp(self, milliseconds: int) -> bytes:
        if self._formatted[0] != milliseconds:
            self._formatted = milliseconds, format_ms(milliseconds).encode()
        return self._formatted[1]

    def event(self, raw_id: bytes, fields: list[bytes]) -> Event:
        """Return the event of an entry. Raises InvalidEntry."""
        if len(fields) != 2 or fields[0] != FIELD:
            raise InvalidEntry(f"entry {raw_id.decode(errors='replace')} holds no event")
        parts = fields[1].rsplit(b"\n", 2)
        if len(parts) != 3:
            raise InvalidEntry(f"entry {raw_id.decode(errors='replace')} holds no event")
        raw_type, timestamp, data = parts
        event_id = read_id(raw_id)
        event_type, shown = self._types.get(raw_type) or self._type(raw_type)
        if not timestamp:
            timestamp = self._timestamp(event_id.milliseconds)
        wire = b'{"type":%b,"timestamp":"%b","id":"%b","data":%b}' % (shown, timestamp, raw_id, data)
        return Event(event_id, event_type, wire)

    def _type(self, raw: bytes) -> tuple[str, bytes]:
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise InvalidEntry(f"a type is no UTF-8: {raw[:40]!r}") from None
        known = text, _shown_type(text)
        if len(self._types) < 1000:
            self._types[raw] = known
        return known


def read_id(raw: bytes) -> EventId:
    """Read an id given by the server."""
    milliseconds, _, sequence = raw.partition(b"-")
    return EventId(int(milliseconds), int(sequence))


def merge(events: Sequence[Entry], positions: Sequence[Entry], limit: int) -> list[Any]:
    """Merge two streams in the order of ids.

    If the limit cut one of them short, only events up to its last id are known to be complete.
    """
    merged = [*events, *positions]
    if events and positions:
        merged.sort(key=lambda entry: read_id(entry[0]))
    cuts = [read_id(entries[-1][0]) for entries in (events, positions) if len(entries) >= limit]
    if not cuts:
        return merged
    cut = min(cuts)
    while read_id(merged[-1][0]) > cut:
        merged.pop()
    return merged


@lru_cache(maxsize=1000)
def _shown_type(event_type: str) -> bytes:
    return escape_json(_encoder.encode(event_type.partition("#")[0]))
