"""Events: what a source produces, and what history keeps and clients receive."""

from __future__ import annotations

from functools import cached_property

import msgspec

from swim_server.protocol.channels import family_of
from swim_server.protocol.control_characters import escape_json
from swim_server.protocol.event_id import EventId
from swim_server.protocol.json_data import JsonObject
from swim_server.protocol.timestamps import format_ms

_encoder = msgspec.json.Encoder()
_DATA = b'"data":'
"""The beginning of the last member of the wire form; no member before it can contain these bytes."""


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, as its source reports it. A source doesn't know who subscribes."""

    type: str
    """``family.name``, e.g. ``flight.departed``."""
    data: JsonObject
    """JSON values only: dict, list, str, int, float, bool, None."""
    timestamp_ms: int | None = None
    """When it happened, milliseconds since the epoch, UTC. None: the broker uses the time of arrival."""
    event_id: str | None = None
    """The producer's own id for it. A repeat within a day is not published again."""


class Event:
    """A stored event: it has an id and its wire form, encoded once for all clients. Immutable."""

    def __init__(self, id: EventId, type: str, wire: bytes, data: JsonObject | None = None) -> None:
        self.id = id
        self.type = type
        self.wire = wire
        """The complete JSON message, UTF-8, as clients receive it."""
        if data is not None:
            self.data = data

    @cached_property
    def data(self) -> JsonObject:
        """Return the event's ``data``, decoded from the wire form on first access. Must not be modified."""
        data: JsonObject = msgspec.json.decode(self.wire)["data"]
        return data

    @property
    def family(self) -> str:
        """The part of the type before the first dot."""
        return family_of(self.type)

    def with_data(self, data: JsonObject) -> Event:
        """Return the same event with other ``data``: what a filter leaves of a batch."""
        head = self.wire[: self.wire.index(_DATA) + len(_DATA)]
        return Event(self.id, self.type, b"%b%b}" % (head, escape_json(_encoder.encode(data))), data)

    def __repr__(self) -> str:
        return f"Event({self.id}, {self.type})"


def stamp(event: NewEvent, event_id: EventId) -> Event:
    """Give a new event its id and encode it, once for all clients."""
    milliseconds = event_id.milliseconds if event.timestamp_ms is None else event.timestamp_ms
    return encode(event.type, format_ms(milliseconds), event_id, event.data)


def encode(type: str, timestamp: str, event_id: EventId, data: JsonObject) -> Event:
    """Build the event with the wire form ``{"type","timestamp","id","data"}``; the type ends before a ``#``."""
    wire = _encoder.encode({"type": type.partition("#")[0], "timestamp": timestamp, "id": str(event_id), "data": data})
    return Event(event_id, type, escape_json(wire), data)
