"""The plain HTTP application: routes and what all of them share. Imported with the first request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from swim_server.gateway.http.errors import HttpError, of_message
from swim_server.gateway.http.history_pages import HistoryPages
from swim_server.gateway.http.plain_pages import PlainPages
from swim_server.gateway.http.publish_pages import PublishPages
from swim_server.gateway.http.request_counts import OTHER, UNREADABLE
from swim_server.gateway.http.state_pages import StatePages
from swim_server.gateway.http.stream import Streams
from swim_server.gateway.http.web_pages import WebPages
from swim_server.gateway.request import PATHS
from swim_server.protocol.codes import BadMessage

if TYPE_CHECKING:
    from swim_server.gateway.http.parts import HttpParts
    from swim_server.gateway.http.protocols import RequestTracker
    from swim_server.gateway.http.request_counts import RequestCounts

PREFIXES = ("", "/api/swim/v1")
"""Proxies differ in which prefix they strip."""
MAX_BODY_BYTES = 1024 * 1024
KEEPALIVE_SECONDS = 30.0
MAX_LINE_BYTES = 16 * 1024
"""No head is longer: the endpoints ensure that."""
SUFFIX = r"{suffix:json|ndjson|geojson|csv}"
CORS_HEADERS = "Authorization, X-SWIM-API-Key, X-API-Key, Content-Type, Last-Event-ID, If-None-Match"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("swim_server.http")


class Application:
    """The routes, and what applies to all of them."""

    def __init__(self, parts: HttpParts, tracker: RequestTracker) -> None:
        self._parts = parts
        self._tracker = tracker
        self._counts = parts.request_counts
        self._streams = Streams(parts)

    def build(self) -> web.Application:
        """Build the aiohttp application."""
        application = web.Application(middlewares=[self._serve], client_max_size=MAX_BODY_BYTES)
        web_pages = WebPages(self._parts)
        for prefix in PREFIXES:
            self._add_routes(application.router, prefix)
            web_pages.add_routes(application.router, prefix)
        pages = PlainPages(self._parts)
        application.router.add_get("/", pages.page)
        for path in sorted(PATHS - {"/"}):
            application.router.add_get(path, pages.upgrade_required)
            application.router.add_get(f"{path}/", pages.upgrade_required)
        return application

    def _add_routes(self, router: web.UrlDispatcher, prefix: str) -> None:
        pages, state = PlainPages(self._parts), StatePages(self._parts)
        router.add_get(f"{prefix}/healthz", pages.health)
        router.add_get(f"{prefix}/readyz", pages.ready)
        router.add_get(f"{prefix}/metrics", pages.metrics)
        router.add_get(f"{prefix}/asyncapi.json", pages.asyncapi)
        router.add_get(f"{prefix}/openapi.json", pages.openapi)
        router.add_get(f"{prefix}/{{kind:{self._kinds()}}}", state.entries)
        router.add_get(f"{prefix}/{{kind:{self._kinds()}}}.{SUFFIX}", state.entries)
        router.add_get(f"{prefix}/flights/{{name}}", state.flight)
        router.add_get(f"{prefix}/events", HistoryPages(self._parts).events)
        router.add_post(f"{prefix}/events", PublishPages(self._parts).publish)
        router.add_get(f"{prefix}/stream", self._stream)
        router.add_post(f"{prefix}/ticket", pages.ticket)

    def _kinds(self) -> str:
        return "|".join(self._parts.kinds)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        plain = self._tracker.connection_of(request.protocol)
        if plain is None:
            raise HttpError(503, "RESTARTING", "the connection is being closed")
        return await self._streams.stream(request, plain)

    # For every request.

    @web.middleware
    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._tracker.began(request.protocol)
        self._counts.in_hand += 1
        try:
            response = await self._answer(request, handler)
        finally:
            self._counts.in_hand -= 1
        self._counts.note(request.method, _route_of(request), response.status)
        is_kept = request.keep_alive and not request.can_read_body and response.keep_alive is not False
        if not is_kept:  # bytes after a body that was not read must not be taken for another head
            response.force_close()
        if not response.prepared:
            response.headers["Server"] = "swim"
            response.headers.setdefault("Cache-Control", "no-store")
        self._tracker.answered(request.protocol, is_kept=is_kept)
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        cross_origin: dict[str, str] = {}
        try:
            cross_origin = self._parts.access.cross_origin_headers(request)
            missing = request.match_info.http_exception
            if request.method == "OPTIONS" and isinstance(missing, web.HTTPMethodNotAllowed):
                return _options(missing, cross_origin)
            response = await handler(request)
        except HttpError as error:
            response = _json(error.status, error.document(), error.headers)
        except BadMessage as refused:
            told = of_message(refused)
            response = _json(told.status, told.document(), told.headers)
        except web.HTTPException as raised:
            if raised.status < 400:
                raise
            response = _refused(request, raised)
        if not response.prepared:
            vary = response.headers.get("Vary")
            response.headers.update(cross_origin)
            if vary and cross_origin:
                response.headers["Vary"] = f"{vary}, Origin"
        return response


class Requests(web.RequestHandler):
    """The library's request handler, with our texts for what it rejects by itself."""

    __slots__ = ("_counts",)

    def __init__(self, manager: web.Server, counts: RequestCounts, **options: Any) -> None:
        super().__init__(manager, **options)
        self._counts = counts

    def handle_error(
        self, request: Any, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer a request that can't be read, or whose handler failed."""
        if status >= 500 or request.writer.output_size > 0:  # a client's error fills no log, and may contain its key
            super().handle_error(request, status, exc, message)
        text = "this is not a valid HTTP request" if status < 500 else "internal error: see the service's log"
        self._counts.note("", UNREADABLE if status < 500 else OTHER, status)
        response = _json(status, {"code": HTTPStatus(status).phrase.upper().replace(" ", "_"), "message": text})
        response.headers["Server"] = "swim"
        response.force_close()
        return response


def make_protocol(runner: web.AppRunner, counts: RequestCounts) -> web.RequestHandler:
    """Return a protocol for one connection."""
    assert runner.server is not None, "it was set up"
    return Requests(
        runner.server,
        counts,
        loop=asyncio.get_running_loop(),
        access_log=None,  # no access log
        logger=_log,
        keepalive_timeout=KEEPALIVE_SECONDS,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_LINE_BYTES,
    )


async def build_runner(parts: HttpParts, tracker: RequestTracker) -> web.AppRunner:
    """Set up the runner whose protocols serve connections. Requests are not logged."""
    runner = web.AppRunner(
        Application(parts, tracker).build(),
        access_log=None,
        handler_cancellation=True,
    )
    await runner.setup()
    return runner


def _route_of(request: web.Request) -> str | None:
    """Return the pattern of the request's route, without the prefix that a proxy may have stripped."""
    resource = request.match_info.route.resource
    if resource is None:
        return None
    pattern = resource.canonical.removeprefix(PREFIXES[1]).removesuffix(".{suffix}") or "/"
    return pattern.replace("{kind}", request.match_info.get("kind", "{kind}"))


def _options(missing: web.HTTPMethodNotAllowed, cross_origin: dict[str, str]) -> web.Response:
    """Answer OPTIONS for every route; browsers ask before they send a key in a header."""
    allowed = ", ".join(sorted({*missing.allowed_methods, "OPTIONS"}))
    headers = {"Allow": allowed, **cross_origin}
    if cross_origin:
        headers |= {
            "Access-Control-Allow-Methods": allowed,
            "Access-Control-Allow-Headers": CORS_HEADERS,
            "Access-Control-Max-Age": "600",
        }
    return web.Response(status=204, headers=headers)


def _refused(request: web.Request, raised: web.HTTPException) -> web.Response:
    """Answer what the library rejects with JSON that has a code and a text."""
    allowed = {name: raised.headers[name] for name in ("Allow",) if name in raised.headers}
    text = f"there is nothing at {request.path[:200]}" if raised.status == 404 else raised.reason
    if raised.status == 413:
        text = f"the body is too long: at most {MAX_BODY_BYTES:,} bytes are read"
    return _json(raised.status, {"code": raised.reason.upper().replace(" ", "_"), "message": text}, allowed)


def _json(status: int, document: object, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=_encode(document) + b"\n", content_type="application/json", headers=headers)
