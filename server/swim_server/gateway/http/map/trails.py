"""Where aircraft were: positions at some moments of history, as the map's trails need them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from swim_server.protocol.event_id import MAX_SEQUENCE, EventId
from swim_server.protocol.positions import POSITION_TYPES, POSITIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from swim_server.brokers.broker import Broker
    from swim_server.concurrency.clock import Clock
    from swim_server.protocol.events import Event

UNITS_A_DEGREE = 1000
"""The grid of the positions: about a hundred metres."""
ALL_MINUTES, ALL_POINTS = 30, 20
ONE_MINUTES, ONE_POINTS = 12 * 60, 48
PAGE_EVENTS = 12
MAX_EVENTS = 72
"""Maximum number of events read for one moment: 20,000 aircraft."""
KEPT_SECONDS = 20.0
MAX_KEPT = 64

Key = int | str
"""``flight_uid``, or the callsign of a flight that has none."""


class _Position(msgspec.Struct):
    latitude: float | None = None
    longitude: float | None = None
    callsign: str | None = None
    flight_uid: int | None = None


class _Batch(msgspec.Struct):
    positions: list[_Position] = []


class _Message(msgspec.Struct):
    data: _Batch


class _Single(msgspec.Struct):
    data: _Position


class Trails(msgspec.Struct):
    """The positions of many aircraft at the same moments."""

    ages: list[int]
    """How many seconds ago each moment was, oldest first."""
    units: int = UNITS_A_DEGREE
    trails: list[list[Key]] = []
    """The key of a flight, then for each of its positions three numbers: index of the moment, latitude, longitude in
    units of the grid; each as the difference from the one before."""


class TrailReader:
    """Reads one report of each aircraft at some moments, rather than all reports. What was read is kept for a while.

    At each moment events are read until one has nothing new: with sources of different paces, a slow one may be
    missing at some moments.
    """

    def __init__(self, broker: Broker, *, clock: Clock) -> None:
        self._broker = broker
        self._monotonic = clock.monotonic
        self._now_ms = clock.now_ms
        self._lock = asyncio.Lock()
        self._kept: OrderedDict[Key | None, tuple[float, bytes]] = OrderedDict()

    async def read(self, flight: Key | None = None, since_ms: int | None = None) -> bytes:
        """Return a document of all aircraft, or of one since a moment. Raises BrokerUnavailable."""
        async with self._lock:
            now, kept = self._monotonic(), self._kept.get(flight)
            if kept is not None and now - kept[0] < KEPT_SECONDS:
                return kept[1]
            found = await self._collect(self._now_ms(), flight, since_ms)
            self._kept[flight] = (now, found)
            self._kept.move_to_end(flight)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
            return found

    async def _collect(self, now_ms: int, flight: Key | None, since_ms: int | None) -> bytes:
        moments = _moments(now_ms, flight is not None, since_ms)
        found: list[dict[Key, tuple[int, int]]] = []
        for index, moment in enumerate(moments):
            until = moments[index + 1] if index + 1 < len(moments) else now_ms
            found.append(await self._at(moment, until, flight))
        return await asyncio.to_thread(_document, [(now_ms - moment) // 1000 for moment in moments], found)

    async def _at(self, moment_ms: int, until_ms: int, flight: Key | None) -> dict[Key, tuple[int, int]]:
        """Return the positions of the first reports after a moment."""
        found: dict[Key, tuple[int, int]] = {}
        after, until = EventId(moment_ms, MAX_SEQUENCE), EventId(until_ms, MAX_SEQUENCE)
        for _ in range(MAX_EVENTS // PAGE_EVENTS):
            page = await self._broker.read(after, until, types=POSITION_TYPES, limit=PAGE_EVENTS)
            is_done = await asyncio.to_thread(take, page.events, found, flight)
            if is_done or page.is_last:
                break
            after = page.next_after
        return found


def _moments(now_ms: int, is_one: bool, since_ms: int | None) -> list[int]:
    minutes, points = (ONE_MINUTES, ONE_POINTS) if is_one else (ALL_MINUTES, ALL_POINTS)
    earliest = now_ms - minutes * 60_000
    begin = earliest if since_ms is None else min(max(since_ms, earliest), now_ms)
    step = max(1, (now_ms - begin) // points)
    return [begin + number * step for number in range(points) if begin + number * step < now_ms]


def take(events: Sequence[Event], found: dict[Key, tuple[int, int]], flight: Key | None) -> bool:
    """Add the positions of these events; return True once there is nothing more to find at this moment."""
    mark = None if flight is None else msgspec.json.encode(flight)
    for event in events:
        if mark is not None and mark not in event.wire:
            continue
        before = len(found)
        for position in _positions(event):
            key = position.flight_uid if position.flight_uid is not None else position.callsign
            if key is None or key in found or (flight is not None and key != flight):
                continue
            if position.latitude is not None and position.longitude is not None:
                found[key] = (round(position.latitude * UNITS_A_DEGREE), round(position.longitude * UNITS_A_DEGREE))
        if (flight is None and len(found) == before) or (flight is not None and found):
            return True
    return False


def _positions(event: Event) -> Iterable[_Position]:
    try:
        if event.type == POSITIONS:
            return msgspec.json.decode(event.wire, type=_Message).data.positions
        return [msgspec.json.decode(event.wire, type=_Single).data]
    except msgspec.ValidationError:  # a provider's, of another shape: the map draws no trail from it
        return []


def _document(ages: list[int], found: Sequence[dict[Key, tuple[int, int]]]) -> bytes:
    trails: dict[Key, list[Key]] = {}
    last: dict[Key, tuple[int, int, int]] = {}
    for index, positions in enumerate(found):
        for key, (latitude, longitude) in positions.items():
            before = last.get(key, (0, 0, 0))
            last[key] = (index, latitude, longitude)
            trails.setdefault(key, [key]).extend((index - before[0], latitude - before[1], longitude - before[2]))
    return msgspec.json.encode(Trails(ages=ages, trails=list(trails.values())))
