"""What a restarted service knows again: the newest stored events, before the clients of the former one come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swim_server.brokers.broker import Broker
    from swim_server.streaming.recent import Recent

EVENTS = 256
"""So far back nearly every client that resumes at once; each one that does needs no look into history."""


async def recollect(recent: Recent, broker: Broker) -> None:
    """Fill an unused ``recent`` with what is stored, if that is a stretch without holes that ends where it begins.

    Raises BrokerUnavailable. Events may be delivered meanwhile: then they are what is known.
    """
    events = await broker.read_last(EVENTS)
    if len(events) > 1 and not await broker.has_gap(events[0].id) and recent.is_unused_at(events[-1].id):
        recent.recall(events)
