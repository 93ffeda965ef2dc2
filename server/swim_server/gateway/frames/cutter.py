"""Cuts what a client sends at the ends of its frames, before anything is parsed (RFC 6455, section 5.2). Pure."""

from __future__ import annotations

from typing import NamedTuple

from websockets.frames import Opcode
from websockets.utils import apply_mask

_CONTROL = 0x08
_NO_MASK = b"\x00\x00\x00\x00"
_LENGTH_BYTES = {126: 2, 127: 8}
_OPCODES = frozenset(Opcode)
_MOST_INFLATION = 1032
"""Times as long as it came, no more, is what deflate makes of a byte (zlib's technical details)."""


class Piece(NamedTuple):
    """Bytes of one frame: the whole of it, or as much as has come."""

    data: bytes
    """What the library is handed."""
    opcode: int
    is_final: bool
    """The frame's FIN bit: the last one of its message."""
    is_compressed: bool
    """The frame's first reserved bit."""
    is_start: bool
    """The frame begins with this piece."""
    is_end: bool
    """The frame is complete with this piece."""
    masked: bytes
    """The part of ``data`` that is payload."""
    mask: bytes
    """How that is masked, from its first byte on."""

    @property
    def is_control(self) -> bool:
        return self.opcode >= _CONTROL

    @property
    def payload(self) -> bytes:
        """The payload as the client meant it, if it is not compressed."""
        return apply_mask(self.masked, self.mask) if self.masked else b""


class FrameCutter:
    """Holds bytes that have come and gives them out, a piece of one frame at a time."""

    __slots__ = ("_buffer", "_done", "_first", "_is_refused", "_mask", "_max_frame_bytes", "_remaining")

    def __init__(self, max_frame_bytes: int) -> None:
        self._max_frame_bytes = max_frame_bytes
        """A frame that announces more is handed on as it is: the library refuses it by its head."""
        self._buffer = bytearray()
        self._first = 0
        """The first byte of the frame in hand: flags and opcode."""
        self._remaining = 0
        """So many bytes of the frame in hand are still to be given out; 0: none is in hand."""
        self._done = 0
        """So many bytes of its payload have been given out."""
        self._mask = _NO_MASK
        self._is_refused = False
        """The library will refuse the frame in hand by its head: nothing behind that is payload."""

    def __len__(self) -> int:
        """How many bytes are held."""
        return len(self._buffer)

    def add(self, data: bytes) -> None:
        """Take in what came."""
        self._buffer += data

    def clear(self) -> None:
        """Drop everything: nobody looks at it any more."""
        self._buffer.clear()

    @property
    def has_piece(self) -> bool:
        """Whether ``next`` would give one."""
        return bool(self._buffer) and (self._remaining > 0 or self._head_bytes() <= len(self._buffer))

    @property
    def most_bytes(self) -> int:
        """To how much the next piece may come, inflated, as far as its head tells."""
        buffer = self._buffer
        if self._remaining or len(buffer) < 2 or not buffer[0] & 0x40:
            return len(buffer)
        extended = _LENGTH_BYTES.get(buffer[1] & 0x7F, 0)
        return _MOST_INFLATION * self._length(extended)

    def next(self, limit_bytes: int) -> Piece | None:
        """Give the next piece, at most ``limit_bytes`` long; None until more comes."""
        buffer, head = self._buffer, 0
        if not self._remaining:
            head = self._head_bytes()
            if head > len(buffer):
                return None
            self._begin_frame(head)
        count = min(self._remaining, len(buffer), max(limit_bytes, head))
        if not count:
            return None
        data = bytes(buffer[:count])
        del buffer[:count]
        self._remaining -= count
        turn = self._done % 4
        mask = self._mask[turn:] + self._mask[:turn]
        self._done += count - head
        return Piece(
            data=data,
            opcode=self._first & 0x0F,
            is_final=bool(self._first & 0x80),
            is_compressed=bool(self._first & 0x40),
            is_start=head > 0,
            is_end=not self._remaining,
            masked=b"" if self._is_refused else data[head:],
            mask=mask,
        )

    def _head_bytes(self) -> int:
        """How long the head of the next frame is; more than there is until that is known."""
        buffer = self._buffer
        if len(buffer) < 2:
            return 2
        if _is_against_the_rules(buffer[0], buffer[1]):
            return 2
        extended = _LENGTH_BYTES.get(buffer[1] & 0x7F, 0)
        if extended == 8 and len(buffer) >= 10 and self._length(8) > self._max_frame_bytes:
            return 10
        return 2 + extended + 4

    def _length(self, extended: int) -> int:
        return int.from_bytes(self._buffer[2 : 2 + extended], "big") if extended else self._buffer[1] & 0x7F

    def _begin_frame(self, head: int) -> None:
        buffer = self._buffer
        extended = _LENGTH_BYTES.get(buffer[1] & 0x7F, 0)
        self._first, self._done = buffer[0], 0
        self._is_refused = head != 2 + extended + 4
        if not self._is_refused:
            self._mask = bytes(buffer[2 + extended : head])
            self._remaining = head + self._length(extended)
        else:  # what follows is refused with it
            self._mask, self._remaining = _NO_MASK, len(buffer)


def _is_against_the_rules(first: int, second: int) -> bool:
    """Tell a head that no client may send: unmasked, of no known kind, or a control frame that is long or in parts."""
    opcode = first & 0x0F
    is_odd_control = opcode >= _CONTROL and (not first & 0x80 or second & 0x7F > 125)
    return bool(first & 0x30) or opcode not in _OPCODES or not second & 0x80 or is_odd_control
