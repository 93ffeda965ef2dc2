"""The Broker interface: what the daemon needs from whatever stores and orders events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

import msgspec

from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import Event, NewEvent

Deliver = Callable[[Sequence[Event]], None]
"""Receives stored events in the order of their ids; called on the loop's thread, never concurrently."""


class BrokerUnavailable(Exception):
    """The broker can't store or read at the moment. The event was not acknowledged; retrying later is safe."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return f"history can't be used at the moment: {self.reason}"


class InvalidEvent(ValueError):
    """An event that can't be stored as it is. Nothing of its call was stored; retrying does not help."""

    def __init__(self, index: int, reason: str) -> None:
        self.index = index
        """Its place among the events of the call, from 0."""
        self.reason = reason
        super().__init__(index, reason)

    def __str__(self) -> str:
        return f"event {self.index + 1} can't be stored: {self.reason}"


class Published(msgspec.Struct, frozen=True):
    """The answer for one NewEvent that is stored."""

    id: str
    """The event's id; for a ``duplicate``, that of the first publication; of several parts, the last one's."""
    duplicate: bool = False
    """Its ``event_id`` was published within the last day; nothing was stored or delivered now."""


class HistorySpan(msgspec.Struct, frozen=True):
    """What history contains at this moment."""

    oldest_id: EventId | None
    newest_id: EventId | None
    events: int
    size_bytes: int
    is_counted: bool = True
    """False: a large history is still being counted, and ``events`` means nothing."""


class StorageState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the storage that history is on."""

    writing_problem: str | None = None
    """Why it can't be written, checkpointed or checked at the moment."""
    failures: int = 0
    """Commits that failed, since the start."""
    corrupt_ranges: int = 0
    """Ranges found since the start that no longer hold what was stored."""
    checked_at: float | None = None
    """Unix time at which the last complete check ended; None: there was none since the start."""
    damaged_files: list[str] = []
    """Damaged history files that were set aside."""


class Page(msgspec.Struct, frozen=True):
    """A part of history, in the order of ids."""

    events: list[Event]
    next_after: EventId
    """Where the next page begins: every stored event up to and including this id has been scanned."""
    is_last: bool
    """Nothing stored follows ``next_after`` within the requested range, at the time of reading."""
    has_gap: bool = False
    """The result of ``has_gap`` for this page's ``after``, as of the same moment as its events."""


class Broker(Protocol):
    """Gives ids, stores, delivers. An acknowledged event survives ``kill -9`` of the process."""

    @property
    def newest_id(self) -> EventId:
        """The last id given (``ZERO`` before the first); kept in memory, never blocks."""

    @property
    def epoch(self) -> str:
        """Identifies the order of ids: ids of different epochs can't be compared. Empty before history was opened."""

    async def open(self, deliver: Deliver) -> None:
        """Open it. ``deliver`` receives every event published from now on, by this node or another."""

    async def publish(self, events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        """Store all events, durably and in order, then deliver them; the answers are in the same order.

        ``flight.positions`` larger than a frame may hold are stored as several events. All or nothing: raises
        BrokerUnavailable if they could not be stored, InvalidEvent if one is not JSON. Safe to call concurrently; calls
        are committed together. ``durable``: return only when these events, and everything stored before, survive a
        power cut, whatever the broker's setting; without events, only wait for that.
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

        ``types``, here and in the other methods: event types, and open-ended ones like ``tmi.program.*``.
        """

    async def read_last(
        self, count: int, *, types: Collection[str] | None = None, before: EventId | None = None
    ) -> list[Event]:
        """Read the newest ``count`` events of those types with ``id < before`` (None: to the end), oldest first."""

    async def has_gap(self, after: EventId, *, types: Collection[str] | None = None) -> bool:
        """Tell whether an event after ``after`` (of those types) may once have been stored and is gone.

        True if retention has removed events after it, if ``after`` is newer than anything stored, if an older history
        was restored in between, or if ``after`` is from before this history began. The last rule does not apply to
        ZERO, nor to an ``after`` with MAX_SEQUENCE, which stands for a moment rather than an event.
        """

    async def span(self) -> HistorySpan:
        """Return what history contains."""

    async def state(self) -> StorageState:
        """Return the state of the storage. Never raises."""

    async def close(self) -> None:
        """Store what is pending, then release all resources. Idempotent."""


class Publish(Protocol):
    """The part of a broker that sources use."""

    def __call__(self, events: Sequence[NewEvent], *, durable: bool = False) -> Awaitable[list[Published]]: ...


async def find_event(broker: Broker, event_id: EventId) -> Event | None:
    """Read one stored event. None: there is none with this id, or it is gone. Raises BrokerUnavailable."""
    if event_id == ZERO:
        return None
    before = EventId.from_integer(event_id.to_integer() - 1)
    page = await broker.read(before, event_id, limit=1)
    return page.events[0] if page.events else None
