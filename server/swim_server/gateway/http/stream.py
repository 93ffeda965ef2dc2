"""``GET /stream``: server-sent events, from the same groups and with the same ids as over WebSockets."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from aiohttp import web

from swim_server.gateway.authentication import TurnedAway
from swim_server.gateway.http.errors import HttpError, bad_request, unavailable
from swim_server.gateway.http.query import (
    FILTER_NAMES,
    check_names,
    one,
    read_epoch,
    read_filters,
    read_list,
    read_number,
)
from swim_server.gateway.http.stream_connection import StreamConnection, StreamTransport
from swim_server.protocol.actions import MAX_LAST, Subscribe
from swim_server.protocol.event_id import EventId, InvalidEventId
from swim_server.protocol.timestamps import InvalidTimestamp, format_ms, parse_ms
from swim_server.streaming.client import Client
from swim_server.streaming.framed_event import CHUNKED_EVENT_STREAM, EVENT_STREAM
from swim_server.streaming.subscription import NOTHING

if TYPE_CHECKING:
    from swim_server.gateway.http.parts import HttpParts
    from swim_server.gateway.http.protocols import HttpConnection
    from swim_server.keys.records import KeyRecord

NAMES = {*FILTER_NAMES, "channels", "after", "epoch", "since", "last"}
PING_SECONDS = 15.0
"""Interval of pings: proxies close connections that are silent for a minute."""


class Streams:
    """Each stream takes a slot in its tier, like a WebSocket."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts

    async def stream(self, request: web.Request, plain: HttpConnection) -> web.StreamResponse:
        """Send events until the client leaves, its key ends, or the service stops."""
        parts = self._parts
        if parts.gateway.is_closed:
            raise unavailable("RESTARTING", "the service restarts; try again in a moment", 1)
        key = await parts.access.identify(request)
        action = self._read(request)
        is_chunked = request.version >= (1, 1)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        response.force_close()
        if request.method == "HEAD":
            return response
        if parts.authentication.must_claim:
            await parts.authentication.claim(key)
        admitted = parts.authentication.admit_key(key, parts.access.address(request))
        if isinstance(admitted, TurnedAway):
            raise HttpError(429, str(admitted.error_code), admitted.message, headers={"Retry-After": "5"})
        try:
            await response.prepare(request)
            await response.write(b": stream\n\n")
            await self._serve(request, key, action, plain, EVENT_STREAM if not is_chunked else CHUNKED_EVENT_STREAM)
        finally:
            parts.authentication.release(key)  # before the end is written: a client that does not read may take long
        await response.write_eof()
        return response

    async def _serve(
        self, request: web.Request, key: KeyRecord, action: Subscribe, plain: HttpConnection, framing: int
    ) -> None:
        parts = self._parts
        transport = StreamTransport(plain.transport, parts.hub, now=lambda: format_ms(parts.clock.now_ms()))
        client = Client(
            tier=key.tier,
            key=key,
            remote=parts.access.address(request),
            connected_at_ms=parts.clock.now_ms(),
            user_agent=request.headers.get("User-Agent", "")[:200] or None,
            window_bits=framing,
        )
        limit_bytes = parts.config.max_buffer_bytes
        connection = StreamConnection(f"client_{secrets.token_hex(8)}", transport, client, limit_bytes=limit_bytes)
        transport.connection = connection
        parts.hub.add(connection)
        parts.log.connected(connection)
        plain.begin_stream(connection, transport)
        try:
            parts.conversation.subscribe(connection, action)
            while not transport.closed.done():
                await asyncio.wait([transport.closed], timeout=PING_SECONDS)
                if not transport.closed.done():
                    connection.ping()
                    plain.stay()
        finally:
            plain.end_stream()
            parts.hub.remove(connection)
            parts.log.disconnected(connection, transport.ended_by, None)

    def _read(self, request: web.Request) -> Subscribe:
        """Read the query as a ``subscribe``; the browser's ``Last-Event-ID`` is newer than the address."""
        query = request.query
        check_names(query, NAMES)
        channels = read_list(query, "channels")
        if not channels:
            bad_request("channels: name at least one, like channels=flight.departed,tmi.*", "INVALID_SUBSCRIBE")
        _, raw = read_filters(query)
        NOTHING.subscribe(channels, raw, self._parts.hub.catalogue)  # raises before the answer has begun
        given = [name for name in ("after", "since", "last") if one(query, name) is not None]
        last_seen, epoch = request.headers.get("Last-Event-ID", "").strip(), read_epoch(query)
        if last_seen:
            seen = _read_id(last_seen, "Last-Event-ID")
            return Subscribe(channels=channels, filters=raw, after=seen, epoch=epoch)
        if len(given) > 1:
            bad_request(f"only one of after, since and last can be given, got {' and '.join(given)}")
        after, since = one(query, "after"), one(query, "since")
        if since is not None:
            _check_time(since)
        return Subscribe(
            channels=channels,
            filters=raw,
            after=_read_id(after, "after") if after is not None else None,
            epoch=epoch,
            since=since,
            last=read_number(query, "last", 1, MAX_LAST) if "last" in given else None,
        )


def _read_id(text: str, name: str) -> str:
    try:
        return str(EventId.parse(text))
    except InvalidEventId as error:
        bad_request(f"{name}: {error}")


def _check_time(text: str) -> None:
    try:
        parse_ms(text)
    except InvalidTimestamp as error:
        bad_request(f"since: {error}")
