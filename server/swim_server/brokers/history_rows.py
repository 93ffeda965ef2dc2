"""A stored row as an event, if it is still what was stored."""

from __future__ import annotations

from typing import Any

import msgspec

from swim_server.brokers.checksum import event_checksum
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import Event


class _Head(msgspec.Struct):
    type: str
    id: str
    data: dict[str, Any]


_head_decoder = msgspec.json.Decoder(_Head)


class RowReader:
    """Makes events of rows. Types are few, and decoded once each."""

    def __init__(self) -> None:
        self._types: dict[bytes | str, str] = {}

    def event(self, row: tuple[Any, Any, Any, Any]) -> Event | None:
        """Return the event of a row ``(id, type, wire, crc)``; None: it isn't what was stored.

        A row without a checksum is of an earlier version: it is accepted where it is JSON with the id of its row.
        """
        packed, raw_type, wire, crc = row
        if type(wire) is not bytes:
            return None
        event_type = self._types.get(raw_type)
        if event_type is None:
            event_type = self._type(raw_type)
            if event_type is None:
                return None
        if crc is None:
            return _unchecked(packed, event_type, wire)
        if event_checksum(packed, event_type, wire) != crc:
            return None
        return Event(EventId.from_integer(packed), event_type, wire)

    def _type(self, raw: Any) -> str | None:
        if not isinstance(raw, bytes | str):
            return None
        text = raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw
        if len(self._types) < 1000:
            self._types[raw] = text
        return text


def _unchecked(packed: int, event_type: str, wire: bytes) -> Event | None:
    try:
        head = _head_decoder.decode(wire)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    event_id = EventId.from_integer(packed)
    is_right = head.id == str(event_id) and event_type.partition("#")[0] == head.type
    return Event(event_id, event_type, wire) if is_right else None
