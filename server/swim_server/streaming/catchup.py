"""Resuming: stored events first, then the live stream, one seamless order, with bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.protocol.codes import CloseCode
from swim_server.streaming.subscription import sift

if TYPE_CHECKING:
    from swim_server.brokers.broker import Broker, Page
    from swim_server.protocol.event_id import EventId
    from swim_server.protocol.events import Event
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.hub import Hub
    from swim_server.streaming.tasks import Tasks

PAGE_EVENTS = 500
STEP_INTO_LIVE_BYTES = 256 * 1024
"""What may remain to be sent in one go when the connection joins its group."""
WRITE_BYTES = 64 * 1024
SLICE_SECONDS = 0.002
"""After so long on the loop, everybody else gets a turn."""


class CatchUp:
    """Sends one connection the stored events after a position, then lets it join its group.

    The connection belongs to no group meanwhile. Events newer than the hub has delivered are left to the live
    stream, so that none comes twice; the hub's recent events bridge the last step, which happens without an await,
    so that none is missed.
    """

    def __init__(
        self,
        hub: Hub,
        broker: Broker,
        connection: Connection,
        *,
        turn: asyncio.Semaphore,
        monotonic: Callable[[], float],
    ) -> None:
        self._hub = hub
        self._broker = broker
        self._connection = connection
        self._turn = turn
        """Held while reading and filtering a page: however many resume, they share what is left of the loop."""
        self._monotonic = monotonic
        self._starts: dict[str, EventId] = {}
        self._cursor: EventId = hub.delivered_id
        self._generation = 0
        """Counts the changes of ``_starts``: a page read before one is read again."""
        self._task: asyncio.Task[None] | None = None

    def wants(self, starts: Mapping[str, EventId]) -> None:
        """Add event types, each with the id after which its stored events are asked for."""
        for event_type, start in self._starts.items():
            self._starts[event_type] = max(start, self._cursor)
        self._starts.update(starts)
        self._cursor = min(self._starts.values(), default=self._cursor)
        self._generation += 1

    def forgets(self, remaining: Collection[str]) -> None:
        """Keep only these event types."""
        self._starts = {event_type: start for event_type, start in self._starts.items() if event_type in remaining}
        self._generation += 1

    def start(self, tasks: Tasks) -> None:
        """Begin, in a task that ``tasks`` owns. Idempotent."""
        if self._task is None:
            self._task = tasks.start(self.run())

    def cancel(self) -> None:
        """End without joining the group."""
        self._connection.catch_up = None
        if self._task is not None:
            self._task.cancel()

    async def run(self) -> None:
        """Send what is stored, then join. Ends early when the connection goes."""
        connection = self._connection
        try:
            while not self._step_into_live():
                generation = self._generation
                page, until = await self._read_page()
                if generation == self._generation and await self._send_page(page.events, generation):
                    self._cursor = until if page.is_last else page.next_after
        except BrokerUnavailable:
            # Going on live would lose what could not be read. Closed as one that can't keep up, the client resumes.
            connection.outlet.close(CloseCode.SLOW_CONSUMER, "history can't be read just now; reconnect and resume")
        finally:
            if connection.catch_up is self:
                connection.catch_up = None

    def _step_into_live(self) -> bool:
        """Join the group if what is left is in memory and small. No await in here: nothing can come between."""
        remaining = self._hub.recent.after(self._cursor)
        if remaining is None or sum(len(event.wire) for event in remaining) > STEP_INTO_LIVE_BYTES:
            return False
        self._write([passed for event in remaining if (passed := self._sift(event)) is not None])
        self._connection.catch_up = None
        self._hub.subscribe(self._connection, self._connection.subscription)
        return True

    async def _read_page(self) -> tuple[Page, EventId]:
        async with self._turn:
            until = self._hub.delivered_id
            types = tuple(self._starts)
            return await self._broker.read(self._cursor, until, types=types, limit=PAGE_EVENTS), until

    async def _send_page(self, events: list[Event], generation: int) -> bool:
        """Send what passes, joined, with turns for everybody else. False when other types were asked for meanwhile."""
        slice_end = self._monotonic() + SLICE_SECONDS
        pending: list[Event] = []
        pending_bytes = 0
        for number, event in enumerate(events, 1):
            passed = self._sift(event)
            if passed is not None:
                pending.append(passed)
                pending_bytes += len(passed.wire)
            is_time_up = self._monotonic() >= slice_end
            if not (is_time_up or pending_bytes >= WRITE_BYTES or number == len(events)):
                continue
            self._write(pending)
            self._cursor = event.id
            pending, pending_bytes = [], 0
            await self._connection.drained()
            if is_time_up:
                await asyncio.sleep(0)
                slice_end = self._monotonic() + SLICE_SECONDS
            if generation != self._generation:
                return False
        return True

    def _sift(self, event: Event) -> Event | None:
        start = self._starts.get(event.type)
        if start is None or event.id <= start:
            return None
        return sift(event, self._connection.subscription.filters)

    def _write(self, events: list[Event]) -> None:
        if events:
            self._connection.send_events(events)
