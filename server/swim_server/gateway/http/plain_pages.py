"""What needs no key: health, readiness, the documents, and a page about the service. And the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from swim_server.gateway.http.errors import HttpError
from swim_server.gateway.request import DEFAULT_PATH
from swim_server.gateway.tickets import LIFE_SECONDS

if TYPE_CHECKING:
    from swim_server.gateway.http.parts import HttpParts

PAGE = f"""swimctl: a stream of flight and traffic management events over WebSocket.

Connect to {DEFAULT_PATH} with an API key in the header Authorization: Bearer ...

Over plain HTTP, with the same key:
  /flights /flights.geojson /tmis /splits /sequences   the current state
  /stream?channels=flight.departed                     server-sent events
  /events?after=ID                                     history
  /asyncapi.json /openapi.json                         descriptions of the protocol (no key)
  /map                                                 the live map, in a browser (type the key there)
  /healthz /readyz                                     liveness and readiness (no key)
"""
UPGRADE_REQUIRED = f"Connect to {DEFAULT_PATH} with a WebSocket client: this was a plain HTTP request.\n"

_encode = msgspec.json.Encoder().encode


class PlainPages:
    """The handlers. Each answers from memory."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts

    async def health(self, _: web.Request) -> web.Response:
        """Answer that the process is alive: its event loop runs."""
        return _json(200, {"status": "ok"})

    async def ready(self, _: web.Request) -> web.Response:
        """Answer whether clients may be sent here and, if not, why."""
        is_ready, checks = self._parts.readiness.document()
        return _json(200 if is_ready else 503, {"status": "ok" if is_ready else "not ready", "checks": checks})

    async def page(self, _: web.Request) -> web.Response:
        """Describe the service in plain text."""
        return web.Response(text=PAGE)

    async def upgrade_required(self, _: web.Request) -> web.Response:
        """Answer a request at the WebSocket's path that lacks an upgrade."""
        headers = {"Upgrade": "websocket", "Connection": "Upgrade, close"}
        response = web.Response(status=426, text=UPGRADE_REQUIRED, headers=headers)
        response.force_close()
        return response

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer with all metrics, for the operator and this machine only."""
        if not self._parts.operator.is_allowed(request):
            text = "metrics are for the operator: send the token in SWIM_HOME/operator.token as Authorization: Bearer"
            raise HttpError(401, "AUTH_FAILED", text, headers={"WWW-Authenticate": 'Bearer realm="swim"'})
        body, content_type = await self._parts.metrics()
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def ticket(self, request: web.Request) -> web.Response:
        """Answer with a ticket for one upgrade, so that no key appears in an address or a proxy's log."""
        await self._parts.access.identify(request)
        ticket = self._parts.tickets.issue(self._parts.access.credential(request).api_key)
        return _json(200, {"ticket": ticket, "expires_in": LIFE_SECONDS})

    async def asyncapi(self, request: web.Request) -> web.Response:
        """Answer with the wire protocol as an AsyncAPI document."""
        from swim_server.protocol.schema.asyncapi import asyncapi_document

        return self._document(asyncapi_document(self._parts.hub.catalogue, self._parts.config.public_url))

    async def openapi(self, request: web.Request) -> web.Response:
        """Answer with the plain HTTP API as an OpenAPI document."""
        from swim_server.protocol.schema.openapi import openapi_document

        return self._document(openapi_document(self._parts.hub.catalogue, self._parts.config.public_url))

    @staticmethod
    def _document(document: object) -> web.Response:
        response = _json(200, document)
        response.headers["Cache-Control"] = "public, max-age=300"
        return response


def _json(status: int, document: object) -> web.Response:
    return web.Response(status=status, body=_encode(document) + b"\n", content_type="application/json")
