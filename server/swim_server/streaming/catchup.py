"""Resuming: stored events first, then the live stream, one seamless order, with bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.protocol.codes import CloseCode
from swim_server.streaming.framed_event import FramedEvent
from swim_server.streaming.mirror.live_state import keys_in
from swim_server.streaming.subscription import sift

if TYPE_CHECKING:
    from swim_server.brokers.broker import Broker
    from swim_server.concurrency.clock import Clock
    from swim_server.concurrency.tasks import Tasks
    from swim_server.protocol.event_id import EventId
    from swim_server.protocol.events import Event
    from swim_server.state.kinds import Key
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.hub import Hub

PAGE_EVENTS = 500
"""Events read at once while the client keeps up; fewer if it does not."""
LEAST_PAGE_EVENTS = 8
STEP_INTO_LIVE_BYTES = 256 * 1024
"""How much may remain to be sent at once when the connection joins its group."""
WRITE_BYTES = 64 * 1024
SLICE_SECONDS = 0.002
"""How long to run before yielding to the event loop."""


class CatchUp:
    """Sends one connection the stored events after a position, then lets it join its group.

    Meanwhile the connection belongs to no group. Events newer than the hub has delivered are left to the live stream,
    so that none is sent twice; the hub's recent events bridge the last step, which happens without an await, so that
    none is missed. Only connections that have their ``turn`` hold a page of history: memory is bounded however many
    resume, and a client that reads slowly holds none while it is waited for.
    """

    def __init__(
        self,
        hub: Hub,
        broker: Broker,
        connection: Connection,
        *,
        turn: asyncio.Semaphore,
        clock: Clock,
        on_gap: Callable[[], None],
        send_state: Callable[[], None],
        has_gap: bool = False,
    ) -> None:
        self._hub = hub
        self._broker = broker
        self._connection = connection
        self._turn = turn
        """Held while a page is read and sent, so that resuming clients together take a bounded share of the loop."""
        self._monotonic = clock.monotonic
        self._on_gap = on_gap
        """Called once if history is removed faster than it can be sent."""
        self._send_state = send_state
        """Called if the client keeps a state and what would have changed it is gone."""
        self._owes_state = False
        self._has_gap = has_gap
        """The client already knows that something is missing."""
        self._starts: dict[str, EventId] = {}
        self._cursor: EventId = hub.delivered_id
        self._page_events = PAGE_EVENTS
        self._generation = 0
        """Counts the changes of ``_starts``: a page read before a change is read again."""
        self._task: asyncio.Task[None] | None = None
        self.state_as_of: EventId | None = None
        """Events up to this id are part of a state that the client was sent; None: it was sent none."""
        self._touched: dict[tuple[str, Key], None] = {}
        """The entries of that state that have changed since."""

    @property
    def position(self) -> EventId:
        """The client has been sent what it wants of history up to this id."""
        return self._cursor

    def wants(self, starts: Mapping[str, EventId], *, has_gap: bool = False) -> None:
        """Add event types, each with the id after which its stored events are wanted."""
        for event_type, start in self._starts.items():
            self._starts[event_type] = max(start, self._cursor)
        self._starts.update(starts)
        self._cursor = min(self._starts.values(), default=self._cursor)
        self._has_gap = self._has_gap or has_gap
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

    async def ended(self) -> None:
        """Wait until it has joined, or was cancelled."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def run(self) -> None:
        """Send what is stored, then join. Ends early if the connection is gone."""
        connection = self._connection
        try:
            while True:
                while connection.is_lagging:
                    await connection.drained()
                if connection.catch_up is not self or self._step_into_live():
                    return
                async with self._turn:
                    await self._send_page()
        except BrokerUnavailable:
            # Continuing live would lose what could not be read. Closed as a slow consumer, the client resumes.
            connection.transport.close(
                CloseCode.SLOW_CONSUMER, "history can't be read at the moment; reconnect and resume"
            )
        finally:
            if connection.catch_up is self:
                connection.catch_up = None

    def _step_into_live(self) -> bool:
        """Join the group if what is left is in memory and small. Has no await: nothing can come between."""
        remaining = self._hub.recent.after(self._cursor)
        if remaining is None or sum(len(event.wire) for event in remaining) > STEP_INTO_LIVE_BYTES:
            return False
        self._write([passed for event in remaining if (passed := self._sift(event)) is not None])
        if self._owes_state and self._connection.is_lagging:  # the state must follow what waits
            self._cursor = self._hub.delivered_id
            return False
        self._connection.catch_up = None
        self._hub.subscribe(self._connection, self._connection.subscription)
        if self._owes_state:
            self._send_state()
        else:
            self._correct_state()
        return True

    def _correct_state(self) -> None:
        """Tell a client that keeps a part of the state which entries crossed its filters: stored events don't say."""
        group, touched, self._touched = self._connection.group, self._touched, {}
        if group is None or group.mirror is None or not touched:
            return
        for payload in self._hub.state.corrections(group.mirror, touched, self._hub.delivered_id):
            self._connection.answer(payload)

    async def _send_page(self) -> None:
        """Read the next page and send what passes, joined, yielding in between.

        Stops if the client doesn't keep up, and if the requested types have changed meanwhile.
        """
        generation, until = self._generation, self._hub.delivered_id
        types = tuple(self._starts)
        page = await self._broker.read(self._cursor, until, types=types, limit=self._page_events)
        if page.has_gap and not (self._has_gap and self.state_as_of is None) and not self._owes_state:
            await self._look_for_gap()
        slice_end = self._monotonic() + SLICE_SECONDS
        pending: list[Event] = []
        pending_bytes = 0
        for number, event in enumerate(page.events, 1):
            if generation != self._generation:
                return
            passed = self._sift(event)
            if passed is not None:
                pending.append(passed)
                pending_bytes += len(passed.wire)
            is_time_up = self._monotonic() >= slice_end
            if not (is_time_up or pending_bytes >= WRITE_BYTES or number == len(page.events)):
                continue
            self._write(pending)
            self._cursor = event.id
            pending, pending_bytes = [], 0
            if not self._keeps_up():
                self._page_events = max(number // 2, LEAST_PAGE_EVENTS)
                return
            if is_time_up:
                await asyncio.sleep(0)
                slice_end = self._monotonic() + SLICE_SECONDS
        if generation == self._generation:
            self._cursor = until if page.is_last else page.next_after
            self._page_events = min(self._page_events * 2, PAGE_EVENTS)

    def _keeps_up(self) -> bool:
        return not self._connection.is_lagging and self._connection.catch_up is self

    async def _look_for_gap(self) -> None:
        """Check whether something that this client should get is gone: a type may begin later than the page.

        A client that was sent a state misses nothing that is part of it.
        """
        cursor = max(self._cursor, self.state_as_of or self._cursor)
        types = tuple(event_type for event_type, start in self._starts.items() if start <= cursor)
        if not await self._broker.has_gap(cursor, types=types):
            return
        self._owes_state = self._connection.wants_state
        if not self._has_gap:
            self._has_gap = True
            self._on_gap()

    def _sift(self, event: Event) -> Event | None:
        starts = [self._starts[key] for key in self._hub.catalogue.keys(event.type) if key in self._starts]
        if not starts or event.id <= min(starts):
            return None
        if self.state_as_of is not None and event.id > self.state_as_of:
            self._touched.update(dict.fromkeys(keys_in(event, self._hub.state.world)))
        return sift(event, self._connection.subscription.filters)

    def _write(self, events: list[Event]) -> None:
        if events:
            self._hub.deliveries += len(events)
            self._connection.send_events([FramedEvent(event) for event in events])
