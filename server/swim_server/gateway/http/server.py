"""The plain HTTP server behind the endpoints: gives connections whose request is no upgrade a protocol."""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from aiohttp import web

    from swim_server.gateway.http.parts import HttpParts
    from swim_server.gateway.http.protocols import HttpConnection


class HttpServer:
    """Set up when the first request comes. Every connection stays within the endpoints' budgets."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts
        self._application: ModuleType | None = None
        self._runner: web.AppRunner | None = None
        self._setup = asyncio.Lock()
        self._connections: dict[asyncio.Protocol, HttpConnection] = {}

    async def protocol(self, connection: HttpConnection) -> asyncio.Protocol:
        """Return a protocol for one connection."""
        async with self._setup:
            if self._runner is None:
                self._application = await asyncio.to_thread(_import_application)
                self._runner = await self._application.build_runner(self._parts, self)
        assert self._application is not None, "it was imported first"
        protocol = cast(asyncio.Protocol, self._application.make_protocol(self._runner, self._parts.request_counts))
        self._connections[protocol] = connection
        return protocol

    def forget(self, protocol: asyncio.Protocol) -> None:
        """Forget a connection that has ended or was taken back."""
        self._connections.pop(protocol, None)

    def connection_of(self, protocol: object) -> HttpConnection | None:
        """Return the connection that a request came on."""
        return self._connections.get(cast(asyncio.Protocol, protocol))

    def began(self, protocol: object) -> None:
        """Note that a request is being answered."""
        connection = self.connection_of(protocol)
        if connection is not None:
            connection.is_between_requests = False

    def answered(self, protocol: object, *, is_kept: bool) -> None:
        """Note that a request is answered. ``is_kept``: another head comes next on the connection."""
        connection = self.connection_of(protocol)
        if connection is not None:
            connection.is_between_requests = is_kept

    async def close(self) -> None:
        """Close all connections."""
        if self._runner is not None:
            await self._runner.cleanup()


def _import_application() -> ModuleType:
    from swim_server.gateway.http import application

    return application
