"""One connection of plain HTTP: passes its bytes to a protocol of the HTTP server, within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from swim_server.gateway.handshake import is_plain
from swim_server.gateway.http.borrowed_transport import BorrowedTransport

if TYPE_CHECKING:
    from swim_server.concurrency.tasks import Tasks
    from swim_server.gateway.http.protocols import HttpProtocols
    from swim_server.gateway.http.stream_connection import StreamConnection, StreamTransport
    from swim_server.protocol.codes import CloseCode

END_OF_HEAD = b"\r\n\r\n"
REQUEST_SECONDS = 60.0
"""Maximum time for a request, body included, so that a slow one doesn't hold its slot forever."""
LEAST_TAKEN_BYTES = 32 * 1024
"""How much of an answer a client must receive between two checks."""
MAX_REQUEST_BYTES = 8 * 1024 * 1024
"""Maximum bytes on one connection until it is answered; bodies have a limit of their own."""


class PlainOwner(Protocol):
    """The endpoint whose connection it is."""

    def read_plain(self) -> None:
        """Resume reading: the HTTP protocol is ready."""

    def stay_plain(self) -> None:
        """Extend the deadline: the client is being sent something and sends nothing itself."""

    def admit_stream(self) -> None:
        """Stop counting it as not admitted: it has a slot in its tier."""

    def shake_hands(self, head: bytes) -> None:
        """Take the connection back: the next request on it is for a WebSocket."""

    def abort(self) -> None:
        """Drop the connection without an answer."""


class PlainConnection:
    """Buffers input until the server has a protocol for it, then passes it on. Limits requests in size and time.

    Between two requests the connection may become a WebSocket's: proxies reuse connections.
    """

    __slots__ = (
        "_began_at", "_borrowed", "_early", "_is_between_requests", "_max_head_bytes", "_monotonic", "_owner",
        "_protocol", "_protocols", "_received_bytes", "_stream", "_stream_transport", "_task", "_unsent_bytes",
        "transport",
    )  # fmt: skip

    def __init__(
        self,
        owner: PlainOwner,
        transport: asyncio.Transport,
        *,
        max_head_bytes: int,
        monotonic: Callable[[], float],
    ) -> None:
        self.transport = transport
        self._is_between_requests = False
        self._owner = owner
        self._borrowed = BorrowedTransport(transport)
        self._max_head_bytes = max_head_bytes
        self._protocol: asyncio.Protocol | None = None
        self._protocols: HttpProtocols | None = None
        self._early = bytearray()
        self._monotonic = monotonic
        self._began_at = monotonic()
        """When the first bytes of the current request came."""
        self._unsent_bytes = 0
        """How many bytes were unsent at the last check."""
        self._received_bytes = 0
        """Size of the current request, with whatever came after it."""
        self._task: asyncio.Task[None] | None = None
        self._stream: StreamConnection | None = None
        self._stream_transport: StreamTransport | None = None

    def serve(self, protocols: HttpProtocols, tasks: Tasks) -> None:
        """Request a protocol; the first one takes a moment."""
        self._protocols = protocols
        self._task = tasks.start(self._hand_over(protocols))

    async def _hand_over(self, protocols: HttpProtocols) -> None:
        protocol = await protocols.protocol(self)
        self._task = None
        self._protocol = protocol
        protocol.connection_made(self._borrowed)
        self._owner.read_plain()
        early, self._early = bytes(self._early), bytearray()
        protocol.data_received(early)

    def receive(self, data: bytes) -> None:
        """Process received bytes."""
        self._received_bytes += len(data)
        if self._is_between_requests and not self._early:
            self._began_at = self._monotonic()
        if self._received_bytes > (MAX_REQUEST_BYTES if self._stream is None else self._max_head_bytes):
            self._owner.abort()
        elif self._protocol is None:
            self._early += data
        elif self.is_between_requests:
            self._receive_next(self._protocol, data)
        elif self._stream is None:  # a client of a stream has nothing to send
            self._protocol.data_received(data)
        if self._stream is None and self._monotonic() - self._began_at > REQUEST_SECONDS:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request took too long to come")

    @property
    def is_between_requests(self) -> bool:
        """Whether the last request is answered and its body read: another head comes next. Set by the server."""
        return self._is_between_requests

    @is_between_requests.setter
    def is_between_requests(self, value: bool) -> None:
        self._is_between_requests, self._began_at = value, self._monotonic()

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        """Tell why a request is not read to its end, and close."""
        if self.transport.get_write_buffer_size():  # an answer is being sent
            self._owner.abort()
            return
        self._borrowed.take_back()
        self.transport.write(_refusal(status, text))
        self.transport.close()

    def is_taken(self) -> bool:
        """Tell whether something is being sent and the client has received part of it since the last call."""
        before, self._unsent_bytes = self._unsent_bytes, self.transport.get_write_buffer_size()
        return self._unsent_bytes > 0 and not before - LEAST_TAKEN_BYTES < self._unsent_bytes <= before

    def _receive_next(self, protocol: asyncio.Protocol, data: bytes) -> None:
        """Examine the head of the next request before the protocol gets it."""
        self._early += data
        found = self._early.find(END_OF_HEAD)
        if len(self._early if found < 0 else self._early[:found]) > self._max_head_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head of the request is too long")
            return
        if found < 0:
            return
        self._received_bytes = len(self._early)
        head, early = bytes(self._early[: found + len(END_OF_HEAD)]), bytes(self._early)
        self._early, self.is_between_requests = bytearray(), False
        if is_plain(head):
            protocol.data_received(early)
            return
        self._borrowed.take_back()
        self._protocol = None
        protocol.connection_lost(None)
        self._forget(protocol)
        self._owner.shake_hands(early)

    def receive_eof(self) -> bool:
        """Tell whether the connection stays open for answers after the client's end of file."""
        return bool(self._protocol.eof_received()) if self._protocol is not None else False

    def pause_writing(self) -> None:
        """Stop writing to a client that reads too slowly."""
        if self._stream is not None:
            self._stream.pause()
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Write again to a client that reads again."""
        if self._protocol is not None:
            self._protocol.resume_writing()
        if self._stream is not None:
            self._stream.resume()

    def lost(self, error: Exception | None) -> None:
        """Release a connection that is gone."""
        if self._task is not None:
            self._task.cancel()
        if self._stream_transport is not None and not self._stream_transport.closed.done():
            self._stream_transport.closed.set_result(None)
        if self._protocol is not None:
            self._protocol.connection_lost(error)
            self._forget(self._protocol)

    def _forget(self, protocol: asyncio.Protocol) -> None:
        if self._protocols is not None:
            self._protocols.forget(protocol)

    # Server-sent events.

    def begin_stream(self, stream: StreamConnection, transport: StreamTransport) -> None:
        """Let the hub write to this connection from now on."""
        self._owner.admit_stream()
        self._stream, self._stream_transport = stream, transport

    def end_stream(self) -> None:
        """Stop the hub's writing. Idempotent."""
        self._stream = self._stream_transport = None

    def stay(self) -> None:
        """Extend the deadline: the client is being sent something and sends nothing itself."""
        self._owner.stay_plain()

    def close(self, code: CloseCode, reason: str, *, retry_ms: int) -> bool:
        """End a stream with an event that gives the reason; False: there is no stream."""
        if self._stream_transport is None:
            return False
        self._stream_transport.close(code, reason, retry_ms=retry_ms)
        return True


def _refusal(status: HTTPStatus, text: str) -> bytes:
    code = status.phrase.upper().replace(" ", "_")
    body = b'{"code":"%b","message":"%b"}\n' % (code.encode(), text.encode())
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nServer: swim\r\nContent-Type: application/json\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
