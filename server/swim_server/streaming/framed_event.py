"""An event on its way out: each of its frames is built once and shared by all clients that get it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from swim_server.protocol import messages
from swim_server.protocol.codes import ErrorCode
from swim_server.protocol.events import NewEvent
from swim_server.protocol.positions import MAX_MESSAGE_BYTES, POSITION, POSITIONS, split
from swim_server.protocol.timestamps import format_ms

if TYPE_CHECKING:
    from swim_server.protocol.events import Event

COMPRESS_FROM_BYTES = 512
"""A shorter message is never compressed: there is little to gain (RFC 7692, section 6)."""


def text_frame(payload: bytes) -> bytes:
    """Frame one text message, unfragmented (RFC 6455, section 5.2)."""
    length = len(payload)
    if length < 126:
        return b"\x81%c%b" % (length, payload)
    if length < 65_536:
        return b"\x81\x7e%b%b" % (length.to_bytes(2, "big"), payload)
    return b"\x81\x7f%b%b" % (length.to_bytes(8, "big"), payload)


def deflated_frame(payload: bytes, window_bits: int) -> bytes:
    """Frame one text message, compressed independently, for all that negotiated ``server_no_context_takeover``."""
    deflate = PerMessageDeflate(True, True, 15, window_bits)
    return Frame(Opcode.TEXT, payload).serialize(mask=False, extensions=[deflate])


def ping_frame(payload: bytes) -> bytes:
    """Frame one ping; at most 125 bytes of payload (RFC 6455, section 5.5)."""
    return Frame(Opcode.PING, payload).serialize(mask=False)


PLAIN = 0
"""Used instead of window bits: no compression."""
EVENT_STREAM, CHUNKED_EVENT_STREAM = -1, -2
"""Used instead of window bits: server-sent events, unchunked for HTTP/1.0, or chunked (RFC 9112, section 7.1)."""


def server_sent(payload: bytes, event_type: str, event_id: str | None, window_bits: int) -> bytes:
    """Format one server-sent event; JSON contains no line ends."""
    head = b"id: %b\n" % event_id.encode() if event_id is not None else b""
    text = b"%bevent: %b\ndata: %b\n\n" % (head, event_type.partition("#")[0].encode(), payload)
    return chunk(text) if window_bits == CHUNKED_EVENT_STREAM else text


def chunk(text: bytes) -> bytes:
    """Frame a piece of a chunked response."""
    return b"%x\r\n%b\r\n" % (len(text), text)


def frame_payload(payload: bytes, window_bits: int) -> bytes:
    """Frame a message that is not an event, for clients that negotiated this window size."""
    if window_bits < PLAIN:
        return server_sent(payload, msgspec.json.decode(payload)["type"], None, window_bits)
    if window_bits == PLAIN or len(payload) < COMPRESS_FROM_BYTES:
        return text_frame(payload)
    return deflated_frame(payload, window_bits)


class FramedEvent:
    """An event, or the part of one that some filters leave, and its frames: plain, and one per window size."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self.frames: dict[tuple[int, int], bytes] = {}
        """Those that were built, by window size and longest message."""

    def frame(self, window_bits: int, max_message_bytes: int = MAX_MESSAGE_BYTES) -> bytes:
        """Return the frame for clients that negotiated this window size; ``PLAIN``: no compression.

        A batch of positions longer than such clients accept becomes several frames; any other such event becomes an
        error that names it.
        """
        name = (window_bits, max_message_bytes)
        frame = self.frames.get(name)
        if frame is None:
            if len(self.event.wire) <= max_message_bytes:
                frame = self._frame_of(self.event.wire, window_bits)
            else:
                parts = _cut(self.event, max_message_bytes)
                frame = b"".join([self._frame_of(part, window_bits) for part in parts])
            self.frames[name] = frame
        return frame

    def _frame_of(self, wire: bytes, window_bits: int) -> bytes:
        if window_bits == PLAIN:
            return text_frame(wire)
        if window_bits < PLAIN:
            is_error = wire.startswith(b'{"type":"error"')
            return server_sent(wire, "error" if is_error else self.event.type, str(self.event.id), window_bits)
        if wire is self.event.wire and len(wire) < COMPRESS_FROM_BYTES:
            return self.frame(PLAIN)
        return deflated_frame(wire, window_bits)

    @cached_property
    def flights(self) -> Mapping[Hashable, Any]:
        """Return the event's positions by flight; none for other events."""
        if self.event.type == POSITION:
            return {self._flight(0, self.event.data): self.event.data}
        rows = self.event.data.get("positions") if self.event.type == POSITIONS else None
        if not isinstance(rows, list):
            return {}
        return {self._flight(number, row): row for number, row in enumerate(rows)}

    def _flight(self, number: int, row: object) -> Hashable:
        """Return what identifies the flight of a position; a row that names none is a flight by itself."""
        if isinstance(row, dict):
            for field in ("flight_uid", "callsign"):
                value = row.get(field)
                if isinstance(value, (int, str)):
                    return (field, value)
        return (self.event.id, number)


def _cut(event: Event, max_message_bytes: int) -> list[bytes]:
    """Split an event that is too long into messages of at most this many bytes: parts of a batch, or an error."""
    if event.type == POSITIONS:
        parts = split(NewEvent(type=event.type, data=event.data), max_message_bytes)
        return [event.with_data(part.data).wire for part in parts]
    code = ErrorCode.EVENT_TOO_LARGE if len(event.wire) <= MAX_MESSAGE_BYTES else ErrorCode.HISTORY_UNAVAILABLE
    text = f"event {event.id} was left out: it has {len(event.wire):,} bytes, at most {max_message_bytes:,} are sent"
    at = format_ms(event.id.milliseconds)
    return [messages.error(code, text, at, id=str(event.id), type=event.type, size=len(event.wire))]
