"""An event on its way out: each of its frames is built once, for all who get it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from swim_server.protocol.positions import POSITION, POSITIONS

if TYPE_CHECKING:
    from swim_server.protocol.events import Event
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

COMPRESS_FROM_BYTES = 512
"""A shorter message goes plain, also to those who negotiated compression: little to gain (RFC 7692, partition 6)."""


def text_frame(payload: bytes) -> bytes:
    """Frame one text message, unfragmented."""
    return Frame(Opcode.TEXT, payload).serialize(mask=False)


def deflated_frame(payload: bytes, window_bits: int) -> bytes:
    """Frame one text message, compressed by itself: for all who negotiated ``server_no_context_takeover``."""
    deflate = PerMessageDeflate(True, True, 15, window_bits)
    return Frame(Opcode.TEXT, payload).serialize(mask=False, extensions=[deflate])


def ping_frame(payload: bytes) -> bytes:
    """Frame one ping; at most 125 bytes of payload (RFC 6455, partition 5.5)."""
    return Frame(Opcode.PING, payload).serialize(mask=False)


PLAIN = 0
"""In the place of window bits: no compression."""


class FramedEvent:
    """An event, or what remains of one for some filters, and its frames: plain, and one for each window size."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self._frames: dict[int, bytes] = {}

    def frame(self, window_bits: int) -> bytes:
        """The frame for clients that negotiated this window size; ``PLAIN``: for those who negotiated nothing."""
        frame = self._frames.get(window_bits)
        if frame is None:
            wire = self.event.wire
            if window_bits == PLAIN:
                frame = text_frame(wire)
            elif len(wire) < COMPRESS_FROM_BYTES:
                frame = self.frame(PLAIN)
            else:
                frame = deflated_frame(wire, window_bits)
            self._frames[window_bits] = frame
        return frame

    @cached_property
    def flights(self) -> Mapping[Hashable, Any]:
        """The positions it tells, by what makes two of them the same flight's; none for other events."""
        if self.event.type == POSITION:
            return {self._flight(0, self.event.data): self.event.data}
        rows = self.event.data.get("positions") if self.event.type == POSITIONS else None
        if not isinstance(rows, list):
            return {}
        return {self._flight(number, row): row for number, row in enumerate(rows)}

    def _flight(self, number: int, row: Any) -> Hashable:
        """What makes two positions the same flight's; a row that names none stands for itself."""
        if isinstance(row, dict):
            for field in ("flight_uid", "callsign"):
                value = row.get(field)
                if isinstance(value, (int, str)):
                    return (field, value)
        return (self.event.id, number)
