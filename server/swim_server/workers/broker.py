"""A worker's broker: the primary stores and orders, and tells every event; history's file is read here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

from swim_server.brokers.broker import (
    BrokerUnavailable,
    Deliver,
    HistorySpan,
    Published,
    StorageState,
)
from swim_server.brokers.counters import Counters
from swim_server.brokers.history_reader import Rotten
from swim_server.brokers.reader_pool import PooledReading, ReaderPool
from swim_server.logs import get_logger
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import Event, NewEvent
from swim_server.workers import messages
from swim_server.workers.link import Link, LinkLost
from swim_server.workers.messages import NOTHING, Events, GapQuestion, Position, Publication, Range
from swim_server.workers.rows import write_rows

GONE = "the primary process is gone"

_log = get_logger("broker")
T = TypeVar("T")


class WorkerBroker(PooledReading):
    """Follows the primary's stream of events. An acknowledged event is stored by the primary."""

    def __init__(self, link: Link, path: Path) -> None:
        self.counters = Counters()
        self.on_opened_late: Callable[[EventId], None] | None = None
        self.on_unreadable: Callable[[EventId, EventId], None] | None = None
        self.on_hole: Callable[[], None] | None = None
        """Called when events are missing before those that are delivered next."""
        self._link = link
        self._newest = ZERO
        self._epoch = ""
        self._generation = 0
        self._deliver: Deliver | None = None
        self._early: list[Event] | None = None
        """Events told before whoever opens it knows where it begins; None: there are none to keep."""
        self._publishing: set[asyncio.Future[list[Published]]] = set()
        """Publications that are not answered yet."""
        self._is_doubtful = False
        """The primary has found damage that may not be recorded in the file."""
        self._readers = ReaderPool(path, lambda: self._generation)
        link.on(messages.EVENTS, self._receive)
        link.on(messages.UNREADABLE, self._note_unreadable)
        link.on(messages.OPENED_LATE, self._opened_late)
        link.on(messages.HOLE, self._note_hole)

    @property
    def newest_id(self) -> EventId:
        """The last id delivered here; ``ZERO`` before the first."""
        return self._newest

    @property
    def epoch(self) -> str:
        """Identifies the order of events."""
        return self._epoch

    async def open(self, deliver: Deliver) -> None:
        """Begin to follow: what the primary stores from now on is delivered. Raises BrokerUnavailable."""
        self._deliver, self._early = deliver, []
        position = await _answer(self._link.ask(messages.FOLLOW, NOTHING))
        self._newest = EventId.from_integer(position.newest)
        self.update(position.epoch, position.generation)
        asyncio.get_running_loop().call_soon(self._deliver_early)

    def update(self, epoch: str, generation: int) -> None:
        """Note the primary's current order of events and file."""
        self._epoch, self._generation = epoch, generation

    async def publish(self, events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        """Have the primary store them. What it answers was delivered here before."""
        if self._deliver is None:
            raise BrokerUnavailable("it is not open")
        asked = self._link.ask(messages.PUBLISH, Publication(write_rows(events), durable))
        self._publishing.add(asked)
        asked.add_done_callback(self._publishing.discard)
        return await _answer(asked)

    # Reading.

    async def has_gap(self, after: EventId, *, types: Collection[str] | None = None) -> bool:
        """Tell whether an event after ``after`` may be gone; of one not delivered here yet, the primary knows."""
        if after > self._newest or self._is_doubtful:
            question = GapQuestion(after.to_integer(), None if types is None else list(types))
            return await _answer(self._link.ask(messages.HAS_GAP, question))
        return await self._read(lambda reader: reader.has_gap(after, types))

    async def span(self) -> HistorySpan:
        """Return history's range and size."""
        return await _answer(self._link.ask(messages.SPAN, NOTHING))

    async def state(self) -> StorageState:
        """Return the state of the primary's storage. Never raises."""
        try:
            return await _answer(self._link.ask(messages.STORAGE, NOTHING))
        except BrokerUnavailable as error:
            return StorageState(writing_problem=error.reason)

    async def close(self) -> None:
        """Wait until what is pending is answered, stop following, and close the file. Idempotent."""
        if self._publishing:
            await asyncio.wait(self._publishing)
        self._deliver = None
        await self._readers.close()

    # What reading finds.

    def _suspect(self) -> None:
        self._link.tell(messages.SUSPECT, NOTHING)

    async def note_rotten(self, rotten: Rotten) -> None:
        """Have the primary record ranges found damaged while reading."""
        self._link.tell(messages.ROTTEN, [Range(*each) for each in rotten])

    # What the primary tells.

    def _receive(self, told: Events) -> None:
        self._generation = told.generation
        from_integer = EventId.from_integer
        events = [Event(from_integer(id), type, wire) for id, type, wire in told.rows]
        if self._early is not None:
            self._early += events
        else:
            self._hand_on(events)

    def _deliver_early(self) -> None:
        events, self._early = self._early or [], None
        self._hand_on(events)

    def _hand_on(self, events: Sequence[Event]) -> None:
        if not events or self._deliver is None:
            return
        self._newest = events[-1].id
        self.counters.events_stored += len(events)
        try:
            self._deliver(events)
        except Exception:  # noqa: BLE001 - they are stored: those behind them must go on
            self.counters.failures += 1
            _log.exception("delivering events failed", first=str(events[0].id), events=len(events))

    def _note_unreadable(self, told: Range) -> None:
        self._is_doubtful = True
        if self.on_unreadable is not None:
            self.on_unreadable(EventId.from_integer(told.after), EventId.from_integer(told.up_to))

    def _note_hole(self, told: Position) -> None:
        self.update(told.epoch, told.generation)
        if self.on_hole is not None:
            self.on_hole()

    def _opened_late(self, told: Position) -> None:
        self.update(told.epoch, told.generation)
        self._newest = max(self._newest, EventId.from_integer(told.newest))
        if self.on_opened_late is not None:
            self.on_opened_late(EventId.from_integer(told.newest))


async def _answer(asked: asyncio.Future[T]) -> T:
    """Wait for the primary's answer. Raises BrokerUnavailable if it is gone."""
    try:
        return await asked
    except LinkLost:
        raise BrokerUnavailable(GONE) from None
