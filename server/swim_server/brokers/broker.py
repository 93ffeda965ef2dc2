"""The Broker interface: what the daemon asks of whatever stores and orders events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

import msgspec

from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import Event, NewEvent

Deliver = Callable[[Sequence[Event]], None]
"""Takes stored events in the order of their ids; called on the loop's thread, never concurrently."""


class BrokerUnavailable(Exception):
    """The broker can't store or read at the moment. The event was not acknowledged; trying again later is safe."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return f"history can't be used at the moment: {self.reason}"


class InvalidEvent(ValueError):
    """An event that can't be stored as it is. Nothing of its call was stored; trying again is no use."""

    def __init__(self, index: int, reason: str) -> None:
        self.index = index
        """Its place among the events of the call, from 0."""
        self.reason = reason
        super().__init__(index, reason)

    def __str__(self) -> str:
        return f"event {self.index + 1} can't be stored: {self.reason}"


class Published(msgspec.Struct, frozen=True):
    """The answer for one NewEvent: it is stored."""

    id: str
    """The event's id; that of the first publication where ``duplicate``. Of several parts, the last part's."""
    duplicate: bool = False
    """Its ``event_id`` was published within the last day; nothing was stored or delivered now."""


class HistorySpan(msgspec.Struct, frozen=True):
    """What history holds at this moment."""

    oldest_id: EventId | None
    newest_id: EventId | None
    events: int
    size_bytes: int
    is_counted: bool = True
    """False: a large history is still being counted, and ``events`` says nothing."""


class StorageState(msgspec.Struct, frozen=True, kw_only=True):
    """How what history stands on is doing."""

    trouble: str | None = None
    """Why it can't be written, written back or checked at the moment."""
    failures: int = 0
    """Commits that could not be made, since the start."""
    rotten: int = 0
    """Stretches that were found not to be what was stored, since the start."""
    checked_at: float | None = None
    """Unix time at which all of it was last read through; None: not since the start."""
    damaged_files: list[str] = []
    """Histories that were set aside."""


class Page(msgspec.Struct, frozen=True):
    """A stretch of history in the order of ids."""

    events: list[Event]
    next_after: EventId
    """Where the next page begins: every stored event up to and including this id has been looked at."""
    is_last: bool
    """Nothing stored follows ``next_after`` within the range asked for, at the time of reading."""
    has_gap: bool = False
    """What ``has_gap`` would have said for this page's ``after``, seen together with its events."""


class Broker(Protocol):
    """Gives ids, stores, hands on. An acknowledged event survives ``kill -9`` of the process."""

    @property
    def newest_id(self) -> EventId:
        """The last id given out (``ZERO`` before the first); kept in memory, never blocks."""

    @property
    def epoch(self) -> str:
        """Names the order of ids: those of different epochs may not be compared. Empty before history was opened."""

    async def open(self, deliver: Deliver) -> None:
        """Make it ready. ``deliver`` receives every event published from now on, by this node or another."""

    async def publish(self, events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        """Store all of them, durably and in order, then deliver them; answers in the same order.

        ``flight.positions`` larger than a frame may hold are stored as several events. All or nothing: raises
        BrokerUnavailable when they could not be stored, InvalidEvent when one is no JSON. Safe to call
        concurrently; calls are committed together. ``durable``: return when they, and everything stored before, also
        survive a power cut, whatever the broker is set to; with no events, only wait for that.
        """

    async def read(
        self,
        after: EventId,
        until: EventId | None = None,
        *,
        types: Collection[str] | None = None,
        limit: int = 500,
    ) -> Page:
        """Read stored events with ``after < id <= until``, oldest first, at most ``limit``; off the loop's thread.

        ``types``: event types, and open-ended ones like ``tmi.program.*``, here and in the other methods.
        """

    async def read_last(
        self, count: int, *, types: Collection[str] | None = None, before: EventId | None = None
    ) -> list[Event]:
        """Read the newest ``count`` events of those types with ``id < before`` (None: to the end), oldest first."""

    async def has_gap(self, after: EventId, *, types: Collection[str] | None = None) -> bool:
        """Tell whether an event after ``after`` (of those types) may once have been stored and is gone.

        True when retention has passed it, when ``after`` is newer than anything stored, when an older history was
        restored in between, or when ``after`` is from before this history began. As an ``after`` with MAX_SEQUENCE
        stands for a moment rather than an event, that last rule spares it, and ZERO.
        """

    async def span(self) -> HistorySpan:
        """Tell what history holds."""

    async def state(self) -> StorageState:
        """Tell how the storage is doing. Never raises."""

    async def close(self) -> None:
        """Store what is pending, then release all resources. Idempotent."""


class Publish(Protocol):
    """The part of a broker that sources use."""

    def __call__(self, events: Sequence[NewEvent], *, durable: bool = False) -> Awaitable[list[Published]]: ...


async def find_event(broker: Broker, event_id: EventId) -> Event | None:
    """Read one stored event. None: there is none of this id, or no longer. Raises BrokerUnavailable."""
    if event_id == ZERO:
        return None
    before = EventId.from_integer(event_id.to_integer() - 1)
    page = await broker.read(before, event_id, limit=1)
    return page.events[0] if page.events else None
