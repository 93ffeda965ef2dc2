"""A minimal resuming client for load tests: reads frames, keeps the last id, reconnects when asked to."""

from __future__ import annotations

import asyncio
import json
import re
import struct
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

MASK = b"\0\0\0\0"
_ID = re.compile(rb'"id":"(\d+-\d+)"')
_RETRY = re.compile(rb"retry_ms=(\d+)")


class ResumingClient(asyncio.Protocol):
    """One connection. ``on_event`` receives each event's message; ``closed`` has the final code and reason."""

    def __init__(self, url: str, key: str, on_event: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        self.welcomed: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[tuple[int | None, bytes]] = loop.create_future()
        self.events = 0
        self._on_event = on_event
        self._buffer = bytearray()
        self._has_head = False
        self._end: tuple[int | None, bytes] = (None, b"")
        parts = urlsplit(url)
        self._request = (
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {key}\r\n\r\n"
        ).encode()

    @classmethod
    async def open(cls, url: str, key: str, on_event: Callable[[bytes], None]) -> ResumingClient:
        """Connect and wait for the greeting. Raises OSError; ConnectionError if refused."""
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: cls(url, key, on_event), parts.hostname or "", parts.port or 0)
        await client.welcomed
        return client

    def subscribe(self, **fields: Any) -> None:
        """Ask for the events of flights."""
        payload = json.dumps({"action": "subscribe", "channels": ["flight.created"]} | fields).encode()
        self._transport.write(struct.pack("!BBH", 0x81, 0xFE, len(payload)) + MASK + payload)

    def hang_up(self) -> None:
        """Disconnect at once."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if not self._has_head:
            head, mark, rest = bytes(buffer).partition(b"\r\n\r\n")
            if not mark:
                return
            self._has_head = True
            if not head.startswith(b"HTTP/1.1 101"):
                self._transport.abort()
                return
            buffer[:] = rest
        place = 0
        while (frame := _frame(buffer, place)) is not None:
            opcode, begin, place = frame
            self._on_frame(opcode, bytes(buffer[begin:place]))
        del buffer[:place]

    def connection_lost(self, error: Exception | None) -> None:
        if not self.welcomed.done():
            self.welcomed.set_exception(ConnectionError(f"turned away: {self._end}"))
        if not self.closed.done():
            self.closed.set_result(self._end)

    def _on_frame(self, opcode: int, payload: bytes) -> None:
        if opcode == 8:
            self._end = (int.from_bytes(payload[:2], "big") if payload else None, payload[2:])
            self._transport.write(struct.pack("!BB", 0x88, 0x80) + MASK)
            self._transport.close()
        elif opcode == 9:
            self._transport.write(struct.pack("!BB", 0x8A, 0x80) + MASK)
        elif payload.startswith(b'{"type":"flight.'):
            self.events += 1
            self._on_event(payload)
        elif not self.welcomed.done() and payload.startswith(b'{"type":"connected"'):
            self.welcomed.set_result(None)


def event_id(message: bytes) -> str:
    """Return the id in an event's message."""
    match = _ID.search(message)
    assert match is not None, message[:200]
    return match[1].decode()


def retry_seconds(reason: bytes) -> float:
    """Return the reconnect delay that a closing server asks for."""
    match = _RETRY.search(reason)
    return int(match[1]) / 1000 if match else 1.0


def _frame(buffer: bytearray, place: int) -> tuple[int, int, int] | None:
    """Return opcode, begin and end of the payload of the frame at an offset; None: it is incomplete."""
    begin = place + 2
    if len(buffer) < begin:
        return None
    length = buffer[place + 1]
    if length == 126:
        begin += 2
        length = int.from_bytes(buffer[place + 2 : begin], "big")
    elif length == 127:
        begin += 8
        length = int.from_bytes(buffer[place + 2 : begin], "big")
    return None if len(buffer) < begin + length else (buffer[place] & 15, begin, begin + length)
