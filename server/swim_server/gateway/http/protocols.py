"""The interfaces between the parts of plain HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from swim_server.gateway.http.stream_connection import StreamConnection, StreamTransport


class HttpConnection(Protocol):
    """One connection, as the handlers of its requests see it."""

    transport: asyncio.Transport
    is_between_requests: bool
    """Whether the last request is answered and its body read, so that another head comes next."""

    def begin_stream(self, stream: StreamConnection, transport: StreamTransport) -> None:
        """Let the hub write to this connection from now on."""

    def end_stream(self) -> None:
        """Stop the hub's writing. Idempotent."""

    def stay(self) -> None:
        """Extend the deadline: the client is being sent something and sends nothing itself."""


class HttpProtocols(Protocol):
    """Creates the protocols that connections are handed to."""

    async def protocol(self, connection: HttpConnection) -> asyncio.Protocol:
        """Return a protocol for one connection."""

    def forget(self, protocol: asyncio.Protocol) -> None:
        """Forget a connection that has ended or was taken back."""


class RequestTracker(Protocol):
    """Knows the connection of each request, and whether one is being answered."""

    def connection_of(self, protocol: object) -> HttpConnection | None:
        """Return the connection that a request came on."""

    def began(self, protocol: object) -> None:
        """Note that a request is being answered."""

    def answered(self, protocol: object, *, is_kept: bool) -> None:
        """Note that a request is answered. ``is_kept``: another head comes next on the connection."""
