"""The hub: takes stored events, finds who wants them, and writes them, each encoded and framed once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from swim_server.streaming.group import Group
from swim_server.streaming.index import Index
from swim_server.streaming.recent import Recent
from swim_server.streaming.subscription import NOTHING, Subscription, sift

if TYPE_CHECKING:
    from swim_server.protocol.channels import Catalogue
    from swim_server.protocol.event_id import EventId
    from swim_server.protocol.events import Event
    from swim_server.streaming.connection import Connection

WRITE_BYTES = 128 * 1024
"""At most this much goes to a connection in one write, so that a slow one is noticed before much more is queued."""
MEMBERS_PER_LOOK = 32
"""After so many writes the clock is looked at."""


class Hub:
    """All connections and groups. Lives on the loop's thread; nothing in it awaits.

    What one turn of the loop brings is written at the turn's end, joined, one write per connection. Writing is cut
    into slices of ``slice_seconds``, between which the loop serves everybody else; what arrives meanwhile joins
    the next writes, so under load the writes become fewer and larger by themselves.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        newest_id: EventId,
        call_soon: Callable[[Callable[[], None]], object],
        monotonic: Callable[[], float],
        slice_seconds: float = 0.003,
    ) -> None:
        self.catalogue = catalogue
        self.connections: dict[str, Connection] = {}
        self.delivered_id = newest_id
        """Id of the last event handed to the groups: where the live stream stands."""
        self.recent = Recent(newest_id)
        self.events_delivered = 0
        """Events taken in since the start."""
        self.deliveries = 0
        """Events times the connections that they were written to."""
        self.groups: dict[Subscription, Group] = {}
        self._index = Index(catalogue)
        self._dirty: deque[Group] = deque()
        self._call_soon = call_soon
        self._monotonic = monotonic
        self._slice_seconds = slice_seconds
        self._writer: Iterator[None] | None = None
        self._is_scheduled = False

    def add(self, connection: Connection) -> None:
        """Take in an admitted connection; it receives nothing until it subscribes."""
        self.connections[connection.id] = connection

    def remove(self, connection: Connection) -> None:
        """Forget a connection at once. Idempotent."""
        if self.connections.pop(connection.id, None) is None:
            return
        if connection.catch_up is not None:
            connection.catch_up.cancel()
        group = connection.group
        connection.drop()
        self._discard_if_empty(group)

    def subscribe(self, connection: Connection, subscription: Subscription) -> None:
        """Let a connection receive the live stream through this subscription from the next event on."""
        group = connection.group
        if group is not None:
            if group.subscription == subscription:
                return
            connection.leave()
            self._discard_if_empty(group)
        connection.subscription = subscription
        if subscription == NOTHING or connection.id not in self.connections:
            return
        connection.join(self._group(subscription))

    def detach(self, connection: Connection, subscription: Subscription) -> None:
        """Take a connection out of the live stream, with this subscription for what it is sent meanwhile."""
        self.subscribe(connection, NOTHING)
        connection.subscription = subscription

    def deliver(self, events: Sequence[Event]) -> None:
        """Hand stored events, in the order of their ids, to every group that they pass."""
        for event in events:
            for group in self._index.candidates(event):
                passed = sift(event, group.subscription.filters)
                if passed is not None:
                    group.append(passed)
                    if not group.is_dirty:
                        group.is_dirty = True
                        self._dirty.append(group)
            self.recent.append(event)
            self.delivered_id = event.id
        self.events_delivered += len(events)
        self._schedule()

    def _group(self, subscription: Subscription) -> Group:
        group = self.groups.get(subscription)
        if group is None:
            group = self.groups[subscription] = Group(subscription)
            self._index.add(group)
        return group

    def _discard_if_empty(self, group: Group | None) -> None:
        if group is not None and not group.members and self.groups.get(group.subscription) is group:
            del self.groups[group.subscription]
            self._index.remove(group)

    def _schedule(self) -> None:
        if not self._is_scheduled and (self._dirty or self._writer is not None):
            self._is_scheduled = True
            self._call_soon(self._write_slice)

    def _write_slice(self) -> None:
        self._is_scheduled = False
        deadline = self._monotonic() + self._slice_seconds
        while True:
            if self._writer is None:
                if not self._dirty:
                    return
                self._writer = self._write_group(self._dirty.popleft())
            for _ in self._writer:
                if self._monotonic() >= deadline:
                    self._schedule()
                    return
            self._writer = None
            if self._monotonic() >= deadline:
                self._schedule()
                return

    def _write_group(self, group: Group) -> Iterator[None]:
        """Write the group's oldest frames to each member; yield now and then. Frames that come meanwhile wait."""
        start = group.base
        count = _count_within(group.frames, WRITE_BYTES)
        end = start + count
        frames, events = group.frames[:count], group.events[:count]
        joined = b"".join(frames) if count > 1 else frames[0]
        roll = group.roll
        for number, connection in enumerate(roll, 1):
            if connection.group is group:
                position = connection.position
                if position == start and connection.backlog is None:
                    connection.position = end
                    connection.outlet.write(joined)
                elif position < end:
                    connection.position = end
                    connection.deliver(frames[position - start :], events[position - start :])
            if not number % MEMBERS_PER_LOOK:
                yield
        group.release(end)
        self.deliveries += count * len(roll)
        if group.frames:
            self._dirty.append(group)
        else:
            group.is_dirty = False


def _count_within(frames: Sequence[bytes], limit_bytes: int) -> int:
    """How many of the first frames make at most ``limit_bytes`` together; at least one."""
    total = 0
    for count, frame in enumerate(frames):
        total += len(frame)
        if total > limit_bytes:
            return max(count, 1)
    return len(frames)
