"""Builds the answer to ``top``: the status, and who and what causes the traffic of this second."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from heapq import nlargest
from typing import TYPE_CHECKING, NamedTuple

from swim_server.concurrency.yielding import yielding
from swim_server.daemon.control.connections import connection_fields
from swim_server.daemon.control.documents.connections import BusyConnection, ChannelCount, Top, TypeRate
from swim_server.daemon.control.status import build_status
from swim_server.daemon.workers.adding import TopPart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swim_server.daemon.control.controlled import ControlledProcess
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.hub import Hub

SECOND = 1.0
MAX_COUNT = 100


class Measured(NamedTuple):
    """What one process has measured."""

    seconds: float
    types: list[TypeRate]
    part: TopPart


async def build_top(process: ControlledProcess, count: int) -> Top:
    """Measure for a second; return the ``count`` busiest connections, channels and event types, and slow consumers."""
    parts = process.components
    if parts.workers is None:
        measured = await measure_top(parts.hub, count)
    else:
        asking = parts.workers.ask("top", {"count": count}, TopPart)
        measured, (others, _) = await asyncio.gather(measure_top(parts.hub, count), asking)
        measured.part.include(others, count)
    part = measured.part
    return Top(
        at_seconds=round(measured.seconds, 3),
        status=await build_status(process),
        types=measured.types,
        channels=part.channels,
        busiest=part.busiest,
        slow=part.slow,
    )


async def measure_top(hub: Hub, count: int) -> Measured:
    """Measure one process for a second."""
    began = time.monotonic()
    types, sent = Counter(hub.events_by_type), await _sent(hub)
    await asyncio.sleep(SECOND)
    connections = list(hub.connections.values())
    rates = {connection.id: connection.messages_sent - sent.get(connection.id, 0) for connection in connections}
    seconds = time.monotonic() - began
    busiest = nlargest(count, connections, key=lambda connection: rates[connection.id])
    slow = nlargest(
        count, (each for each in connections if each.is_lagging), key=lambda connection: connection.buffered_bytes
    )
    part = TopPart(
        channels=_channels(hub, count),
        busiest=_busy((each for each in busiest if rates[each.id]), rates, seconds),
        slow=_busy(slow, rates, seconds),
    )
    return Measured(seconds, _types(hub.events_by_type, types, seconds, count), part)


async def _sent(hub: Hub) -> dict[str, int]:
    return {each.id: each.messages_sent async for each in yielding(list(hub.connections.values()))}


def _types(now: Counter[str], before: Counter[str], seconds: float, count: int) -> list[TypeRate]:
    chosen = nlargest(count, now.items(), key=lambda item: (item[1] - before[item[0]], item[1]))
    return [
        TypeRate(type=type, events=events, per_second=round((events - before[type]) / seconds, 1))
        for type, events in chosen
    ]


def _channels(hub: Hub, count: int) -> list[ChannelCount]:
    """Count how many connections are subscribed to each channel."""
    subscribers: Counter[str] = Counter()
    for group in hub.groups.values():
        for channel in group.subscription.channels:
            subscribers[channel] += len(group.members)
    return [ChannelCount(channel=channel, connections=number) for channel, number in subscribers.most_common(count)]


def _busy(connections: Iterable[Connection], rates: dict[str, int], seconds: float) -> list[BusyConnection]:
    return [
        BusyConnection(**connection_fields(connection), per_second=round(rates[connection.id] / seconds, 1))
        for connection in connections
    ]
