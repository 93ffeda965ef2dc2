"""A relay in front of the service that reads both handshakes: who offers compression, and who gets it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

END_OF_HEAD = b"\r\n\r\n"


class HandshakeRelay:
    """Relays bytes both ways. ``accepted`` holds the negotiated extensions by the ``client`` in a client's query."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.accepted: dict[str, str] = {}
        """Sec-WebSocket-Extensions of the answer; empty where there are none."""
        self._target_port = target_port
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def listening(cls, target_port: int) -> AsyncIterator[Self]:
        """Run a relay on a free port."""
        relay = cls(target_port)
        server = await asyncio.start_server(relay._accept, "127.0.0.1", 0)
        relay.port = server.sockets[0].getsockname()[1]
        try:
            yield relay
        finally:
            server.close()
            for task in list(relay._tasks):
                task.cancel()
            await asyncio.gather(*relay._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._relay(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        service_reader, service_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        request = await reader.readuntil(END_OF_HEAD)
        service_writer.write(request)
        answer = await service_reader.readuntil(END_OF_HEAD)
        writer.write(answer)
        client = re.search(rb"[?&]client=([\w-]+)", request)
        if client is not None:
            agreed = re.search(rb"(?im)^sec-websocket-extensions:\s*([^\r\n]*)", answer)
            self.accepted[client[1].decode()] = agreed[1].decode() if agreed else ""
        try:
            await asyncio.gather(_pump(reader, service_writer), _pump(service_reader, writer))
        finally:
            service_writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
