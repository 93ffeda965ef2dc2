"""What the live map asks for beside the state and the events. Requires a key, and counts like any request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.gateway.http.errors import bad_request, unavailable
from swim_server.gateway.http.map.trails import Key, TrailReader
from swim_server.gateway.http.query import accepts_gzip, check_names, one, read_list
from swim_server.protocol.codes import show
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

if TYPE_CHECKING:
    from swim_server.gateway.http.parts import HttpParts
    from swim_server.gateway.http.query import Query

MAX_AIRPORTS = 500
"""Maximum number of codes in one request."""
COMPRESS_FROM_BYTES = 512
_encode = msgspec.json.Encoder().encode


class MapPages:
    """Answers what is the same for everybody once, however many maps are open."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts
        self._trails = TrailReader(parts.broker, clock=parts.clock)

    def add_routes(self, router: web.UrlDispatcher, prefix: str) -> None:
        """Add the routes that the map uses; the map itself is served with the other pages."""
        router.add_get(f"{prefix}/map/airports", self.airports)
        router.add_get(f"{prefix}/map/boundaries", self.boundaries)
        router.add_get(f"{prefix}/map/trails", self.trails)

    async def airports(self, request: web.Request) -> web.Response:
        """Answer with the locations of airports; unknown codes are left out."""
        await self._parts.access.identify(request)
        check_names(request.query, {"codes"})
        codes = read_list(request.query, "codes")[:MAX_AIRPORTS]
        airfields = await self._parts.airports()
        found = {
            code: {"latitude": field.latitude, "longitude": field.longitude}
            for code in codes
            if (field := airfields.get(code.upper())) is not None
        }
        return web.Response(body=_encode({"airports": found}), content_type="application/json")

    async def boundaries(self, request: web.Request) -> web.Response:
        """Answer with the lines of the configured boundaries; none where none are configured."""
        await self._parts.access.identify(request)
        check_names(request.query, ())
        compressed, digest = await self._parts.boundary_lines()
        tag = f'"{digest}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
        if request.headers.get("If-None-Match", "").strip() == tag:
            return web.Response(status=304, headers=headers)
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=compressed, headers=headers, content_type="application/json")

    async def trails(self, request: web.Request) -> web.Response:
        """Answer with where aircraft were: all of them lately, or one (``flight_uid``, ``callsign``) since a time."""
        await self._parts.access.identify(request)
        check_names(request.query, {"flight_uid", "callsign", "since"})
        try:
            body = await self._trails.read(read_flight(request.query), read_since(request.query))
        except BrokerUnavailable:
            raise unavailable("HISTORY_UNAVAILABLE", "history can't be read at the moment") from None
        response = web.Response(body=body, content_type="application/json")
        if len(body) >= COMPRESS_FROM_BYTES and accepts_gzip(request.headers.get("Accept-Encoding", "")):
            response.enable_compression(web.ContentCoding.gzip)
        return response


def read_flight(query: Query) -> Key | None:
    """Read which flight is meant; None: all."""
    uid, callsign = one(query, "flight_uid"), one(query, "callsign")
    if uid is None:
        return callsign
    if not (uid.isascii() and uid.isdecimal() and len(uid) <= 16):
        bad_request(f"flight_uid: must be a number, got {show(uid)}")
    return int(uid)


def read_since(query: Query) -> int | None:
    """Read since when; None: as long as positions reach back, within limits."""
    since = one(query, "since")
    if since is None:
        return None
    try:
        return parse_ms(since)
    except InvalidTimestamp:
        bad_request(f"since: {show(since)} is not an RFC 3339 time; one looks like 2026-01-16T14:30:15Z")
