"""Connections that a worker has passed on: each becomes an endpoint here, as if it had been accepted here."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any, cast

from swim_server.gateway.http.borrowed_transport import BorrowedTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from swim_server.concurrency.tasks import Tasks
    from swim_server.gateway.endpoint import Endpoint
    from swim_server.gateway.tls import TlsCertificate
    from swim_server.workers.messages import PlainRequest


class RelayedTransport(BorrowedTransport):
    """This process's end of a relay: what it says of the client is what the worker has said."""

    def __init__(self, transport: asyncio.Transport, extra: dict[str, Any]) -> None:
        super().__init__(transport)
        self._relay = transport
        self._told = extra

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return information about the client's connection."""
        return self._told.get(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the writer is told to pause."""
        self._relay.set_write_buffer_limits(high, low)

    def can_write_eof(self) -> bool:
        """Return False, as TLS."""
        return False


class _Adopted(asyncio.Protocol):
    """Gives an endpoint the bytes that a worker has read, then those that follow."""

    def __init__(self, endpoint: Endpoint, data: bytes, extra: dict[str, Any] | None) -> None:
        self._endpoint = endpoint
        self._data = data
        self._extra = extra

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        given = cast(asyncio.Transport, transport)
        self._endpoint.connection_made(given if self._extra is None else RelayedTransport(given, self._extra))
        data, self._data = self._data, b""
        self._endpoint.data_received(data)

    def data_received(self, data: bytes) -> None:
        self._endpoint.data_received(data)

    def eof_received(self) -> bool:
        return self._endpoint.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._endpoint.connection_lost(exc)

    def pause_writing(self) -> None:
        self._endpoint.pause_writing()

    def resume_writing(self) -> None:
        self._endpoint.resume_writing()


class Adopting:
    """Brings together the two halves of what one worker passes on, whichever comes first."""

    def __init__(self, endpoint: Callable[[], Endpoint], tls: TlsCertificate | None, tasks: Tasks) -> None:
        self._endpoint = endpoint
        self._tls = tls
        self._tasks = tasks
        self._descriptors: dict[int, int] = {}
        self._requests: dict[int, PlainRequest] = {}

    def descriptor(self, descriptor: int, data: bytes) -> None:
        """Take the descriptor of a connection."""
        token = int.from_bytes(data, "big")
        request = self._requests.pop(token, None)
        if request is None:
            self._descriptors[token] = descriptor
        else:
            self._tasks.start(self._adopt(descriptor, request))

    def request(self, request: PlainRequest) -> None:
        """Take what was read of it."""
        descriptor = self._descriptors.pop(request.token, None)
        if descriptor is None:
            self._requests[request.token] = request
        else:
            self._tasks.start(self._adopt(descriptor, request))

    def close(self) -> None:
        """Close what has come only in part. Idempotent."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()
        self._requests.clear()

    async def _adopt(self, descriptor: int, request: PlainRequest) -> None:
        connection = socket.socket(fileno=descriptor)
        connection.setblocking(False)
        extra: dict[str, Any] | None = None
        if request.peer is not None:
            extra = {"peername": request.peer, "sslcontext": self._tls.context if self._tls is not None else None}
        adopted = _Adopted(self._endpoint(), request.data, extra)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: adopted, connection)
        except OSError:
            connection.close()  # the peer has gone
