"""A client of server-sent events: for the hub a connection like a WebSocket's, with another framing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from websockets.frames import Close

from swim_server.protocol import messages
from swim_server.protocol.codes import CloseCode, ErrorCode
from swim_server.streaming.connection import Connection
from swim_server.streaming.framed_event import CHUNKED_EVENT_STREAM, chunk, frame_payload

if TYPE_CHECKING:
    from swim_server.streaming.hub import Hub

PING = b": ping\n\n"
CODES = {
    CloseCode.SERVICE_RESTART: ErrorCode.RESTARTING,
    CloseCode.UNAUTHORIZED: ErrorCode.AUTH_FAILED,
    CloseCode.TRY_AGAIN_LATER: ErrorCode.AUTH_UNAVAILABLE,
    CloseCode.LIMIT: ErrorCode.CONNECTION_LIMIT,
    CloseCode.SLOW_CONSUMER: ErrorCode.HISTORY_UNAVAILABLE,
}
"""The error code of the last event, where a WebSocket would be closed with a close code."""


class StreamConnection(Connection):
    """Frames messages for this client as server-sent events too."""

    __slots__ = ()

    def framed(self, payload: bytes) -> bytes:
        """Frame a message for this client alone."""
        return frame_payload(payload, self.window_bits)

    def ping(self) -> None:
        """Send a comment, after what waits, so that client and proxies see that the stream is alive."""
        self.send_frame(chunk(PING) if self.window_bits == CHUNKED_EVENT_STREAM else PING)


class StreamTransport:
    """The way out to one client (ClientTransport). Ends with an event that gives the reason."""

    def __init__(self, transport: asyncio.Transport, hub: Hub, *, now: Callable[[], str]) -> None:
        self.connection: StreamConnection | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended_by: Close | None = None
        """Why the service has ended it; None: the client has left."""
        self._transport = transport
        self._hub = hub
        self._now = now
        self.write = transport.write

    def descriptor(self) -> int | None:
        """Return None: what is written may follow parts of the answer that the server still holds."""
        return None

    def peer(self) -> tuple[str, int] | None:
        """Return host and port of the other end."""
        found = self._transport.get_extra_info("peername")
        return (str(found[0]), int(found[1])) if found else None

    def buffered_bytes(self) -> int:
        """Return how many bytes the transport has not sent yet."""
        return self._transport.get_write_buffer_size()

    def hold_reading(self) -> None:
        """Do nothing: such a client is not read."""

    def release_reading(self) -> None:
        """Do nothing: such a client is not read."""

    def close(self, code: CloseCode, reason: str = "", *, retry_ms: int = 0) -> None:
        """Send the reason and end the stream. Idempotent."""
        connection = self.connection
        if self.closed.done() or connection is None:
            return
        self.ended_by = Close(code, reason)
        is_lagging = connection.is_lagging
        if not is_lagging and not connection.is_gone:
            details = {"retry_ms": retry_ms} if retry_ms else {}
            payload = messages.error(CODES.get(code, ErrorCode.RESTARTING), reason, self._now(), **details)
            connection.answer(payload)
        self._hub.flush_and_remove(connection)
        if not self.closed.done():
            self.closed.set_result(None)
