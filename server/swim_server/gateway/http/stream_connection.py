"""A client of server-sent events: the same connection to the hub as a WebSocket's, with another framing."""

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
"""What the last event says where a WebSocket would be closed with a code."""


class StreamConnection(Connection):
    """Messages of its own are server-sent events, too."""

    __slots__ = ()

    def framed(self, payload: bytes) -> bytes:
        """Frame one message of its own."""
        return frame_payload(payload, self.window_bits)

    def ping(self) -> None:
        """Send a comment, behind what waits: the client, and what stands between, see that the stream lives."""
        self.send_frame(chunk(PING) if self.window_bits == CHUNKED_EVENT_STREAM else PING)


class StreamTransport:
    """The way out to one client (ClientTransport). Ends with an event that says why."""

    def __init__(self, transport: asyncio.Transport, hub: Hub, *, now: Callable[[], str]) -> None:
        self.connection: StreamConnection | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended_by: Close | None = None
        """Why the service has ended it; None: the client has gone."""
        self._transport = transport
        self._hub = hub
        self._now = now
        self.write = transport.write

    def peer(self) -> tuple[str, int] | None:
        """Return host and port of the other end."""
        found = self._transport.get_extra_info("peername")
        return (str(found[0]), int(found[1])) if found else None

    def buffered_bytes(self) -> int:
        """Return what the transport still holds."""
        return self._transport.get_write_buffer_size()

    def hold_reading(self) -> None:
        """Nothing is read of such a client."""

    def release_reading(self) -> None:
        """Nothing is read of such a client."""

    def close(self, code: CloseCode, reason: str = "", *, retry_ms: int = 0) -> None:
        """Say why, and end the stream. Idempotent."""
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
