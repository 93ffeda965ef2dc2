"""Connections during their TLS handshake: under the limits for connections not yet admitted, until they are endpoints.

The loop's own server reports a connection only after its handshake; this one accepts by itself.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from swim_server.gateway.listeners import Acceptor, Serving

if TYPE_CHECKING:
    from swim_server.gateway.context import EndpointContext
    from swim_server.gateway.endpoint import Endpoint
    from swim_server.gateway.listener_kind import ListenerKind
    from swim_server.protocol.codes import CloseCode
    from swim_server.streaming.connection import Connection


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


def tls_server(
    context: EndpointContext, tls: ssl.SSLContext, endpoint: Callable[[], Endpoint]
) -> Callable[[socket.socket], Awaitable[Serving]]:
    """Return a server that gives each connection an endpoint after its TLS handshake."""

    def enter(accepted: socket.socket, address: str) -> None:
        TlsEntrance(context, context.public_kind, accepted).enter(address, tls, endpoint)

    async def serve(listener: socket.socket) -> Serving:
        return Acceptor(listener, enter)

    return serve
