"""Cuts received bytes at the ends of frames, before anything is parsed (RFC 6455, section 5.2). Pure."""

from __future__ import annotations

from typing import NamedTuple

from websockets.frames import Opcode
from websockets.utils import apply_mask

_CONTROL = 0x08
_NO_MASK = b"\x00\x00\x00\x00"
_LENGTH_BYTES = {126: 2, 127: 8}
_OPCODES = frozenset(Opcode)
_MOST_INFLATION = 1032
"""Deflate expands a byte to at most this many (zlib's technical details)."""


_FILLER = b"\0"


class Piece(NamedTuple):
    """Bytes of one frame: all of it, or what has been received."""

    data: bytes
    """What is passed to the library."""
    size_bytes: int
    """How much was received: more than ``data`` if the frame is shortened."""
    frame_bytes: int
    """The payload length of the whole frame, from its head."""
    opcode: int
    is_final: bool
    """The frame's FIN bit: it is the last one of its message."""
    is_compressed: bool
    """The frame's first reserved bit."""
    is_start: bool
    """The frame begins with this piece."""
    is_end: bool
    """The frame is complete with this piece."""
    is_refused: bool
    """The library will reject the frame, now or when it is complete; what is an end to us may not be one to it."""
    masked: bytes
    """The received bytes that are payload, still masked."""
    mask: bytes
    """The mask, aligned with the first byte."""

    @property
    def is_control(self) -> bool:
        return self.opcode >= _CONTROL

    @property
    def payload(self) -> bytes:
        """The unmasked payload, if it is not compressed."""
        return apply_mask(self.masked, self.mask) if self.masked else b""


class FrameCutter:
    """Holds received bytes and returns them, a piece of one frame at a time.

    A frame that is too long to be answered, but not so long that the library rejects it, is shortened on its way to the
    library, to one byte more than may be answered, so that it is not kept in memory.
    """

    __slots__ = (
        "_buffer", "_done", "_first", "_is_compressed", "_is_refused", "_length", "_mask", "_max_frame_bytes",
        "_max_kept_bytes", "_remaining",
    )  # fmt: skip

    def __init__(self, max_frame_bytes: int, max_kept_bytes: int | None = None) -> None:
        self._max_frame_bytes = max_frame_bytes
        """A frame that announces more is passed on as it is: the library rejects it by its head."""
        self._max_kept_bytes = max_frame_bytes if max_kept_bytes is None else max_kept_bytes
        """The payload of a longer frame is shortened, if it is not compressed."""
        self._buffer = bytearray()
        self._first = 0
        """The first byte of the current frame: flags and opcode."""
        self._remaining = 0
        """How many bytes of the current frame are left; 0: there is none."""
        self._done = 0
        """How many bytes of its payload have been returned."""
        self._length = 0
        """The length of its payload."""
        self._is_compressed = False
        """Whether the current message is compressed, which its first frame says for all of them."""
        self._mask = _NO_MASK
        self._is_refused = False
        """The library will reject the current frame by its head: nothing after that is payload."""

    def __len__(self) -> int:
        """Return how many bytes are held."""
        return len(self._buffer)

    def add(self, data: bytes) -> None:
        """Add received bytes."""
        self._buffer += data

    def clear(self) -> None:
        """Drop everything that is held."""
        self._buffer.clear()

    @property
    def has_piece(self) -> bool:
        """Whether ``next`` would return a piece."""
        return bool(self._buffer) and (self._remaining > 0 or self._head_bytes() <= len(self._buffer))

    @property
    def most_bytes(self) -> int:
        """Return the maximum inflated size of the next piece, as far as its head tells."""
        buffer = self._buffer
        if self._remaining or len(buffer) < 2 or not buffer[0] & 0x40:
            return len(buffer)
        extended = _LENGTH_BYTES.get(buffer[1] & 0x7F, 0)
        return _MOST_INFLATION * self._announced(extended)

    def next(self, limit_bytes: int) -> Piece | None:
        """Return the next piece, at most ``limit_bytes`` long; None until more is received."""
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
        done, is_end = self._done, not self._remaining
        self._done += count - head
        turn = done % 4
        return Piece(
            data=self._shortened(data, head, done, is_end=is_end) if self._is_shortened else data,
            size_bytes=count,
            frame_bytes=self._length,
            opcode=self._first & 0x0F,
            is_final=bool(self._first & 0x80),
            is_compressed=bool(self._first & 0x40),
            is_start=head > 0,
            is_end=is_end,
            is_refused=self._is_refused,
            masked=b"" if self._is_refused else data[head:],
            mask=self._mask[turn:] + self._mask[:turn],
        )

    @property
    def _is_shortened(self) -> bool:
        return self._length > self._max_kept_bytes and not (self._is_compressed or self._is_refused)

    def _shortened(self, data: bytes, head: int, done: int, *, is_end: bool) -> bytes:
        """Return what the library is passed instead: a shorter frame that ends when this one does."""
        kept = data[head : head + max(self._max_kept_bytes - done, 0)]
        if head:
            length = (self._max_kept_bytes + len(_FILLER)).to_bytes(8, "big")
            kept = bytes((self._first, 0x80 | 127)) + length + self._mask + kept
        return kept + _FILLER if is_end else kept

    def _head_bytes(self) -> int:
        """Return the length of the next frame's head; more than is held until that is known."""
        buffer = self._buffer
        if len(buffer) < 2:
            return 2
        if _is_against_the_rules(buffer[0], buffer[1]):
            return 2
        extended = _LENGTH_BYTES.get(buffer[1] & 0x7F, 0)
        if extended == 8 and len(buffer) >= 10 and self._announced(8) > self._max_frame_bytes:
            return 10
        return 2 + extended + 4

    def _announced(self, extended: int) -> int:
        return int.from_bytes(self._buffer[2 : 2 + extended], "big") if extended else self._buffer[1] & 0x7F

    def _begin_frame(self, head: int) -> None:
        buffer = self._buffer
        extended = _LENGTH_BYTES.get(buffer[1] & 0x7F, 0)
        self._first, self._done = buffer[0], 0
        self._is_refused = head != 2 + extended + 4
        if self._is_refused:  # what follows is rejected with it
            self._mask, self._length, self._remaining = _NO_MASK, 0, len(buffer)
            return
        self._mask, self._length = bytes(buffer[2 + extended : head]), self._announced(extended)
        self._remaining = head + self._length
        if self._first & 0x0F in (Opcode.TEXT, Opcode.BINARY):
            self._is_compressed = bool(self._first & 0x40)


def _is_against_the_rules(first: int, second: int) -> bool:
    """Tell whether a head is invalid from a client: unmasked, unknown, or a long or fragmented control frame."""
    opcode = first & 0x0F
    is_odd_control = opcode >= _CONTROL and (not first & 0x80 or second & 0x7F > 125)
    return bool(first & 0x30) or opcode not in _OPCODES or not second & 0x80 or is_odd_control
