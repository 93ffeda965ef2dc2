"""The newest events in memory: from here a resuming client joins the live stream without an await."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from swim_server.protocol.events import Event

if TYPE_CHECKING:
    from swim_server.brokers.broker import Broker
    from swim_server.protocol.event_id import EventId


PRELOADED_EVENTS = 256
"""Recent events kept in memory: enough for nearly every client that resumes at once, without reading history."""


class Recent:
    """A bounded range that ends at the last delivered event and has no holes.

    It keeps only the events' wire forms; their data, several times as large, is decoded again when needed.
    """

    def __init__(self, floor: EventId, *, max_events: int = 2048, max_bytes: int = 4 * 1024 * 1024) -> None:
        self._events: OrderedDict[EventId, Event] = OrderedDict()
        self._size_bytes = 0
        self._floor = floor
        self._max_events = max_events
        self._max_bytes = max_bytes

    def append(self, event: Event) -> None:
        """Add the event just delivered; drop the oldest beyond the bounds."""
        self._events[event.id] = Event(event.id, event.type, event.wire)
        self._size_bytes += len(event.wire)
        while len(self._events) > self._max_events or self._size_bytes > self._max_bytes:
            self._floor, oldest = self._events.popitem(last=False)
            self._size_bytes -= len(oldest.wire)

    def is_unused_at(self, event_id: EventId) -> bool:
        """Tell whether nothing was delivered yet, and delivery will continue after this event."""
        return not self._events and self._floor == event_id

    def preload(self, events: Sequence[Event]) -> None:
        """Begin with the newest stored events, in order and without holes. Once, at the start."""
        if self._events:
            raise AssertionError("what was delivered is newer than what is stored at the start")
        for event in events[:1]:
            self._floor = event.id
        for event in events[1:]:
            self.append(event)

    def forget(self) -> None:
        """Drop everything: events may be missing before the next one, and history must be asked which."""
        if self._events:
            self._floor = next(reversed(self._events))
            self._events.clear()
            self._size_bytes = 0

    def holds(self, event_id: EventId) -> bool:
        """Tell whether this event was seen here, so that everything after it is still known."""
        return event_id in self._events

    def newest(self, beginning: str, max_events: int, max_bytes: int) -> Iterator[bytes]:
        """Yield the wire forms of the newest events of types with this prefix, newest first, up to both limits."""
        for event in reversed(self._events.values()):
            if event.type.startswith(beginning):
                max_events -= 1
                max_bytes -= len(event.wire)
                if max_events < 0 or max_bytes < 0:
                    return
                yield event.wire

    def after(self, cursor: EventId) -> list[Event] | None:
        """Return every event delivered after ``cursor``, oldest first; None if this does not reach back that far."""
        if cursor < self._floor:
            return None
        later: list[Event] = []
        for event in reversed(self._events.values()):
            if event.id <= cursor:
                break
            later.append(event)
        later.reverse()
        return later


async def preload(recent: Recent, broker: Broker) -> None:
    """Fill an unused ``recent`` from storage, if the newest stored events have no holes and end where it begins.

    Raises BrokerUnavailable. If events are delivered meanwhile, nothing is filled in.
    """
    events = await broker.read_last(PRELOADED_EVENTS)
    if len(events) > 1 and not await broker.has_gap(events[0].id) and recent.is_unused_at(events[-1].id):
        recent.preload(events)
