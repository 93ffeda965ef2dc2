"""One line of a dropped file as an event: ``{"type", "data", "timestamp"?, "event_id"?}``. Pure."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from swim_server.protocol.channels import LOOSE_TYPES, loose_data
from swim_server.protocol.codes import BadMessage
from swim_server.protocol.events import NewEvent
from swim_server.protocol.normalise import with_north_as_zero
from swim_server.protocol.payloads import BadPosition, part_positions
from swim_server.protocol.positions import POSITIONS
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms
from swim_server.streaming.publishing import Publishing

MAX_LINE_BYTES = 1_048_576
MAX_KEPT_CHARACTERS = 10_000
"""Maximum characters kept of a rejected line."""
_BOM = b"\xef\xbb\xbf"


class InvalidLine(ValueError):
    """A line that is no event: why."""

    def __init__(self, reason: str, unknown_type: str | None = None) -> None:
        self.reason = reason
        self.unknown_type = unknown_type
        """The event type, if it is unknown."""
        super().__init__(reason)


class _Line(msgspec.Struct):
    type: str
    data: dict[str, Any] | UnsetType = UNSET
    timestamp: str | None = None
    event_id: str | None = None


class Rejected(msgspec.Struct, frozen=True):
    """A line that is set aside, in the format of the file of rejects."""

    line: int
    reason: str
    text: str
    unknown_type: str = ""
    """The event type, if it is unknown."""


class ReadLine(msgspec.Struct, frozen=True):
    """The content of a line: its event, and the positions of a batch that had to be left out."""

    event: NewEvent
    rejected: list[Rejected]


def read_line(line: bytes, number: int, batch: str, publishing: Publishing) -> ReadLine | None:
    """Read a line; None: it is blank. Raises InvalidLine, also if all positions of a batch are wrong.

    An event without an ``event_id`` gets one from its file (``batch``), the line's number and its content.
    """
    text = line.removeprefix(_BOM).strip() if number == 1 else line.strip()
    if not text:
        return None
    if len(text) > MAX_LINE_BYTES:
        raise InvalidLine(f"it has more than {MAX_LINE_BYTES:,} bytes")
    try:
        found = msgspec.json.decode(text, type=_Line)
        timestamp_ms = None if found.timestamp is None else parse_ms(found.timestamp)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidTimestamp) as error:
        raise InvalidLine(str(error)) from None
    name = found.event_id
    if name is None:
        name = f"drop:{batch}:{number}:{blake2b(text, digest_size=12).hexdigest()}"
    data, bad = part_positions(found.type, with_north_as_zero(found.type, _data(found, text)))
    if bad and not data["positions"]:
        raise InvalidLine(bad[0].reason)
    event = NewEvent(type=found.type, data=data, timestamp_ms=timestamp_ms, event_id=name)
    try:
        event = publishing.check(event)
    except BadMessage as refused:
        raise InvalidLine(refused.message, None if publishing.knows(found.type) else found.type) from None
    return ReadLine(event, [_reject_position(each, number) for each in bad])


def _data(line: _Line, text: bytes) -> dict[str, Any]:
    """Return the event's data; for a type written without ``data``, the fields beside the type."""
    if not isinstance(line.data, UnsetType):
        return line.data
    if line.type not in LOOSE_TYPES:
        raise InvalidLine("Object missing required field `data`")
    return loose_data(msgspec.json.decode(text, type=dict[str, Any]))


def _reject_position(bad: BadPosition, number: int) -> Rejected:
    """Set one position aside, as a line that can be corrected and dropped again."""
    text = json.dumps({"type": POSITIONS, "data": {"positions": [bad.position]}})
    return Rejected(number, bad.reason, text[:MAX_KEPT_CHARACTERS])


def reject(line: bytes, number: int, reason: str, unknown_type: str | None = None) -> Rejected:
    """Set a line aside."""
    text = line.decode("utf-8", "backslashreplace").rstrip("\r\n")[:MAX_KEPT_CHARACTERS]
    return Rejected(number, reason, text, unknown_type or "")
