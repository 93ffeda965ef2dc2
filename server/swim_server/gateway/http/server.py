"""The plain HTTP server behind the endpoints: its protocols are given connections whose request is no upgrade."""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from aiohttp import web

    from swim_server.gateway.http.readiness import Readiness


class HttpProtocols(Protocol):
    """Makes what a connection is handed to."""

    async def protocol(self) -> asyncio.Protocol:
        """Make a protocol for one connection."""


class HttpServer:
    """Made at once, set up when the first request comes. Every connection stays within the endpoints' budgets."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._runner: web.AppRunner | None = None
        self._setup = asyncio.Lock()

    async def protocol(self) -> asyncio.Protocol:
        """Make a protocol for one connection."""
        async with self._setup:
            if self._runner is None:
                application = await asyncio.to_thread(_import_application)
                self._runner = await application.build_runner(self._readiness)
        server = self._runner.server
        assert server is not None, "it was set up"
        return cast(asyncio.Protocol, server())

    async def close(self) -> None:
        """Let every connection go."""
        if self._runner is not None:
            await self._runner.cleanup()


def _import_application() -> ModuleType:
    from swim_server.gateway.http import application

    return application
