"""A group: all connections that are sent the same bytes, and the frames that are to be written to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from swim_server.protocol.positions import MAX_MESSAGE_BYTES
from swim_server.streaming.framed_event import PLAIN, FramedEvent

if TYPE_CHECKING:
    from swim_server.streaming.mirror.mirror import Mirror
    from swim_server.streaming.subscription import Subscription


class Member(Protocol):
    """What a group needs of its members."""

    group: Group[Any] | None
    """The group that it belongs to."""
    position: int
    """Number of the first of the group's frames that it was not given."""

    def deliver(self, frames: Sequence[bytes], events: Sequence[FramedEvent]) -> None:
        """Take the group's next frames, with the events in them."""


M = TypeVar("M", bound=Member)


class Group(Generic[M]):
    """Connections with the same subscription, compression and longest message.

    Holds each frame until every member has it. Frames are numbered: ``base`` is the number of the first one held,
    ``end`` the number of the next one. A member's ``position`` is the number of the first frame that it has not been
    given.
    """

    __slots__ = (
        "_frame_name",
        "_match_pending",
        "_snapshot",
        "base",
        "events",
        "frames",
        "is_dirty",
        "max_message_bytes",
        "members",
        "mirror",
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

    @property
    def end(self) -> int:
        return self.base + len(self.frames)

    @property
    def members_snapshot(self) -> tuple[M, ...]:
        """The members as a tuple, which stays unchanged while members join and leave."""
        if self._snapshot is None:
            self._snapshot = tuple(self.members)
        return self._snapshot

    def join(self, member: M) -> None:
        """Add a member, beginning with the next event."""
        self.match_pending()
        self.members[member] = None
        self._snapshot = None
        member.group = self
        member.position = self.end

    def leave(self, member: M) -> None:
        """Remove a member; it gets nothing more."""
        del self.members[member]
        self._snapshot = None
        member.group = None

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
        """Give one member everything it has not been given: before an answer to it, or before it leaves."""
        self.match_pending()
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
