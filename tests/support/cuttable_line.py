"""A line between clients and a service that can be cut, and can fall silent: bytes pass, nothing is understood."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

CHUNK_BYTES = 65_536


class CuttableLine:
    """Listens on ``port``, and connects each client with the service on another port of this machine."""

    def __init__(self, service_port: int) -> None:
        self.port = 0
        self.connections = 0
        """All that ever were."""
        self._service_port = service_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None, "__aenter__ comes first"
        self._server.close()
        self.cut()
        self._passes.set()

    def cut(self) -> None:
        """Break every connection on both sides, in the middle of whatever is on its way."""
        for writer in list(self._writers):
            link = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def leads_to(self, service_port: int) -> None:
        """Connect new clients with another service; the others keep theirs."""
        self._service_port = service_port

    async def silence(self, seconds: float) -> None:
        """Let nothing pass for so long, and nobody know: each side sees a connection on which nothing comes."""
        self.hold()
        await asyncio.sleep(seconds)
        self.release()

    def hold(self) -> None:
        """Let nothing pass from now on."""
        self._passes.clear()

    def release(self) -> None:
        """Pass on what was held back, and what comes."""
        self._passes.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._service_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, back))
                group.create_task(self._pass_on(there, writer))
        except* (OSError, asyncio.CancelledError):
            pass  # one side is gone: the other follows; or the test is over
        finally:
            self._writers -= {writer, back}
            writer.transport.abort()
            back.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._passes.wait()
            writer.write(data)
            await writer.drain()
        await self._passes.wait()
        with contextlib.suppress(OSError):
            writer.write_eof()
