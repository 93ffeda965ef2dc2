"""Pages for people: the live map, the operator's page, the public status; and what browsers may do with them."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from swim_server.gateway.http.map.pages import MapPages
from swim_server.gateway.http.ops.pages import OpsPages
from swim_server.gateway.request import DEFAULT_PATH
from swim_server.pages.page import Page, licences, load_page

if TYPE_CHECKING:
    from swim_server.gateway.http.parts import HttpParts

NONCE_BYTES = 18
_encode = msgspec.json.Encoder().encode


class WebPages:
    """Serves each page from memory. Pages contain no data of the service: they request it, with a key."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts
        self._pages: dict[str, Page] = {}
        self._loading = asyncio.Lock()

    def add_routes(self, router: web.UrlDispatcher, prefix: str) -> None:
        """Add the pages that are enabled."""
        if self._parts.pages.status:
            for path in ("/status", "/status/"):
                router.add_get(prefix + path, self.status)
            router.add_get(f"{prefix}/status/data", self.status_data)
        if not self._parts.pages.enabled:
            return
        for path in ("/ops", "/ops/"):
            router.add_get(prefix + path, self.ops)
        OpsPages(self._parts).add_routes(router, prefix)
        for path in ("/map", "/map/"):
            router.add_get(prefix + path, self.map)
        MapPages(self._parts).add_routes(router, prefix)
        router.add_get(f"{prefix}/map/licences.txt", self.licences)

    async def map(self, request: web.Request) -> web.Response:
        """Answer with the live map."""
        return await self.page(request, "map")

    async def ops(self, request: web.Request) -> web.Response:
        """Answer with the operator's page, which requests its data with a session."""
        return await self.page(request, "ops")

    async def status(self, request: web.Request) -> web.Response:
        """Answer with the public status."""
        return await self.page(request, "status")

    async def status_data(self, _: web.Request) -> web.Response:
        """Answer that the service is up, and how old its data is; nothing else."""
        ages = [age for age in self._parts.source_ages().values() if age is not None]
        document = {"up": True, "data_age_seconds": round(min(ages)) if ages else None}
        return web.Response(body=_encode(document), content_type="application/json")

    async def page(self, request: web.Request, name: str) -> web.Response:
        """Answer with a page; its scripts and styles run by a nonce unique to this answer."""
        page = await self._page(name)
        values = {"nonce": secrets.token_urlsafe(NONCE_BYTES), "socket": _socket_path(request.path)}
        response = web.Response(headers=security_headers(values["nonce"]), content_type="text/html", charset="utf-8")
        if "gzip" in request.headers.get("Accept-Encoding", "").lower():
            response.body = page.gzip(values)
            response.headers["Content-Encoding"] = "gzip"
        else:
            response.body = page.plain(values)
        return response

    async def _page(self, name: str) -> Page:
        async with self._loading:
            if name not in self._pages:
                self._pages[name] = await asyncio.to_thread(load_page, name)
        return self._pages[name]

    async def licences(self, _: web.Request) -> web.Response:
        """Answer with the licences of what the pages are built from."""
        return web.Response(text=await asyncio.to_thread(licences))


def security_headers(nonce: str) -> dict[str, str]:
    """Return the headers that allow a page only its own scripts and styles, and requests to its own service."""
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Vary": "Accept-Encoding",
    }


def _socket_path(path: str) -> str:
    """Return the WebSocket's path relative to the folder of a page; a proxy may have stripped a prefix."""
    folder = DEFAULT_PATH.rpartition("/")[0]
    return "ws" if path.startswith(f"{folder}/") else DEFAULT_PATH.lstrip("/")
