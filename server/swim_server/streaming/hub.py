"""The hub: takes stored events, finds the subscribers, and writes to them, each event encoded and framed once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from swim_server.protocol.event_id import ZERO
from swim_server.streaming.connection import LOCAL_TIER
from swim_server.streaming.group_writer import GroupWriter
from swim_server.streaming.groups import Groups
from swim_server.streaming.hints import Hints
from swim_server.streaming.match import Match
from swim_server.streaming.mirror.live_state import LiveState
from swim_server.streaming.recent import Recent
from swim_server.streaming.subscription import NOTHING, Subscription

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.protocol.channels import Catalogue
    from swim_server.protocol.event_id import EventId
    from swim_server.protocol.events import Event
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.explain.session_log import SessionLog
    from swim_server.streaming.group import Group
    from swim_server.streaming.mirror.mirror import Mirror


class HubLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much the hub does at once, and how much may wait."""

    slice_seconds: float = 0.002
    """Length of a slice of matching or writing, after which the loop serves everything else."""
    writes_per_look: int = 32
    """Writes, or matches of an event, between two looks at the clock."""
    max_waiting_events: int = 10_000
    """With more events waiting, ``deliver`` matches them before it returns, so that publishers wait."""
    max_held_bytes: int = 64 * 1024 * 1024
    """With this many bytes of frames in the groups, no further events are matched until some are written."""


class Hub:
    """All connections and groups. Lives on the loop's thread; nothing in it awaits.

    What arrives in one turn of the loop is written at the turn's end, joined, one write per connection. Matching and
    writing are cut into slices of ``slice_seconds``, between which the loop serves everything else; what arrives
    meanwhile joins the next writes, so that under load the writes become fewer and larger by themselves.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        call_soon: Callable[[Callable[[], None]], object],
        clock: Clock,
        on_failure: Callable[[BaseException], None],
        session_log: SessionLog | None = None,
        limits: HubLimits = HubLimits(),
    ) -> None:
        self.catalogue = catalogue
        self.session_log = session_log
        """Records sessions for ``explain``; None: nothing is recorded."""
        self.connections: dict[str, Connection] = {}
        self.delivered_id = ZERO
        """Id of the last event handed to the groups: the position of the live stream."""
        self.recent = Recent(ZERO)
        self.hints = Hints(lambda: self.recent, clock=clock)
        """Finds filter values that can match nothing."""
        self.events_delivered = 0
        """Events received since the start."""
        self.events_by_type: Counter[str] = Counter()
        """Events that the live stream has reached, by type."""
        self.deliveries = 0
        """Events times the connections that they were for."""
        self.deliveries_by_type: Counter[str] = Counter()
        """The same by type, excluding what was sent from history; counted once an event has gone to every group."""
        self.by_key: dict[int, dict[str, Connection]] = {}
        """Connections by key id, in the order of admission; only keys with at least one."""
        self.state = LiveState()
        """The state of the world at the position of the live stream."""
        self._groups = Groups(catalogue, self.state, self._match_pending)
        self.groups = self._groups.by_key
        self._mirrors, self._index = self._groups.mirrors, self._groups.index
        self._waiting: deque[Event] = deque()
        """Stored events that the live stream has not reached."""
        self._match: Match[Group[Connection]] | None = None
        """The newest event of the live stream, while it has not been matched against all groups."""
        self._dirty: deque[Group[Connection]] = deque()
        self._held_bytes = 0
        self._writer: Iterator[None] | None = None
        self._group_writer = GroupWriter(
            clock.monotonic, writes_per_look=limits.writes_per_look, on_failure=on_failure, remove=self.remove
        )
        self._is_scheduled = False
        self.call_soon = call_soon
        self._monotonic = clock.monotonic
        self._on_failure = on_failure
        self._slice_seconds = limits.slice_seconds
        self._writes_per_look = limits.writes_per_look
        self._max_waiting_events = limits.max_waiting_events
        self._max_held_bytes = limits.max_held_bytes

    def begin_after(self, newest_id: EventId) -> None:
        """Begin the live stream after this event. Call before the first connection and the first event."""
        self.delivered_id = newest_id
        self.recent = Recent(newest_id)

    # Who receives.

    def add(self, connection: Connection) -> None:
        """Register an admitted connection; it receives nothing until it subscribes."""
        self.connections[connection.id] = connection
        if connection.key is not None:
            self.by_key.setdefault(connection.key.id, {})[connection.id] = connection
        if self.session_log is not None and connection.tier != LOCAL_TIER:  # commands would displace the consumers
            connection.session = self.session_log.opened(
                connection.id,
                tier=connection.tier,
                key=connection.key,
                remote=connection.remote,
                connected_at_ms=connection.connected_at_ms,
                after=self.delivered_id,
            )

    def remove(self, connection: Connection) -> None:
        """Forget a connection at once: nothing more is written to it. Idempotent."""
        if self.connections.pop(connection.id, None) is None:
            return
        if connection.key is not None:
            others = self.by_key[connection.key.id]
            del others[connection.id]
            if not others:
                del self.by_key[connection.key.id]
        group = connection.group
        try:
            self._note_end(connection)
            if connection.catch_up is not None:
                connection.catch_up.cancel()
        finally:  # in a row, its socket would be written to after it is closed, and may be another client's by then
            connection.drop()
            self._groups.discard_if_empty(group)

    def _note_end(self, connection: Connection) -> None:
        if self.session_log is None or connection.session is None:
            return
        unsent_from, group, match = connection.unsent_from, connection.group, self._match
        if unsent_from is None and group is not None and match is not None and match.awaits(group):
            unsent_from = match.event_id
        catch_up = connection.catch_up
        history_until = catch_up.position if catch_up is not None else None
        self.session_log.removed(
            connection.session, self.delivered_id, unsent_from=unsent_from, history_until=history_until
        )

    def flush_and_remove(self, connection: Connection) -> None:
        """Give a connection that keeps up every event so far, then forget it. Idempotent."""
        if connection.group is not None and not connection.is_lagging:
            connection.group.flush_to(connection)
        self.remove(connection)

    def subscribe(self, connection: Connection, subscription: Subscription) -> None:
        """Send a connection the live stream through this subscription, beginning with the next event."""
        group = connection.group
        if group is not None:
            if (
                group.subscription == subscription
                and group.max_message_bytes == connection.max_message_bytes
                and (connection.wants_state == (group.mirror is not None))
            ):
                return
            connection.leave()
            self._groups.discard_if_empty(group)
        if connection.id not in self.connections:
            return
        if not subscription.channels:
            connection.subscription = subscription
            return
        group = self._groups.find(
            subscription, connection.window_bits, connection.max_message_bytes, is_mirror=connection.wants_state
        )
        connection.subscription = group.subscription  # the object that all members share
        connection.join(group)

    def detach(self, connection: Connection, subscription: Subscription) -> None:
        """Take a connection out of the live stream; ``subscription`` applies to what it is sent meanwhile."""
        self.subscribe(connection, NOTHING)
        connection.subscription = subscription

    # Which events.

    def deliver(self, events: Sequence[Event]) -> None:
        """Deliver stored events, in the order of their ids, to every group whose subscription they pass."""
        self._waiting.extend(events)
        self.events_delivered += len(events)
        self._match_until(self._monotonic() + self._slice_seconds)
        while len(self._waiting) > self._max_waiting_events:
            self._write_until(self._monotonic() + self._slice_seconds)
            self._match_until(self._monotonic() + self._slice_seconds)
        self._schedule()

    def advance_to(self, event_id: EventId) -> bool:
        """Advance the live stream at least to this event; False if the event has not arrived here yet."""
        while self.delivered_id < event_id and self._waiting:
            self._begin_match()
        self._schedule()
        return self.delivered_id >= event_id

    def _begin_match(self) -> None:
        """Make the next event part of the live stream, after matching the one before against every group."""
        if self._match is not None:
            self._offer_until(None)
        event = self._waiting.popleft()
        self.recent.append(event)
        self.delivered_id = event.id
        self.events_by_type[event.type] += 1
        try:
            self.state.note(event)
            if not self.groups:
                return
            self._match = Match(event, self._index)
            if self.state.touched is not None:
                self.state.touched.match = self._match
                self._match.include(self._mirrors)
        except Exception as error:  # noqa: BLE001  # nobody can be found for it, but those behind it must go on
            self._on_failure(error)

    def _match_until(self, deadline: float) -> None:
        while self._held_bytes < self._max_held_bytes:
            if self._match is None:
                if not self._waiting:
                    return
                self._begin_match()
            if self._match is None:
                if self._monotonic() >= deadline:
                    return
            elif not self._offer_until(deadline):
                return

    def _offer_until(self, deadline: float | None) -> bool:
        """Match the event against the remaining groups; False if the deadline comes first."""
        match = self._match
        assert match is not None, "offers follow the beginning of a match"
        for number, group in enumerate(match, 1):
            self._offer(match, group)
            if deadline is not None and not number % self._writes_per_look and self._monotonic() >= deadline:
                return False
        self._match = None
        self.deliveries_by_type[match.event.type] += match.deliveries
        return deadline is None or self._monotonic() < deadline

    def _offer(self, match: Match[Group[Connection]], group: Group[Connection]) -> None:
        try:
            if group.mirror is None:
                framed = match.sift(group.subscription.filters)
                if framed is None:
                    return
                self._held_bytes += group.append(framed)
            elif not self._offer_to_mirror(match, group, group.mirror):
                return
        except Exception as error:  # noqa: BLE001  # an event that can't be judged must not stop those behind it
            self._on_failure(error)
            return
        members = len(group.members)
        self.deliveries += members
        match.deliveries += members
        if not group.is_dirty:
            group.is_dirty = True
            self._dirty.append(group)

    def _offer_to_mirror(self, match: Match[Group[Connection]], group: Group[Connection], mirror: Mirror) -> bool:
        """Give a group an event and what it changes in the group's state; False: nothing."""
        frames = mirror.frames(match)
        for framed in frames:
            self._held_bytes += group.append(framed)
        return bool(frames)

    def _match_pending(self, group: Group[Connection]) -> None:
        """Match the current event against this group now: its members are about to change, or to be written to."""
        if self._match is not None and self._match.take(group):
            self._offer(self._match, group)

    # Writing.

    @property
    def is_idle(self) -> bool:
        """Whether everything delivered has been written, or waits only for its client."""
        return not (self._dirty or self._writer is not None or self._match or self._waiting)

    def _schedule(self) -> None:
        if not self._is_scheduled and not (self.is_idle and not self.state.has_pending):
            self._is_scheduled = True
            self.call_soon(self._run_slice)

    def _run_slice(self) -> None:
        self._is_scheduled = False
        if self._match is not None or self._waiting:
            self._match_until(self._monotonic() + self._slice_seconds)
        self._write_until(self._monotonic() + self._slice_seconds)
        if self.state.has_pending and self.is_idle:
            self.state.fold_until(self._monotonic() + self._slice_seconds, self._monotonic)
        self._schedule()

    def _write_until(self, deadline: float) -> None:
        while True:
            if self._writer is None:
                if not self._dirty:
                    return
                self._writer = self._write_group(self._dirty.popleft())
            for _ in self._writer:
                if self._monotonic() >= deadline:
                    return
            self._writer = None
            if self._monotonic() >= deadline:
                return

    def _write_group(self, group: Group[Connection]) -> Iterator[None]:
        """Write the group's oldest frames to each member, yielding now and then."""
        released_bytes = yield from self._group_writer.write(group)
        self._held_bytes -= released_bytes  # in a statement of its own: what others append meanwhile counts
        if group.frames:
            self._dirty.append(group)
        else:
            group.is_dirty = False
