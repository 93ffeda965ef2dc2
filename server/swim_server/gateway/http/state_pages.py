"""The state of the world over HTTP: flights, initiatives, splits and sequences, filtered, in four formats."""

from __future__ import annotations

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2s
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import web

from swim_server.concurrency.yielding import yielding
from swim_server.gateway.http.errors import HttpError, unavailable
from swim_server.gateway.http.query import FILTER_NAMES, FORMATS, accepts_gzip, check_names, read_filters, read_format
from swim_server.gateway.http.rendering import (
    CsvTable,
    encode_entry,
    feature_of,
    to_csv,
    to_geojson,
    to_json,
    to_ndjson,
)
from swim_server.protocol.filters import Filters
from swim_server.state.kinds import FLIGHTS

if TYPE_CHECKING:
    from swim_server.gateway.http.parts import HttpParts
    from swim_server.protocol.event_id import EventId
    from swim_server.state.world import Entries, World

COMPRESS_FROM_BYTES = 512
MAX_CACHED_BYTES = 16 * 1024 * 1024
TEXT_FORMATS = ("json", "ndjson", "csv")


class Rendered(NamedTuple):
    """A document of one moment."""

    as_of: EventId
    body: bytes
    compressed: bytes | None
    """None: it is short, or was not requested."""


class StatePages:
    """Answers with the current state. Documents of one moment are shared by all who request them."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts
        self._cache: OrderedDict[tuple[str, str, Filters], Rendered] = OrderedDict()
        self._cached_bytes = 0

    def _world(self) -> World:
        state = self._parts.hub.state
        if not state.is_ready:
            raise unavailable("STATE_UNAVAILABLE", "the state is being loaded; try again in a moment", 1)
        return state.world

    async def entries(self, request: web.Request) -> web.Response:
        """Answer with all entries of a kind that pass the filters."""
        await self._parts.access.identify(request)
        check_names(request.query, {*FILTER_NAMES, "format"})
        kind, suffix = request.match_info["kind"], request.match_info.get("suffix")
        filters, _ = read_filters(request.query)
        state = self._parts.hub.state
        if state.is_ready and not state.is_warm:
            await state.warm()
        entries = self._world().kinds.get(kind)
        if entries is None:
            raise HttpError(404, "NOT_FOUND", f"there are no {kind}")
        allowed = tuple(FORMATS) if entries.kind is FLIGHTS else TEXT_FORMATS
        format = read_format(suffix, request.query, request.headers.get("Accept"), allowed)
        return await self._answer(request, entries, filters, format)

    async def _answer(self, request: web.Request, entries: Entries, filters: Filters, format: str) -> web.Response:
        as_of, name = self._world().as_of, (entries.kind.name, format, filters)
        headers = self._headers(as_of, _tag(name, as_of))
        if _is_known(request, headers["ETag"]):
            return web.Response(status=304, headers=headers)
        found = self._cache.get(name)
        if found is None or found.as_of != as_of:
            found = Rendered(as_of, await self._render(entries, filters, format), None)
        wants_gzip = accepts_gzip(request.headers.get("Accept-Encoding", ""))
        if wants_gzip and found.compressed is None and len(found.body) >= COMPRESS_FROM_BYTES:
            found = found._replace(compressed=await asyncio.to_thread(_gzip, found.body))
        self._remember(name, found)
        response = web.Response(body=found.body, headers=headers)
        if wants_gzip and found.compressed is not None:
            response.body = found.compressed
            response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Type"] = f"{FORMATS[format]}; charset=utf-8" if format == "csv" else FORMATS[format]
        return response

    async def _render(self, entries: Entries, filters: Filters, format: str) -> bytes:
        """Render the current entries. What takes long is written in slices, from rows collected at once."""
        state, as_of = self._parts.hub.state, str(self._world().as_of)
        keys = list(state.keys(entries, filters))
        match format:
            case "ndjson":
                return to_ndjson([entries.encoded(key) for key in keys])
            case "geojson":
                found = [feature_of(key, entries.by_key[key], entries.encoded(key)) for key in keys]
                features = [each for each in found if each is not None]
                return to_geojson([feature.to_json() async for feature in yielding(features)], as_of)
            case "csv":
                table = CsvTable([entries.by_key[key] for key in keys], is_flights=entries.kind is FLIGHTS)
                async for row in yielding(table.rows):
                    table.write(row)
                return table.content()
        return to_json(entries.kind.name, [entries.encoded(key) for key in keys], as_of)

    def _remember(self, name: tuple[str, str, Filters], rendered: Rendered) -> None:
        self._forget(name)
        self._cache[name] = rendered
        self._cached_bytes += _size(rendered)
        while self._cached_bytes > MAX_CACHED_BYTES and self._cache:
            self._forget(next(iter(self._cache)))

    def _forget(self, name: tuple[str, str, Filters]) -> None:
        older = self._cache.pop(name, None)
        if older is not None:
            self._cached_bytes -= _size(older)

    async def flight(self, request: web.Request) -> web.Response:
        """Answer with one flight, by uid or callsign."""
        await self._parts.access.identify(request)
        check_names(request.query, {"format"})
        name = request.match_info["name"]
        world = self._world()
        found = world.find_flight(name)
        suffix = None
        if found is None and (dot := name.rpartition("."))[2] in FORMATS:
            suffix, found = dot[2], world.find_flight(dot[0])
        format = read_format(suffix, request.query, request.headers.get("Accept"))
        if found is None:
            raise HttpError(404, "NOT_FOUND", "there is no such flight")
        key = FLIGHTS.key_of(found)
        assert key is not None, "it is found by its key"
        headers = self._headers(world.as_of, _tag((name, format), world.as_of))
        if _is_known(request, headers["ETag"]):
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = FORMATS[format]
        return web.Response(body=_one(key, found, format, str(world.as_of)), headers=headers)

    def _headers(self, as_of: EventId, tag: str) -> dict[str, str]:
        """Return the headers that say of which moment an answer is, and in which order of events."""
        return {
            "X-SWIM-As-Of": str(as_of), "X-SWIM-Epoch": self._parts.broker.epoch, "ETag": tag,
            "Cache-Control": "no-cache", "Vary": "Accept, Accept-Encoding",
        }  # fmt: skip


def _one(key: object, entry: dict[str, Any], format: str, as_of: str) -> bytes:
    if format == "geojson":
        feature = feature_of(key, entry, encode_entry(entry))
        return to_geojson([] if feature is None else [feature.to_json()], as_of)
    if format == "csv":
        return to_csv([entry], is_flights=True)
    return encode_entry(entry) + b"\n"


def _tag(name: Sequence[object], as_of: EventId) -> str:
    digest = blake2s(repr(name).encode(), digest_size=6).hexdigest()
    return f'W/"{as_of}-{digest}"'


def _is_known(request: web.Request, tag: str) -> bool:
    known = request.headers.get("If-None-Match", "")
    return known.strip() == "*" or tag in [each.strip() for each in known.split(",")]


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(level=1, wbits=31)
    return compressor.compress(body) + compressor.flush()


def _size(rendered: Rendered) -> int:
    return len(rendered.body) + len(rendered.compressed or b"")
