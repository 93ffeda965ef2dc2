"""A transport without a socket, as strict as the real ones about what happens at once and what a turn later."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any


class FakeTransport(asyncio.Transport):
    """Its peer reads everything at once, unless told to ``stop_reading``; then written data piles up.

    Like the loop's own, it reports a lost connection a turn later, and refuses a write after ``write_eof``.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object], peer: tuple[Any, ...] | str) -> None:
        super().__init__({"peername": peer})
        self.protocol: asyncio.Protocol | None = None
        self.received = bytearray()
        """What has reached the client."""
        self.has_eof = False
        """The client has been told that nothing more comes."""
        self.reads = True
        self.is_aborted = False
        self.is_lost = False
        self._call_soon = call_soon
        self._buffer = bytearray()
        self._unread: deque[bytes] = deque()
        self._is_peer_reading = True
        self._is_closing = False
        self._is_paused = False
        self._high = 64 * 1024
        self._low = 16 * 1024

    def connect(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol
        protocol.connection_made(self)

    # What the client's side does.

    def feed(self, data: bytes) -> None:
        """Deliver bytes, or keep them in the kernel while the server doesn't read."""
        assert self.protocol is not None
        self._unread.append(data)
        self._deliver()

    def _deliver(self) -> None:
        while self.reads and not self._is_closing and self._unread:
            assert self.protocol is not None
            self.protocol.data_received(self._unread.popleft())

    def feed_eof(self) -> None:
        """Let the client signal that it sends no more."""
        assert self.protocol is not None
        if self.reads and not self._is_closing and not self.protocol.eof_received():
            self.close()

    def lose(self, error: Exception | None = None) -> None:
        """Break the connection."""
        self._is_closing = True
        self._call_soon(lambda: self._lost(error))

    def stop_reading(self) -> None:
        self._is_peer_reading = False

    def start_reading(self) -> None:
        self._is_peer_reading = True
        self._drain(len(self._buffer))

    def read_some(self, count: int) -> None:
        """Let a slow client read this many bytes."""
        self._drain(count)

    # What the protocol does.

    def write(self, data: bytes | bytearray | memoryview[int]) -> None:
        if self.has_eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self.is_lost:
            raise RuntimeError("the handler is closed")
        if self.is_aborted:
            return
        self._buffer += data
        if self._is_peer_reading:
            self._drain(len(self._buffer))
        elif len(self._buffer) > self._high and not self._is_paused:
            self._is_paused = True
            assert self.protocol is not None
            self.protocol.pause_writing()

    def _drain(self, count: int) -> None:
        self.received += self._buffer[:count]
        del self._buffer[:count]
        if self._is_paused and len(self._buffer) <= self._low:
            self._is_paused = False
            assert self.protocol is not None
            self.protocol.resume_writing()
        if self._is_closing and not self._buffer:
            self._call_soon(lambda: self._lost(None))

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high if high is not None else 64 * 1024
        self._low = low if low is not None else self._high // 4

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_eof = True

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True
        if not self._buffer:
            self._call_soon(lambda: self._lost(None))

    def abort(self) -> None:
        self._is_closing = self.is_aborted = True
        self._buffer.clear()
        self._call_soon(lambda: self._lost(None))

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True
        if self._unread:
            self._call_soon(self._deliver)

    def _lost(self, error: Exception | None) -> None:
        if not self.is_lost:
            self.is_lost = True
            assert self.protocol is not None
            self.protocol.connection_lost(error)
