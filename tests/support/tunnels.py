"""A pool of cheap WebSocket clients, with or without TLS: asyncio protocols that count messages and observe the end."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self, cast

UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {key}\r\n\r\n"
)
SUBSCRIBE = b'{"action":"subscribe","channels":["tmi.*"]}'
IN_FLIGHT = 64
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def masked(opcode: int, payload: bytes) -> bytes:
    """Build one short client frame; its mask is zero, so that the payload is unchanged."""
    assert len(payload) < 126
    return bytes((0x80 | opcode, 0x80 | len(payload))) + b"\0\0\0\0" + payload


class Tunnel(asyncio.Protocol):
    """One connection: upgrades, subscribes, answers pings."""

    def __init__(self, head: bytes, loop: asyncio.AbstractEventLoop) -> None:
        self._head = head
        self._buffer = bytearray()
        self.status = 0
        """Of the answer to the upgrade."""
        self.opened: asyncio.Future[bool] = loop.create_future()
        """True once it is subscribed, False when it never will be."""
        self.ended: asyncio.Future[int | None] = loop.create_future()
        """The code of the server's close frame; None when there was none."""
        self.events = 0
        self._messages = 0
        self._close_code: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._head)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.status:
            head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not found:
                return
            self.status = int(head.split(b" ", 2)[1])
            self._buffer = bytearray(rest)
            if self.status != 101:
                self.transport.close()
                return
            self.transport.write(masked(TEXT, SUBSCRIBE))
        while self._take_frame():
            pass

    def _take_frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        length, begin = buffer[1], 2
        if length >= 126:
            begin = 4 if length == 126 else 10
            length = int.from_bytes(buffer[2:begin], "big")
        if len(buffer) < begin + length:
            return False
        opcode, payload = buffer[0] & 15, bytes(buffer[begin : begin + length])
        del buffer[: begin + length]
        if opcode == TEXT:
            self._on_text(payload)
        elif opcode == PING:
            self.transport.write(masked(PONG, payload))
        elif opcode == CLOSE:
            self._close_code = int.from_bytes(payload[:2], "big") or None
            self.transport.write(masked(CLOSE, payload[:2]))
        return True

    def _on_text(self, payload: bytes) -> None:
        self._messages += 1
        if payload.startswith(b'{"type":"tmi.'):
            self.events += 1
        elif payload.startswith(b'{"type":"subscribed"') and not self.opened.done():
            self.opened.set_result(True)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_result(False)
        if not self.ended.done():
            self.ended.set_result(self._close_code)


class TunnelPool:
    """Many tunnels through one address, spread over several paths."""

    def __init__(
        self, port: int, key: str, *, tls: ssl.SSLContext | None, host: str, paths: Sequence[str] = ("/",)
    ) -> None:
        self._port = port
        self._tls = tls
        self._host = host
        self._heads = [UPGRADE.format(path=path, host=host, key=key).encode() for path in paths]
        self.tunnels: list[Tunnel] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tunnel in self.tunnels:
            tunnel.transport.abort()
        await asyncio.gather(*(tunnel.ended for tunnel in self.tunnels))

    async def open(self, count: int, *, seconds: float = 30.0) -> int:
        """Open this many more; return how many are subscribed when all are, or time is up."""
        loop = asyncio.get_running_loop()
        places = asyncio.Semaphore(IN_FLIGHT)
        before = len(self.tunnels)

        async def open_one(number: int) -> None:
            async with places:
                tunnel = Tunnel(self._heads[number % len(self._heads)], loop)
                await loop.create_connection(
                    lambda: tunnel,
                    "127.0.0.1",
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls is not None else None,
                )
                self.tunnels.append(tunnel)
                await tunnel.opened

        tasks = [asyncio.create_task(open_one(number)) for number in range(count)]
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return sum(1 for each in self.tunnels[before:] if _is_open(each.opened))

    @property
    def alive(self) -> int:
        return sum(1 for tunnel in self.tunnels if not tunnel.ended.done())

    async def received(self, events: int, *, seconds: float = 15.0) -> Counter[int]:
        """Wait until each has received this many events, or time is up; return how many have received how many."""
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline and any(each.events < events for each in self.tunnels):
            await asyncio.sleep(0.02)
        return Counter(each.events for each in self.tunnels)

    async def close_codes(self, *, seconds: float = 15.0) -> Counter[int | None]:
        """Wait until all have ended, or time is up; return their codes, without those still open."""
        await asyncio.wait([tunnel.ended for tunnel in self.tunnels], timeout=seconds)
        return Counter(tunnel.ended.result() for tunnel in self.tunnels if tunnel.ended.done())


def _is_open(opened: asyncio.Future[bool]) -> bool:
    """Return True if it was admitted; one that nobody waits for any more is cancelled."""
    return opened.done() and not opened.cancelled() and opened.result()
