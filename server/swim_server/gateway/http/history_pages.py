"""History over plain HTTP, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.gateway.http.errors import bad_request, unavailable
from swim_server.gateway.http.query import (
    FILTER_NAMES,
    check_names,
    one,
    read_epoch,
    read_filters,
    read_list,
    read_number,
)
from swim_server.protocol.codes import show
from swim_server.protocol.event_id import MAX_SEQUENCE, ZERO, EventId, InvalidEventId
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms
from swim_server.streaming.subscription import sift

if TYPE_CHECKING:
    from swim_server.gateway.http.parts import HttpParts
    from swim_server.gateway.http.query import Query

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
NAMES = {*FILTER_NAMES, "channels", "after", "epoch", "since", "limit"}
_encode = msgspec.json.Encoder().encode


class HistoryPages:
    """Reads off the loop; a page covers a fixed number of events, of which filters may leave fewer."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts

    async def events(self, request: web.Request) -> web.Response:
        """Answer with a page; ``after`` or ``since`` says where it begins."""
        await self._parts.access.identify(request)
        check_names(request.query, NAMES)
        catalogue = self._parts.hub.catalogue
        channels = [catalogue.check(channel) for channel in read_list(request.query, "channels")]
        types = catalogue.expand(channels) if channels else None
        filters, _ = read_filters(request.query)
        after, limit = read_start(request.query), read_number(request.query, "limit", DEFAULT_LIMIT, MAX_LIMIT)
        asked_epoch, epoch = read_epoch(request.query), self._parts.broker.epoch
        is_other = asked_epoch is not None and asked_epoch != epoch
        try:
            page = await self._parts.broker.read(after, self._parts.hub.delivered_id, types=types, limit=limit)
            has_gap = is_other or (after != ZERO and await self._parts.broker.has_gap(after, types=types))
        except BrokerUnavailable:
            raise unavailable("HISTORY_UNAVAILABLE", "history can't be read at the moment") from None
        passed = [found.wire for event in page.events if (found := sift(event, filters)) is not None]
        head = _encode({"next_after": str(page.next_after), "is_last": page.is_last, "gap": has_gap, "epoch": epoch})
        body = b'%b,"events":[%b]}\n' % (head[:-1], b",".join(passed))
        return web.Response(body=body, content_type="application/json")


def read_start(query: Query) -> EventId:
    """Read where to begin; by default at the beginning of history."""
    after, since = one(query, "after"), one(query, "since")
    if after is not None and since is not None:
        bad_request("only one of after and since can be given")
    if since is not None:
        try:
            return EventId(max(parse_ms(since) - 1, 0), MAX_SEQUENCE)
        except InvalidTimestamp:
            bad_request(f"since: {show(since)} is not an RFC 3339 time; one looks like 2026-01-16T14:30:15Z")
    if after is None:
        return ZERO
    try:
        return EventId.parse(after)
    except InvalidEventId:
        bad_request(f"after: {show(after)} is not an event id; one looks like 1768573815123-0")
