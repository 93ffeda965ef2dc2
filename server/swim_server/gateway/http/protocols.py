"""What the parts of plain HTTP ask of each other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from swim_server.gateway.http.stream_connection import StreamConnection, StreamTransport


class HttpConnection(Protocol):
    """One connection, as requests on it see it."""

    transport: asyncio.Transport
    is_between_requests: bool
    """The last request was answered, its body read: what comes is the head of another."""

    def begin_stream(self, stream: StreamConnection, transport: StreamTransport) -> None:
        """From now on the hub writes to this connection."""

    def end_stream(self) -> None:
        """Let the hub write no more. Idempotent."""

    def stay(self) -> None:
        """Go on for a while: something is being sent to a client that says nothing."""


class HttpProtocols(Protocol):
    """Makes what a connection is handed to."""

    async def protocol(self, connection: HttpConnection) -> asyncio.Protocol:
        """Make a protocol for one connection."""

    def forget(self, protocol: asyncio.Protocol) -> None:
        """Forget a connection that has ended, or belongs to another protocol."""


class RequestTracker(Protocol):
    """Knows the connections of requests, and whether one is in hand."""

    def connection_of(self, protocol: object) -> HttpConnection | None:
        """Return the connection that a request came on."""

    def began(self, protocol: object) -> None:
        """Note that a request is in hand."""

    def answered(self, protocol: object, *, is_kept: bool) -> None:
        """Note that a request is answered. ``is_kept``: what comes next on the connection is another head."""
