"""What every node does by itself: reading, retention and delivery of a copied history."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from swim_server.brokers.broker import BrokerUnavailable, Deliver
from swim_server.brokers.history_file import FileOptions
from swim_server.brokers.origin import Hole
from swim_server.brokers.redis_stream.history_copy import CopyState, HistoryCopy
from swim_server.brokers.retention import Retention
from swim_server.brokers.served_history import Intervals, ServedHistory
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import Event

T = TypeVar("T")
EPOCH_CHARACTERS = 8


class LocalCopy(ServedHistory):
    """A node's copy of the history: events come with their ids, in order, from one reader."""

    history_type = HistoryCopy

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock = SYSTEM_CLOCK,
        retention: Retention,
        options: FileOptions = FileOptions(),
        intervals: Intervals = Intervals(),
    ) -> None:
        super().__init__(path, clock=clock, retention=retention, options=options, intervals=intervals)
        self._is_delivering = False
        self._handed_on = ZERO
        self._stream: str | None = None

    @property
    def epoch(self) -> str:
        """Names the order of events, identically on every node: a client that resumes on another one has no gap.

        It lasts as long as the installation: what the server loses is a hole in every copy, and its ids go on above.
        """
        return self._stream[:EPOCH_CHARACTERS] if self._stream is not None else super().epoch

    @property
    def newest_id(self) -> EventId:
        """The last id delivered: what is stored may be slightly ahead of it."""
        return self._handed_on

    async def open(self, deliver: Deliver) -> None:
        """Open the copy; ``deliver`` is not called before ``begin``."""

        def pass_on(events: Sequence[Event]) -> None:
            if self._is_delivering:
                deliver(events)

        await super().open(pass_on)
        self._handed_on = self._newest
        with contextlib.suppress(BrokerUnavailable):  # it opens later, and is looked at then
            await self.look()

    def begin(self) -> None:
        """Deliver what is adopted from now on."""
        self._is_delivering = True

    async def adopt(self, events: Sequence[Event], after: EventId) -> None:
        """Store events that follow ``after``, then deliver them. Raises CopyEndsEarlier, BrokerUnavailable.

        The writer thread and the loop both keep the order of calls, so events are delivered in the order of ids.
        """
        try:
            found = await self._write(lambda: self._copy.adopt(events, after))
        except BrokerUnavailable as error:
            self._tell_trouble("events can't be copied", error)
            raise
        self.counters.last_error = None
        self._note_open()
        self.counters.commits += 1
        self._hand_on(found)

    def _hand_on(self, events: Sequence[Event]) -> None:
        """Deliver only what was not delivered before: a damaged copy is refilled silently."""
        new = [event for event in events if event.id > self._handed_on]
        super()._hand_on(new)
        if new:
            self._handed_on = new[-1].id

    async def look(self) -> CopyState:
        """Return the state of the copy. Raises BrokerUnavailable."""
        found = await self._do(lambda copy: copy.look())
        self._stream = found.stream
        return found

    async def follow(self, stream: str) -> None:
        """Record whose stream it copies. Raises BrokerUnavailable."""
        await self._do(lambda copy: copy.follow(stream))
        self._stream = stream

    async def note_hole(self, hole: Hole) -> bool:
        """Record events that are lost; False if that was known. Raises BrokerUnavailable."""
        return await self._do(lambda copy: copy.note_hole(hole))

    async def note_positions_gone(self, up_to: EventId) -> None:
        """Record that positions up to an id were trimmed before they were copied. Raises BrokerUnavailable."""
        await self._do(lambda copy: copy.note_positions_gone(up_to))

    async def sync(self) -> None:
        """Wait until all that was adopted is on this node's disk. Raises BrokerUnavailable."""
        await self._checkpoints.sync()

    async def _do(self, work: Callable[[HistoryCopy], T]) -> T:
        return await self._write(lambda: work(self._copy))

    @property
    def _copy(self) -> HistoryCopy:
        return cast("HistoryCopy", self._history)
