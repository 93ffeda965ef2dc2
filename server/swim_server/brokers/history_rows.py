"""A stored row as an event, if it still holds what was stored."""

from __future__ import annotations

from typing import Any

import msgspec

from swim_server.brokers.checksum import HALF, MASK, crc32, type_seed
from swim_server.protocol.event_id import MAX_SEQUENCE, SEQUENCE_BITS, EventId
from swim_server.protocol.events import Event


class _Head(msgspec.Struct):
    type: str
    id: str
    data: dict[str, Any]


_new = tuple.__new__
"""``EventId.from_integer`` without its two calls: every event that is read pays for this."""
_head_decoder = msgspec.json.Decoder(_Head)


class RowReader:
    """Converts rows to events. Types are few, and decoded once each."""

    def __init__(self) -> None:
        self._types: dict[bytes | str, tuple[str, int]] = {}
        """Stored type → the type, and the start value of its events' checksums."""

    def event(self, row: tuple[Any, Any, Any, Any]) -> Event | None:
        """Return the event of a row ``(id, type, wire, crc)``; None: it is damaged.

        A row without a checksum is from an earlier version: it is accepted if it is JSON with the id of its row.
        """
        packed, raw_type, wire, crc = row
        if type(wire) is not bytes:
            return None
        known = self._types.get(raw_type) or self._type(raw_type)
        if known is None:
            return None
        event_type, seed = known
        if crc is None:
            return _unchecked(packed, event_type, wire)
        if crc32(wire, (packed ^ packed >> 32 ^ seed) & MASK) - HALF != crc:  # as event_checksum does
            return None
        return Event(_new(EventId, (packed >> SEQUENCE_BITS, packed & MAX_SEQUENCE)), event_type, wire)

    def _type(self, raw: object) -> tuple[str, int] | None:
        if not isinstance(raw, bytes | str):
            return None
        text = raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw
        known = text, type_seed(text)
        if len(self._types) < 1000:
            self._types[raw] = known
        return known


def _unchecked(packed: int, event_type: str, wire: bytes) -> Event | None:
    try:
        head = _head_decoder.decode(wire)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    event_id = EventId.from_integer(packed)
    is_right = head.id == str(event_id) and event_type.partition("#")[0] == head.type
    return Event(event_id, event_type, wire) if is_right else None
