"""The interfaces between the parts of plain HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from swim_server.gateway.http.stream_connection import StreamConnection, StreamTransport
    from swim_server.protocol.codes import CloseCode


class PlainReceiver(Protocol):
    """Takes the bytes of one connection whose request is not for a WebSocket."""

    def receive(self, data: bytes) -> None:
        """Process received bytes."""

    def receive_eof(self) -> bool:
        """Tell whether the connection stays open for answers after the client's end of file."""

    def is_taken(self) -> bool:
        """Tell whether it may stay open although the client sends nothing."""

    def pause_writing(self) -> None:
        """Stop writing to a client that reads too slowly."""

    def resume_writing(self) -> None:
        """Write again to a client that reads again."""

    def lost(self, error: Exception | None) -> None:
        """Release a connection that is gone."""

    def close(self, code: CloseCode, reason: str, *, retry_ms: int) -> bool:
        """End a stream with an event that gives the reason; False: there is no stream."""


class PassedOwner(Protocol):
    """The endpoint of a connection that another process serves."""

    def read_plain(self) -> None:
        """Read on."""

    def hold_plain(self) -> None:
        """Stop reading until ``read_plain``."""

    def abort(self) -> None:
        """Drop the connection without an answer."""


class Elsewhere(Protocol):
    """Another process, which answers requests that are not for a WebSocket."""

    def connection(self, owner: PassedOwner, transport: asyncio.Transport) -> PlainReceiver:
        """Return what takes the bytes of one connection."""


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
