"""One line of a dropped file as an event: ``{"type", "data", "timestamp"?, "event_id"?}``. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from swim_server.protocol.codes import BadMessage
from swim_server.protocol.events import NewEvent
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms
from swim_server.streaming.publishing import Publishing

MAX_LINE_BYTES = 1_048_576
MAX_KEPT_CHARACTERS = 10_000
"""Of a line that is set aside."""
_BOM = b"\xef\xbb\xbf"


class InvalidLine(ValueError):
    """A line that is no event: why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class _Line(msgspec.Struct):
    type: str
    data: dict[str, Any]
    timestamp: str | None = None
    event_id: str | None = None


class Rejected(msgspec.Struct, frozen=True):
    """A line that is set aside, as it stands in the file of them."""

    line: int
    reason: str
    text: str


def read_line(line: bytes, number: int, batch: str, publishing: Publishing) -> NewEvent | None:
    """Read a line; None: it is blank. Raises InvalidLine.

    Without an ``event_id`` of its own an event is named by its file (``batch``), the line's number and its content.
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
    event = NewEvent(type=found.type, data=found.data, timestamp_ms=timestamp_ms, event_id=name)
    try:
        return publishing.check(event)
    except BadMessage as refused:
        raise InvalidLine(refused.message) from None


def reject(line: bytes, number: int, reason: str) -> Rejected:
    """Set a line aside."""
    return Rejected(number, reason, line.decode("utf-8", "backslashreplace").rstrip("\r\n")[:MAX_KEPT_CHARACTERS])
