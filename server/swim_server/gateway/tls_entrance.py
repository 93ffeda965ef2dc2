"""Connections during their TLS handshake: under the limits for connections not yet admitted, until they are endpoints.

The loop's own server reports a connection only after its handshake; this one accepts by itself.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swim_server.gateway.context import EndpointContext
    from swim_server.gateway.endpoint import Endpoint
    from swim_server.gateway.listener_kind import ListenerKind
    from swim_server.protocol.codes import CloseCode
    from swim_server.streaming.connection import Connection

ACCEPTS_PER_TURN = 64
"""Maximum number of connections accepted in one turn of the loop; the others wait in the socket's queue."""


class TlsEntrance:
    """One connection during its TLS handshake, before it is an endpoint."""

    is_open = False
    is_plain = True
    """A connection that does not complete the handshake does not count as a client."""
    connection: Connection | None = None

    def __init__(self, context: EndpointContext, kind: ListenerKind, accepted: socket.socket) -> None:
        self.kind = kind
        self.is_arriving = True
        self._context = context
        self._socket = accepted
        self._task: asyncio.Task[None] | None = None

    def enter(self, address: str | None, tls: ssl.SSLContext, endpoint: Callable[[], Endpoint]) -> None:
        """Begin the handshake; its result goes to the endpoint."""
        self._context.gateway.add(self)
        self._task = self._context.tasks.start(self._shake_hands(tls, endpoint))
        self._context.arrivals.add(self, address)

    async def _shake_hands(self, tls: ssl.SSLContext, endpoint: Callable[[], Endpoint]) -> None:
        settings = self._context.settings
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                endpoint,
                self._socket,
                ssl=tls,
                ssl_handshake_timeout=settings.handshake_timeout_seconds,
                ssl_shutdown_timeout=settings.close_timeout_seconds,
            )
        except (OSError, ssl.SSLError):
            self._socket.close()  # the peer speaks no TLS, or none that we do, or has gone
        finally:
            self.is_arriving = False
            self._context.arrivals.remove(self)
            self._context.gateway.forget(self)

    def abort(self) -> None:
        """Drop the connection."""
        if self.is_arriving and self._task is not None:
            self._task.cancel()
            self._socket.close()

    def close(self, code: CloseCode, reason: str = "", *, retry_ms: int = 0) -> None:
        """Drop the connection: no closing handshake is possible yet."""
        self.abort()

    def yield_slot(self) -> None:
        """Do nothing: it holds no slot."""


class TlsServer:
    """Accepts on one listening socket until it is closed."""

    def __init__(
        self, listener: socket.socket, context: EndpointContext, tls: ssl.SSLContext, endpoint: Callable[[], Endpoint]
    ) -> None:
        self._listener = listener
        self._context = context
        self._tls = tls
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        self._loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Stop accepting and close the socket. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._listener)
            self._listener.close()

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            if self._is_closed:
                return
            try:
                accepted, address = self._listener.accept()
            except OSError:  # nobody waits any more, or the peer has gone; the loop asks again
                return
            accepted.setblocking(False)
            entrance = TlsEntrance(self._context, self._context.public_kind, accepted)
            entrance.enter(str(address[0]), self._tls, self._endpoint)
