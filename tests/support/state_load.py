"""Clients for load tests of state and streams that count what arrives without parsing it."""

from __future__ import annotations

import asyncio
import json
import os
import struct
import time
from urllib.parse import urlsplit

CLIENT_FRAME = 0x80


def masked(payload: bytes) -> bytes:
    """Build one text frame of a client; a mask of zero is valid too."""
    head = struct.pack("!BB", 0x81, CLIENT_FRAME | len(payload)) if len(payload) < 126 else (
        struct.pack("!BBH", 0x81, CLIENT_FRAME | 126, len(payload))
    )  # fmt: skip
    return head + bytes(4) + payload


class CountingClient(asyncio.Protocol):
    """One connection; waits until a text has arrived this many times."""

    def __init__(self) -> None:
        self.bytes = 0
        self.first_at = 0.0
        """When the first bytes came since ``expect``."""
        self._marker, self._wanted, self._seen = b"", 0, 0
        self._tail = b""
        self._done: asyncio.Future[float] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.first_at = self.first_at or time.perf_counter()
        self.bytes += len(data)
        text = self._tail + data
        self._seen += text.count(self._marker)
        self._tail = text[1 - len(self._marker) :]
        if self._done is not None and self._seen >= self._wanted and not self._done.done():
            self._done.set_result(time.perf_counter())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionError("the service has closed the connection"))

    def expect(self, marker: bytes, count: int = 1) -> asyncio.Future[float]:
        """Return when the marker, of at least two bytes, has arrived this many more times."""
        self._marker, self._wanted, self._seen, self._tail = marker, count, 0, b""
        self.bytes, self.first_at = 0, 0.0
        self._done = asyncio.get_running_loop().create_future()
        return self._done

    def say(self, **message: object) -> None:
        """Send one message over a WebSocket."""
        self.transport.write(masked(json.dumps(message).encode()))


async def open_websocket(url: str, key: str, *, is_compressed: bool = False) -> CountingClient:
    """Connect as a WebSocket client, greeting included."""
    parts = urlsplit(url)
    extension = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n" if is_compressed else ""
    head = (
        f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extension}"
        f"Authorization: Bearer {key}\r\n\r\n"
    )
    return await _open(url, head, b'"connected"')


async def open_stream(url: str, key: str, query: str) -> CountingClient:
    """Connect as a subscribed client of server-sent events."""
    host = urlsplit(url).netloc
    head = f"GET /api/swim/v1/stream?{query} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n"
    return await _open(url, head, b"event: subscribed")


async def _open(url: str, head: str, marker: bytes) -> CountingClient:
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    _, client = await loop.create_connection(CountingClient, parts.hostname or "", parts.port or 0)
    done = client.expect(marker)
    client.transport.write(head.encode())
    await asyncio.wait_for(done, 30)
    return client


def busy() -> str:
    """Return how busy the machine is."""
    return f"load average {os.getloadavg()[0]:.1f}"
