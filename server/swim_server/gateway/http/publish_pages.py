"""Publishing over HTTP: one event, or several as JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from swim_server.brokers.broker import BrokerUnavailable, InvalidEvent
from swim_server.gateway.http.errors import HttpError, bad_request, unavailable
from swim_server.gateway.http.query import check_names
from swim_server.protocol.actions import MAX_NAME_CHARACTERS
from swim_server.protocol.codes import BadMessage, show
from swim_server.protocol.events import NewEvent
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

if TYPE_CHECKING:
    from swim_server.gateway.http.parts import HttpParts
    from swim_server.keys.records import KeyRecord

MAX_EVENTS = 1000
_encode = msgspec.json.Encoder().encode


class _Row(msgspec.Struct):
    type: str
    data: dict[str, Any]
    timestamp: str | None = None
    event_id: str | None = None


_decoder = msgspec.json.Decoder(_Row)


class PublishPages:
    """Accepts events of the system tier. A body is stored entirely or not at all: each line is checked first."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts

    async def publish(self, request: web.Request) -> web.Response:
        """Store the events in the body; answer with one line for each event that is stored."""
        key = await self._parts.access.identify(request)
        if not self._parts.conversation.publishing.may_publish(key.tier):
            raise HttpError(403, "FORBIDDEN", "this key may not publish: ask for one of the system tier")
        check_names(request.query, ())
        events = self._read(await _body(request), key)
        try:
            published = await self._parts.broker.publish(events)
        except BrokerUnavailable:
            raise unavailable(
                "STORAGE_UNAVAILABLE", "nothing was stored: history can't be written; send it again"
            ) from None
        except InvalidEvent as error:
            bad_request(f"line {error.index + 1}: {error.reason}", "INVALID_PUBLISH", line=error.index + 1)
        lines = [
            {"id": one.id, "event_id": event.event_id, "status": "duplicate" if one.duplicate else "stored"}
            for one, event in zip(published, events, strict=True)
        ]
        body = b"".join([_encode(line) + b"\n" for line in lines])
        return web.Response(body=body, content_type="application/x-ndjson")

    def _read(self, body: bytes, key: KeyRecord) -> list[NewEvent]:
        whole = body.strip()
        try:
            lines = [msgspec.json.decode(whole, type=msgspec.Raw)] if whole else []
        except msgspec.DecodeError:
            lines = [msgspec.Raw(line) for line in whole.splitlines() if line.strip()]
        if not lines:
            bad_request("the body holds no event: send one JSON object, or one per line", "INVALID_PUBLISH")
        if len(lines) > MAX_EVENTS:
            raise HttpError(413, "MESSAGE_TOO_LARGE", f"at most {MAX_EVENTS} events in one request, got {len(lines)}")
        return [self._read_one(number, bytes(line), key) for number, line in enumerate(lines, 1)]

    def _read_one(self, number: int, line: bytes, key: KeyRecord) -> NewEvent:
        publishing = self._parts.conversation.publishing
        if len(line) > publishing.max_event_bytes:
            text = f"line {number}: the event has {len(line)} bytes; at most {publishing.max_event_bytes} are read"
            raise HttpError(413, "MESSAGE_TOO_LARGE", text, line=number)
        try:
            row = _decoder.decode(line)
            if row.event_id is not None and not 0 < len(row.event_id) <= MAX_NAME_CHARACTERS:
                bad_request(
                    f"line {number}: event_id: must have 1 to {MAX_NAME_CHARACTERS} characters", "INVALID_PUBLISH"
                )
            moment = parse_ms(row.timestamp) if row.timestamp is not None else None
            event = NewEvent(type=row.type.strip(), data=row.data, timestamp_ms=moment, event_id=row.event_id)
            publishing.authorise(key, event)
            return publishing.check(event)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidTimestamp) as error:
            bad_request(f"line {number}: {error}", "INVALID_PUBLISH", line=number)
        except BadMessage as refused:
            status = 403 if refused.code == "FORBIDDEN" else 400
            raise HttpError(status, str(refused.code), f"line {number}: {refused.message}", line=number) from None


async def _body(request: web.Request) -> bytes:
    """Read the body, decompressed if needed. Raises HttpError if it does not match its headers."""
    try:
        return await request.read()
    except (web.RequestPayloadError, HttpProcessingError):
        encoding = request.headers.get("Content-Encoding", "none")
        text = f"the body can't be read: it is cut off, or not of the encoding {show(encoding)}"
        bad_request(text, "INVALID_PUBLISH")
