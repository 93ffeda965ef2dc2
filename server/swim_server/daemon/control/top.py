"""What ``top`` answers: the status document, and who and what makes the traffic of this very second."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from swim_server.daemon.control.status import connection_row, status_document

if TYPE_CHECKING:
    from swim_server.daemon.service import Service
    from swim_server.streaming.connection import Connection

SECOND = 1.0
LOOKED_AT_IN_A_GO = 500
"""So many connections are counted before everybody else gets a turn."""
MAX_COUNT = 100


async def top_document(service: Service, count: int) -> dict[str, Any]:
    """Look twice, a second apart; the ``count`` busiest connections, channels, event types, and slow consumers."""
    hub = service.hub
    began = time.monotonic()
    types, sent = Counter(hub.events_by_type), await _sent(service)
    await asyncio.sleep(SECOND)
    connections = list(hub.connections.values())
    rates = {connection.id: connection.messages_sent - sent.get(connection.id, 0) for connection in connections}
    seconds = time.monotonic() - began
    busiest = nlargest(count, connections, key=lambda connection: rates[connection.id])
    slow = nlargest(
        count, (each for each in connections if each.is_lagging), key=lambda connection: connection.buffered_bytes
    )
    return {
        "at_seconds": round(seconds, 3),
        "status": await status_document(service),
        "types": _types(hub.events_by_type, types, seconds, count),
        "channels": _channels(service, count),
        "busiest": list(_rows((each for each in busiest if rates[each.id]), rates, seconds)),
        "slow": list(_rows(slow, rates, seconds)),
    }


async def _sent(service: Service) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, connection in enumerate(list(service.hub.connections.values()), 1):
        found[connection.id] = connection.messages_sent
        if not number % LOOKED_AT_IN_A_GO:
            await asyncio.sleep(0)
    return found


def _types(now: Counter[str], before: Counter[str], seconds: float, count: int) -> list[dict[str, Any]]:
    chosen = nlargest(count, now.items(), key=lambda item: (item[1] - before[item[0]], item[1]))
    return [
        {"type": type, "events": events, "per_second": round((events - before[type]) / seconds, 1)}
        for type, events in chosen
    ]


def _channels(service: Service, count: int) -> list[dict[str, Any]]:
    """How many connections subscribe to what."""
    subscribers: Counter[str] = Counter()
    for group in service.hub.groups.values():
        for channel in group.subscription.channels:
            subscribers[channel] += len(group.members)
    return [{"channel": channel, "connections": number} for channel, number in subscribers.most_common(count)]


def _rows(connections: Iterable[Connection], rates: dict[str, int], seconds: float) -> Iterable[dict[str, Any]]:
    for connection in connections:
        yield {**connection_row(connection), "per_second": round(rates[connection.id] / seconds, 1)}
