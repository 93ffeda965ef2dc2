"""What is answered over plain HTTP: health, readiness, and a page for people who come with a browser.

Imported when the first such request comes: the library behind it takes its time and memory.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from swim_server.gateway.http.readiness import Readiness
from swim_server.gateway.request import DEFAULT_PATH, PATHS

PREFIXES = ("", "/api/swim/v1")
"""Proxies differ in what they strip."""
MAX_BODY_BYTES = 1024
"""Nothing here reads a body."""
KEEPALIVE_SECONDS = 30.0
MAX_LINE_BYTES = 4096
PAGE = f"""swimctl: a stream of flight and traffic management events over WebSocket.

Connect to {DEFAULT_PATH} with an API key in the header Authorization: Bearer ...
/healthz says whether the service runs, /readyz whether it takes clients.
"""
UPGRADE_REQUIRED = f"Connect to {DEFAULT_PATH} with a WebSocket: this was a plain HTTP request.\n"

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("swim_server.http")


class Pages:
    """The handlers. Each answers from memory."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    async def health(self, _: web.Request) -> web.Response:
        """Answer that the process lives: its loop has come to this."""
        return _json(200, {"status": "ok"})

    async def ready(self, _: web.Request) -> web.Response:
        """Answer whether clients may be sent here, and why not."""
        is_ready, checks = self._readiness.document()
        return _json(200 if is_ready else 503, {"status": "ok" if is_ready else "not ready", "checks": checks})

    async def page(self, _: web.Request) -> web.Response:
        """Say in plain text what this is."""
        return web.Response(text=PAGE)

    async def upgrade_required(self, _: web.Request) -> web.Response:
        """Tell a plain request at a WebSocket's path what is missing."""
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        return web.Response(status=426, text=UPGRADE_REQUIRED, headers=headers)


def build_application(readiness: Readiness) -> web.Application:
    """Put the application together."""
    pages = Pages(readiness)
    application = web.Application(middlewares=[_answer_errors, _answer_options], client_max_size=MAX_BODY_BYTES)
    for prefix in PREFIXES:
        application.router.add_get(f"{prefix}/healthz", pages.health)
        application.router.add_get(f"{prefix}/readyz", pages.ready)
    application.router.add_get("/", pages.page)
    for path in sorted(PATHS - {"/"}):
        application.router.add_get(path, pages.upgrade_required)
        application.router.add_get(f"{path}/", pages.upgrade_required)
    application.on_response_prepare.append(_prepare)
    return application


async def build_runner(readiness: Readiness) -> web.AppRunner:
    """Set up what makes a protocol for each connection. Nothing of requests is logged."""
    runner = web.AppRunner(
        build_application(readiness),
        access_log=None,
        logger=_log,
        keepalive_timeout=KEEPALIVE_SECONDS,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_LINE_BYTES,
    )
    await runner.setup()
    return runner


async def _prepare(_: web.Request, response: web.StreamResponse) -> None:
    """Say nothing of what this is written with, and close: a proxy may send an upgrade over a connection it keeps."""
    response.force_close()
    response.headers["Connection"] = "Upgrade, close" if "Upgrade" in response.headers else "close"
    response.headers["Server"] = "swim"
    response.headers["Cache-Control"] = "no-store"


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what goes wrong with JSON that has a code and a text."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        allowed = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        text = f"there is nothing at {request.path}" if error.status == 404 else error.reason
        return _json(error.status, {"code": error.reason.upper().replace(" ", "_"), "message": text}, allowed)


@web.middleware
async def _answer_options(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer OPTIONS wherever there is something."""
    if request.method != "OPTIONS" or not isinstance(request.match_info.http_exception, web.HTTPMethodNotAllowed):
        return await handler(request)
    allowed = sorted({*request.match_info.http_exception.allowed_methods, "OPTIONS"})
    return web.Response(status=204, headers={"Allow": ", ".join(allowed)})


def _json(status: int, document: object, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=_encode(document) + b"\n", content_type="application/json", headers=headers)
