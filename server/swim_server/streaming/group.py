"""A group: all connections that are sent the same bytes, and the frames that are to be written to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from swim_server.protocol.positions import MAX_MESSAGE_BYTES
from swim_server.streaming.framed_event import PLAIN, FramedEvent
from swim_server.streaming.rows import ROW_MEMBERS, Row, RowMember

if TYPE_CHECKING:
    from swim_server.streaming.mirror.mirror import Mirror
    from swim_server.streaming.subscription import Subscription


ROWS_FROM_MEMBERS = 8
"""A smaller group has no rows: there is little to gain."""


class Member(RowMember, Protocol):
    """What a group needs of its members."""

    group: Group[Any] | None
    """The group that it belongs to."""

    def deliver(self, frames: Sequence[bytes], events: Sequence[FramedEvent]) -> None:
        """Take the group's next frames, with the events in them."""


M = TypeVar("M", bound=Member)


class Group(Generic[M]):
    """Connections with the same subscription, compression and longest message.

    Holds each frame until every member has it. Frames are numbered: ``base`` is the number of the first one held,
    ``end`` the number of the next one. A member's position is the number of the first frame that it has not been given.

    Members that keep up stand in rows; the others are single.
    """

    __slots__ = (
        "_frame_name",
        "_match_pending",
        "_singles",
        "_snapshot",
        "base",
        "events",
        "frames",
        "is_dirty",
        "max_message_bytes",
        "members",
        "mirror",
        "rows",
        "subscription",
        "window_bits",
    )

    def __init__(
        self,
        subscription: Subscription,
        window_bits: int = PLAIN,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        *,
        match_pending: Callable[[Group[M]], None] | None = None,
        mirror: Mirror | None = None,
    ) -> None:
        self.subscription = subscription
        self.window_bits = window_bits
        self.max_message_bytes = max_message_bytes
        """The longest message that its members accept."""
        self.members: dict[M, None] = {}
        self.rows: list[Row[M]] = []
        """Rows of members that are written to together; outside of a write, all have been given the same frames."""
        self.frames: list[bytes] = []
        self.events: list[FramedEvent] = []
        self.base = 0
        self.is_dirty = False
        """Whether it is in the hub's queue of groups to write."""
        self.mirror = mirror
        """The state messages for its members; None: they did not ask for state."""
        self._frame_name = (window_bits, max_message_bytes)
        self._match_pending = match_pending
        """Makes sure that the group has every event that counts as delivered."""
        self._snapshot: tuple[M, ...] | None = None
        self._singles = self.members
        """The members outside of rows; while there are no rows, that is all of them."""

    @property
    def end(self) -> int:
        return self.base + len(self.frames)

    @property
    def singles_snapshot(self) -> tuple[M, ...]:
        """The members outside of rows as a tuple, which stays unchanged while members join and leave."""
        if self._snapshot is None:
            self._snapshot = tuple(self._singles)
        return self._snapshot

    def join(self, member: M) -> None:
        """Add a member, beginning with the next event."""
        self.match_pending()
        self.members[member] = self._singles[member] = None
        self._snapshot = None
        member.group = self
        member.position = self.end

    def leave(self, member: M) -> None:
        """Remove a member; it gets nothing more."""
        self.step_out(member)
        del self.members[member]
        self._singles.pop(member, None)
        self._snapshot = None
        member.group = None

    def position_of(self, member: M) -> int:
        """Return the number of the first frame that a member has not been given."""
        return member.position if member.row is None else member.row.position

    def step_out(self, member: M) -> None:
        """Let a member be written to by others: it leaves its row. Idempotent."""
        if member.row is not None:
            member.row.remove(member)
            self._singles[member] = None
            self._snapshot = None

    def settle(self, member: M, descriptor: int, position: int) -> None:
        """Put a single member into a row, whose members all stand at this position, as it does."""
        if self._singles is self.members:
            self._singles = dict(self.members)
        if not self.rows or len(self.rows[-1].members) >= ROW_MEMBERS:
            self.rows.append(Row(position))
        del self._singles[member]
        self._snapshot = None
        self.rows[-1].add(member, descriptor)

    def close_ranks(self) -> None:
        """Form new rows where many members have left them. Call while all rows stand at the same position."""
        count = len(self.members) - len(self._singles)
        if len(self.rows) <= 2 * (1 + count // ROW_MEMBERS):
            return
        standing = [pair for row in self.rows for pair in zip(row.members, row.descriptors, strict=True)]
        position = self.rows[0].position
        self.rows = []
        for number, (member, descriptor) in enumerate(standing):
            if not number % ROW_MEMBERS:
                self.rows.append(Row(position))
            self.rows[-1].add(member, descriptor)

    def dissolve_rows(self) -> None:
        """Let all members be single."""
        for row in self.rows:
            for member in row.members:
                member.row, member.position = None, row.position
        self.rows, self._singles, self._snapshot = [], self.members, None

    def append(self, framed: FramedEvent) -> int:
        """Append an event's frame, to be written when it is the group's turn. Returns its size in bytes."""
        frame = framed.frames.get(self._frame_name) or framed.frame(self.window_bits, self.max_message_bytes)
        self.frames.append(frame)
        self.events.append(framed)
        return len(frame)

    def match_pending(self) -> None:
        """Append every event that counts as delivered."""
        if self._match_pending is not None:
            self._match_pending(self)

    def flush_to(self, member: M) -> None:
        """Give one member what it has not been given, out of its row: before an answer to it, or before it leaves."""
        self.match_pending()
        self.step_out(member)
        start = member.position - self.base
        if start < len(self.frames):
            member.position = self.end
            member.deliver(self.frames[start:], self.events[start:])

    def release(self, end: int) -> int:
        """Drop the frames before number ``end``, which every member has. Returns their size in bytes."""
        count = end - self.base
        released_bytes = len(self.frames[0]) if count == 1 else sum(map(len, self.frames[:count]))
        del self.frames[:count], self.events[:count]
        self.base = end
        return released_bytes
