"""The newest events in memory: from here a resuming client steps into the live stream without an await."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swim_server.protocol.event_id import EventId
    from swim_server.protocol.events import Event


class Recent:
    """A bounded stretch that ends at the last delivered event and has no holes."""

    def __init__(self, floor: EventId, *, max_events: int = 2048, max_bytes: int = 4 * 1024 * 1024) -> None:
        self._events: deque[Event] = deque()
        self._size_bytes = 0
        self._floor = floor
        self._max_events = max_events
        self._max_bytes = max_bytes

    def append(self, event: Event) -> None:
        """Add the event just delivered; let the oldest go past the bounds."""
        self._events.append(event)
        self._size_bytes += len(event.wire)
        while len(self._events) > self._max_events or self._size_bytes > self._max_bytes:
            oldest = self._events.popleft()
            self._size_bytes -= len(oldest.wire)
            self._floor = oldest.id

    def after(self, cursor: EventId) -> list[Event] | None:
        """Every event delivered after ``cursor``, oldest first; None when this does not reach back that far."""
        if cursor < self._floor:
            return None
        later: list[Event] = []
        for event in reversed(self._events):
            if event.id <= cursor:
                break
            later.append(event)
        later.reverse()
        return later
