"""A small proxy in front of the service, with the faults that real ones have: TLS or not, headers, patience.

It copies bytes both ways; of the first request it reads the head, and does to it what its switches say.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from typing import Self

END_OF_HEAD = b"\r\n\r\n"


class FrontProxy:
    """Listens on a free port while entered, in its own thread. Switches may be changed at any moment."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.target_port = 0
        """Of the service on this machine."""
        self.strips_key = False
        """The headers that may hold a key don't pass."""
        self.names_client = True
        """It says itself where a client comes from, in place of what the client says."""
        self.passes_upgrade = True
        self.idle_seconds: float | None = None
        """A connection over which nothing goes for so long is cut."""
        self.drops = False
        """A connection is closed as soon as something was asked."""
        self.redirects_to: str | None = None
        self.path: bytes | None = None
        """What stands in the place of the path that was asked for."""
        self.buffers_bytes = 0
        """So much of an answer is kept back until it is more, as for a page."""
        self.port = 0
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._stop: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The address for clients."""
        scheme = "wss" if self._tls is not None else "ws"
        return f"{scheme}://localhost:{self.port}/api/swim/v1/ws"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, ["127.0.0.1", "::1"][:1], 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
                await self._pass_through(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pass_through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(END_OF_HEAD)
        if self.drops:
            return
        if self.redirects_to is not None:
            location = self.redirects_to.encode()
            writer.write(b"HTTP/1.1 301 Moved Permanently\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        if not self.passes_upgrade:
            writer.write(b"HTTP/1.1 426 Upgrade Required\r\nServer: proxy\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        try:
            there_reader, there = await asyncio.open_connection("127.0.0.1", self.target_port)
        except ConnectionError:  # as nginx and Apache do where nobody listens
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nServer: proxy\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        try:
            there.write(self._changed(head, writer.get_extra_info("peername")[0]))
            last = [self._loop.time()]
            copies = [
                asyncio.ensure_future(self._copy(reader, there, last)),
                asyncio.ensure_future(self._copy(there_reader, writer, last, self.buffers_bytes)),
                asyncio.ensure_future(self._watch(last)),
            ]
            try:
                await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for copy in copies:
                    copy.cancel()
                await asyncio.gather(*copies, return_exceptions=True)
        finally:
            there.transport.abort()

    def _changed(self, head: bytes, client: str) -> bytes:
        lines = head.split(b"\r\n")
        if self.path is not None:
            method, _, version = lines[0].split(b" ", 2)
            lines[0] = b" ".join((method, self.path, version))
        if self.strips_key:
            secret = (b"authorization:", b"x-api-key:", b"x-swim-api-key:")
            lines = [line for line in lines if not line.lower().startswith(secret)]
        if self.names_client:
            told = (b"x-forwarded-for:", b"forwarded:", b"x-real-ip:")
            lines = [line for line in lines if not line.lower().startswith(told)]
            lines.insert(1, b"X-Forwarded-For: " + client.encode())
        return b"\r\n".join(lines)

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, last: list[float], kept_bytes: int = 0
    ) -> None:
        kept = bytearray()
        while data := await reader.read(65_536):
            last[0] = self._loop.time()
            kept += data
            if len(kept) >= kept_bytes:
                writer.write(bytes(kept))
                await writer.drain()
                kept.clear()
        writer.write(bytes(kept))
        await asyncio.sleep(0.05)  # what came last is on its way

    async def _watch(self, last: list[float]) -> None:
        while self.idle_seconds is None or self._loop.time() - last[0] < self.idle_seconds:
            await asyncio.sleep(0.05)
