"""Batches of positions: split so that a message never exceeds what a client with a fixed buffer can take."""

from __future__ import annotations

from typing import Any

import msgspec

from swim_server.protocol.events import NewEvent
from swim_server.protocol.json_data import JsonObject
from swim_server.protocol.normalise import with_numbers

POSITION = "flight.position"
"""The type of an event with one position."""
POSITIONS = "flight.positions"
"""The type of an event with a batch of them."""
POSITION_TYPES = (POSITION, POSITIONS)
MAX_POSITIONS = 280
"""Maximum number of positions in one message."""
MAX_MESSAGE_BYTES = 65_535
"""Maximum length of any message: one client reads into a buffer of 65,536 bytes."""

NEVER_NULL = ("altitude_ft", "groundspeed_kts", "heading_deg", "vertical_rate_fpm")
"""Fields of a position in a batch that are always numbers."""
_ENVELOPE_BYTES = 256
"""An upper bound for type, timestamp, id, count and brackets together."""
_encoder = msgspec.json.Encoder()


def split(event: NewEvent, max_bytes: int = MAX_MESSAGE_BYTES) -> list[NewEvent]:
    """Split a ``flight.positions`` event into parts that clients can take, in order, each with its own count.

    Any other event, and one that is small enough, is returned alone. The parts of an event with an ``event_id`` have
    derived ones: ``id#1`` and so on. Items that are no objects are left out, and so is a position that alone exceeds a
    message.
    """
    positions = event.data.get("positions")
    if event.type != POSITIONS or not isinstance(positions, list):
        return [event]
    others = {field: value for field, value in event.data.items() if field not in ("count", "positions")}
    room = max_bytes - _ENVELOPE_BYTES - len(_encoder.encode(others))
    if room < max_bytes // 2:
        others, room = {}, max_bytes - _ENVELOPE_BYTES
    parts = _divide(positions, room)
    if len(parts) == 1:
        data = _batch(others, parts[0])
        return [event if data == event.data else msgspec.structs.replace(event, data=data)]
    return [
        msgspec.structs.replace(
            event,
            data=_batch(others, part),
            event_id=None if event.event_id is None else f"{event.event_id}#{number}",
        )
        for number, part in enumerate(parts, start=1)
    ]


def _batch(others: JsonObject, positions: list[Any]) -> JsonObject:
    return {"count": len(positions), "positions": positions, **others}


def with_zeros(position: JsonObject) -> JsonObject:
    """Replace unknown altitude, speed, heading and vertical rate with 0.

    Older clients convert them unchecked, and drop the whole batch if one is null.
    """
    position = with_numbers(position)
    unknown = [field for field in NEVER_NULL if type(position.get(field)) not in (int, float)]
    return {**position, **dict.fromkeys(unknown, 0)} if unknown else position


def _divide(positions: list[Any], room: int) -> list[list[Any]]:
    """Divide into lists of at most MAX_POSITIONS and ``room`` bytes, by encoded length; at least one list."""
    parts: list[list[Any]] = [[]]
    used = 0
    for position in (with_zeros(each) for each in positions if isinstance(each, dict)):
        length = len(_encoder.encode(position)) + 1
        if length > room:
            continue
        if used + length > room or len(parts[-1]) == MAX_POSITIONS:
            parts.append([])
            used = 0
        parts[-1].append(position)
        used += length
    return parts
