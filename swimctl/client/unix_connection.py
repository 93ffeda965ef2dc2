"""A blocking WebSocket client (RFC 6455) over a Unix socket that connects fast: for short requests and for streams.

It does only what a control socket needs: no TLS, extensions or threads, and no import of ``websockets``, which would
add a quarter to the run time of a command like ``status``. Pings are answered only while waiting for a message.
"""

from __future__ import annotations

import binascii
import os
import socket
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

READ_BYTES = 65_536
MAX_HEAD_BYTES = 16_384
CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FINAL, MASKED = 0x80, 0x80
NORMAL, PROTOCOL_ERROR, TOO_BIG = 1000, 1002, 1009
LENGTH_IN_2, LENGTH_IN_8 = 126, 127


class Close(NamedTuple):
    """The close code and reason that the server sent."""

    code: int
    reason: str


class UnixClosed(Exception):
    """The connection ended."""

    def __init__(self, rcvd: Close | None) -> None:
        self.rcvd = rcvd
        """None if there was no close frame. Named like the attribute of websockets' own exception."""
        super().__init__(rcvd)


class NoWebSocket(OSError):
    """The peer at the socket does not speak WebSocket, or refuses the upgrade."""


class UnixConnection:
    """One open connection, for a single thread."""

    def __init__(self, path: Path, uri: str, *, open_timeout: float, close_timeout: float, max_size: int) -> None:
        self._close_timeout = close_timeout
        self._max_size = max_size
        self._buffer = bytearray()
        self._messages: deque[bytes] = deque()
        self._parts: list[bytes] = []
        self._close: Close | None = None
        self._is_open = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(open_timeout)
            self._socket.connect(str(path))
            self._shake_hands(uri, time.monotonic() + open_timeout)
        except BaseException:
            self._socket.close()
            raise

    def send(self, text: str) -> None:
        """Send a text message. Raises UnixClosed."""
        if not self._is_open:
            raise UnixClosed(self._close)
        self._write(TEXT, text.encode())

    def recv(self, timeout: float | None = None) -> bytes:
        """Return the next message. Raises TimeoutError, UnixClosed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._messages:
            if not self._is_open:
                raise UnixClosed(self._close)
            self._read(deadline)
            self._take_frames()
        return self._messages.popleft()

    def close(self) -> None:
        """Send a close frame and disconnect. Idempotent."""
        try:
            if self._is_open:
                self._write(CLOSE, NORMAL.to_bytes(2, "big"))
                deadline = time.monotonic() + self._close_timeout
                while self._is_open:
                    self._read(deadline)
                    self._take_frames()
        except OSError:
            pass  # it has gone already, or takes too long
        finally:
            self._is_open = False
            self._socket.close()

    def _shake_hands(self, uri: str, deadline: float) -> None:
        """Request the upgrade. Raises NoWebSocket, TimeoutError, OSError.

        The answer's Sec-WebSocket-Accept is not verified: it tells a WebSocket server from a cache, and here is no
        cache.
        """
        host, _, path = uri.removeprefix("ws://").partition("/")
        key = binascii.b2a_base64(os.urandom(16), newline=False).decode()
        self._socket.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._is_open = True
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if not self._is_open or len(self._buffer) > MAX_HEAD_BYTES:
                raise NoWebSocket("did not receive a valid HTTP response")
            self._read(deadline)
        status = bytes(self._buffer[: self._buffer.find(b"\r\n")])
        if not status.startswith(b"HTTP/1.1 101 "):
            self._is_open = False
            raise NoWebSocket(f"it answers {status[:80].decode('latin-1')}")
        del self._buffer[: end + 4]
        self._take_frames()

    def _read(self, deadline: float | None) -> None:
        """Wait for bytes. Raises TimeoutError."""
        self._socket.settimeout(None if deadline is None else max(0.0, deadline - time.monotonic()))
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            raise TimeoutError from None
        except ConnectionError:
            data = b""
        self._buffer += data
        self._is_open = self._is_open and bool(data)

    def _take_frames(self) -> None:
        """Parse complete frames out of the received bytes."""
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            first, second = buffer[at], buffer[at + 1]
            start, size = at + 2, second & 0x7F
            if size >= LENGTH_IN_2:
                start += 2 if size == LENGTH_IN_2 else 8
                if len(buffer) < start:
                    break
                size = int.from_bytes(buffer[at + 2 : start], "big")
            if second & MASKED or first & 0x70:
                self._end(PROTOCOL_ERROR)
                break
            if size + sum(map(len, self._parts)) > self._max_size:
                self._end(TOO_BIG)
                break
            if len(buffer) < start + size:
                break
            at = start + size
            self._take(first & 0x0F, bytes(buffer[start:at]), is_final=bool(first & FINAL))
        del buffer[:at]

    def _take(self, opcode: int, payload: bytes, *, is_final: bool) -> None:
        if opcode in (CONTINUED, TEXT, BINARY):
            if is_final and not self._parts:
                self._messages.append(payload)
                return
            self._parts.append(payload)
            if is_final:
                self._messages.append(b"".join(self._parts))
                self._parts.clear()
        elif opcode == PING:
            self._write(PONG, payload)
        elif opcode == CLOSE and self._close is None:
            self._close = _close_of(payload)
            self._write(CLOSE, payload[:2])
            self._is_open = False

    def _end(self, code: int) -> None:
        """Close because of invalid data from the server: nothing after it can be parsed."""
        self._write(CLOSE, code.to_bytes(2, "big"))
        self._is_open = False

    def _write(self, opcode: int, payload: bytes) -> None:
        """Send one frame; a vanished peer is noticed on reading. Raises TimeoutError."""
        size, mask = len(payload), os.urandom(4)
        if size < LENGTH_IN_2:
            head = bytes((FINAL | opcode, MASKED | size))
        elif size < 1 << 16:
            head = bytes((FINAL | opcode, MASKED | LENGTH_IN_2)) + size.to_bytes(2, "big")
        else:
            head = bytes((FINAL | opcode, MASKED | LENGTH_IN_8)) + size.to_bytes(8, "big")
        pattern = (mask * (size // 4 + 1))[:size]
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(size, "big")
        self._socket.settimeout(self._close_timeout)
        try:
            self._socket.sendall(head + mask + masked)
        except ConnectionError:
            self._is_open = self._is_open and opcode != TEXT


def _close_of(payload: bytes) -> Close:
    """Decode a close frame; one without a code means 1005 (RFC 6455, 7.1.5)."""
    if len(payload) < 2:
        return Close(1005, "")
    return Close(int.from_bytes(payload[:2], "big"), payload[2:].decode("utf-8", "replace"))
