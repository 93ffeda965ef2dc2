"""One connection that is served plain HTTP: its bytes on their way to a protocol of the HTTP server, within limits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from swim_server.concurrency.tasks import Tasks
    from swim_server.gateway.http.server import HttpProtocols

END_OF_HEAD = b"\r\n\r\n"


class PlainOwner(Protocol):
    """The endpoint whose connection it is."""

    def read_plain(self) -> None:
        """Read what comes: there is somebody to take it."""

    def abort(self) -> None:
        """Drop the connection without a word."""


class PlainConnection:
    """Keeps what comes until the server has a protocol for it; then hands everything on. No head may be too long."""

    __slots__ = ("_early", "_head_bytes", "_max_head_bytes", "_owner", "_protocol", "_task", "_transport")

    def __init__(self, owner: PlainOwner, transport: asyncio.Transport, *, max_head_bytes: int) -> None:
        self._owner = owner
        self._transport = transport
        self._max_head_bytes = max_head_bytes
        self._protocol: asyncio.Protocol | None = None
        self._early = bytearray()
        self._head_bytes = 0
        """Of a request whose head is not whole."""
        self._task: asyncio.Task[None] | None = None

    def serve(self, protocols: HttpProtocols, tasks: Tasks) -> None:
        """Ask for a protocol; the first one takes a moment."""
        self._task = tasks.start(self._hand_over(protocols))

    async def _hand_over(self, protocols: HttpProtocols) -> None:
        protocol = await protocols.protocol()
        self._task = None
        self._protocol = protocol
        protocol.connection_made(self._transport)
        self._owner.read_plain()
        early, self._early = bytes(self._early), bytearray()
        protocol.data_received(early)

    def receive(self, data: bytes) -> None:
        """Take what came."""
        end = data.rfind(END_OF_HEAD)
        self._head_bytes = self._head_bytes + len(data) if end < 0 else len(data) - end - len(END_OF_HEAD)
        if self._head_bytes > self._max_head_bytes:
            self._owner.abort()
        elif self._protocol is None:
            self._early += data
        else:
            self._protocol.data_received(data)

    def receive_eof(self) -> bool:
        """Tell whether the connection of a client that sends no more stays open for answers."""
        return bool(self._protocol.eof_received()) if self._protocol is not None else False

    def pause_writing(self) -> None:
        """Stop writing to a client that reads too slowly."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Write again to a client that reads again."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    def lost(self, error: Exception | None) -> None:
        """Forget a connection that is gone."""
        if self._task is not None:
            self._task.cancel()
        if self._protocol is not None:
            self._protocol.connection_lost(error)
