"""One event on its way to the groups: which may want it, and which part of it passes whose filters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Generic

from swim_server.protocol.filters import class_of
from swim_server.protocol.position_batch import PositionBatch
from swim_server.protocol.positions import POSITIONS
from swim_server.streaming.framed_event import FramedEvent
from swim_server.streaming.index.event_keys import EventKeys
from swim_server.streaming.index.partition import K

if TYPE_CHECKING:
    from swim_server.protocol.event_id import EventId
    from swim_server.protocol.events import Event
    from swim_server.protocol.filters import Filters
    from swim_server.streaming.index.index import Index


class Match(Generic[K]):
    """An event and the groups that it has not been matched against. Iterating takes them one by one."""

    __slots__ = ("_batch", "_candidates", "_family_class", "_parts", "_whole", "deliveries", "event")

    def __init__(self, event: Event, index: Index[K]) -> None:
        self.event = event
        self.deliveries = 0
        """How many connections it was for, of the groups taken so far. The hub counts."""
        self._family_class = class_of(event.type)
        self._whole = FramedEvent(event)
        self._batch = PositionBatch(event) if event.type == POSITIONS else None
        self._parts: dict[Event, FramedEvent] = {}
        self._candidates = index.candidates(event.type, self._batch or EventKeys(event))

    def __iter__(self) -> Iterator[K]:
        while self._candidates:
            yield self._candidates.popitem()[0]

    def take(self, group: K) -> bool:
        """Take one group out of turn. False if it is not a candidate, or was already taken."""
        return self._candidates.pop(group, self) is not self

    def awaits(self, group: K) -> bool:
        """Tell whether a group is a candidate that has not been taken."""
        return group in self._candidates

    def include(self, groups: Iterable[K]) -> None:
        """Add further groups as candidates, whatever they are subscribed to."""
        self._candidates.update(dict.fromkeys(groups))

    def selected(self, filters: Filters) -> int:
        """Return the positions of a batch that pass the filters: bit *n* stands for position *n*."""
        return self._batch.select(filters) if self._batch is not None else 0

    @property
    def event_id(self) -> EventId:
        return self.event.id

    def sift(self, filters: Filters) -> FramedEvent | None:
        """Return the part of the event that passes the filters, or None. Equal parts are one object, framed once."""
        if not filters.is_set:
            return self._whole
        if self._batch is None:
            return self._whole if filters.passes_in(self._family_class, self.event.data) else None
        part = self._batch.cut(filters)
        if part is None:
            return None
        if part is self.event:
            return self._whole
        framed = self._parts.get(part)
        if framed is None:
            framed = self._parts[part] = FramedEvent(part)
        return framed
