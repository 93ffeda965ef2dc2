"""The lines of a recording of events: a header, events as they went over the wire, an end mark. Pure.

The file is gzip of JSON lines, so that ``zcat FILE | jq`` reads it. It is written in blocks, each a gzip member with a
checksum of its own: what was written before a kill or a damaged byte can still be verified. The lines:

{"swim_recording": {…}} the header: format, program, what was asked for {"type", "timestamp", "id", "data"} an event,
byte for byte as it was received {"gap": {"after": …}} events may be missing here: history did not reach back {"end":
{…}} the end mark: how many events, which, and the digest of their lines
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from swim_server.protocol.event_id import EventId, InvalidEventId
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

FORMAT = 1
"""The format that this program writes; it reads this one and older ones."""
MAX_LINE_BYTES = 17 * 1024 * 1024
"""The longest event that can be stored, with its envelope."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording says about itself at its beginning."""

    format: int
    id: str
    """Identifies the recording: a copy has the same id, another recording another one."""
    program: str = ""
    """The program and version that wrote it."""
    created: str = ""
    source: str = ""
    """Where the events came from."""
    channels: list[str] = []
    filters: dict[str, Any] = {}
    start: dict[str, Any] = {}
    """``since``, ``after`` or ``last`` if history was requested; empty: from the time of ``created`` on."""


class End(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording says about itself at its end."""

    events: int
    sha256: str
    """Digest of the lines of all events, each with its line feed."""
    first_id: str | None = None
    last_id: str | None = None
    gaps: int = 0
    finished: str = ""
    reason: str = ""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Events may be missing at this place."""

    after: str | None = None


class InvalidLine(ValueError):
    """A line that is not one of a recording."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class RecordedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as it was recorded."""

    type: str
    timestamp: str | None
    id: str | None
    data: dict[str, Any]
    line: bytes
    """The whole line, without the line feed."""

    @property
    def timestamp_ms(self) -> int | None:
        """When it happened; None if that is unknown."""
        try:
            return None if self.timestamp is None else parse_ms(self.timestamp)
        except InvalidTimestamp:
            return None

    @property
    def place(self) -> EventId | None:
        """Its position in time: its id, else its timestamp."""
        try:
            if self.id is not None:
                return EventId.parse(self.id)
        except InvalidEventId:
            pass
        moment = self.timestamp_ms
        return None if moment is None or moment < 0 else EventId(moment, 0)


Line = Header | End | Gap | RecordedEvent


class _Line(msgspec.Struct):
    swim_recording: Header | None = None
    gap: Gap | None = None
    end: End | None = None
    type: str | None = None
    timestamp: str | None = None
    id: str | None = None
    data: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(_Line)


def read_line(text: bytes) -> Line:
    """Read one line. Raises InvalidLine."""
    try:
        line = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidLine(f"no line of a recording: {error}") from None
    except RecursionError:
        raise InvalidLine("nested too deeply") from None
    if line.type is not None and line.data is not None:
        return RecordedEvent(line.type, line.timestamp, line.id, line.data, text)
    if line.swim_recording is not None:
        if line.swim_recording.format > FORMAT:
            newer = f"format {line.swim_recording.format}, written by {line.swim_recording.program[:60]}"
            raise InvalidLine(f"{newer}; this program reads up to format {FORMAT}: upgrade swimctl")
        return line.swim_recording
    found = line.end or line.gap
    if found is None:
        raise InvalidLine("no event: it has no type or no data")
    return found


def write_line(line: Header | End | Gap) -> bytes:
    """Write a line that is not an event, with its line feed."""
    name = {Header: "swim_recording", End: "end", Gap: "gap"}[type(line)]
    return msgspec.json.encode({name: line}) + b"\n"


def one_line(wire: bytes) -> bytes:
    """Return an event's bytes as a line without its line feed; only what others wrote on several lines is changed."""
    return wire if b"\n" not in wire and b"\r" not in wire else msgspec.json.format(wire, indent=-1)


def identity(first: Line) -> str:
    """Return which recording begins with this line: by its header, or by its first event."""
    if isinstance(first, Header):
        return first.id
    text = first.line if isinstance(first, RecordedEvent) else msgspec.json.encode(first)
    return blake2b(text, digest_size=12).hexdigest()
