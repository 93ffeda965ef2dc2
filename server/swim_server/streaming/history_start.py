"""Where in history a ``subscribe`` begins: the id after which its events are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swim_server.concurrency.yielding import yielding
from swim_server.protocol.event_id import MAX_SEQUENCE, ZERO, EventId
from swim_server.protocol.timestamps import parse_ms
from swim_server.streaming.subscription import Subscription, sift

if TYPE_CHECKING:
    import asyncio

    from swim_server.brokers.broker import Broker
    from swim_server.concurrency.clock import Clock
    from swim_server.protocol.actions import Subscribe
    from swim_server.streaming.hub import Hub

SCAN_EVENTS = 256
"""Stored events scanned at once for ``last``."""


class HistoryStart:
    """Resolves ``after``, ``since`` and ``last``. Raises BrokerUnavailable if history can't be read."""

    def __init__(
        self,
        hub: Hub,
        broker: Broker,
        *,
        turn: asyncio.Semaphore,
        clock: Clock,
    ) -> None:
        self._hub = hub
        self._broker = broker
        self._catalogue = hub.catalogue
        self._turn = turn
        self._clock = clock

    async def find(self, current: Subscription, action: Subscribe, types: frozenset[str]) -> tuple[EventId, bool]:
        """Return the start, and whether something after it may be gone.

        Only ``after`` may give a start that the live stream has not reached yet; the others end where it is.
        """
        if action.after is not None:
            start = EventId.parse(action.after)
            if self.is_of_other_epoch(action):
                return start, True
            return start, not self._hub.recent.holds(start) and await self._broker.has_gap(start, types=types)
        if action.since is not None:
            start = EventId(max(parse_ms(action.since) - 1, 0), MAX_SEQUENCE)
            start = min(start, self._hub.delivered_id)
            return start, await self._broker.has_gap(start, types=types)
        wanted = current.subscribe(action.channels, action.filters, self._catalogue)
        start = await self._before_last(action.last or 0, types, wanted)
        return min(start, self._hub.delivered_id), False

    def is_of_other_epoch(self, action: Subscribe) -> bool:
        """Tell whether the client saw its last event in another order of events than the one stored here.

        Events since then by the clock are sent all the same, as after any gap: ids are milliseconds in both orders.
        """
        return action.epoch is not None and action.epoch != self._broker.epoch

    async def _before_last(self, count: int, types: frozenset[str], wanted: Subscription) -> EventId:
        """Return the id before the ``count`` newest events that pass the filters, or before the oldest of fewer."""
        before: EventId | None = None
        start = self._hub.delivered_id
        while count:
            async with self._turn:
                events = await self._broker.read_last(SCAN_EVENTS, types=types, before=before)
                async for event in yielding(reversed(events), clock=self._clock):
                    if sift(event, wanted.filters) is not None:
                        start, count = _before(event.id), count - 1
                        if not count:
                            return start
            if len(events) < SCAN_EVENTS:
                return start
            before = events[0].id
        return start


def _before(event_id: EventId) -> EventId:
    return EventId.from_integer(event_id.to_integer() - 1) if event_id > ZERO else ZERO
