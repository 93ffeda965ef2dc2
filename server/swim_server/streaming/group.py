"""A group: all connections with the same subscription, and the frames on their way to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swim_server.streaming.frames import text_frame

if TYPE_CHECKING:
    from swim_server.protocol.events import Event
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.subscription import Subscription


class Group:
    """Holds each frame once, until every member has been written to.

    Frames are numbered: ``base`` is the number of the first one held, ``end`` the number the next will get. A
    member's ``position`` is the number of the first frame that it has not been given.
    """

    __slots__ = ("_roll", "base", "events", "frames", "is_dirty", "members", "subscription")

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.members: dict[Connection, None] = {}
        self.frames: list[bytes] = []
        self.events: list[Event] = []
        self.base = 0
        self.is_dirty = False
        """Stands in the hub's queue of groups to write."""
        self._roll: tuple[Connection, ...] | None = None

    @property
    def end(self) -> int:
        return self.base + len(self.frames)

    @property
    def roll(self) -> tuple[Connection, ...]:
        """The members as a tuple that stays as it is while members come and go."""
        if self._roll is None:
            self._roll = tuple(self.members)
        return self._roll

    def join(self, connection: Connection) -> None:
        """Take a member in, from the next frame on."""
        self.members[connection] = None
        self._roll = None
        connection.group = self
        connection.position = self.end

    def leave(self, connection: Connection) -> None:
        """Let a member go; what it hasn't been given by now it won't get."""
        del self.members[connection]
        self._roll = None
        connection.group = None

    def append(self, event: Event) -> None:
        """Add an event's frame, to be written when the hub comes to it."""
        self.frames.append(text_frame(event.wire))
        self.events.append(event)

    def bring_up(self, connection: Connection) -> None:
        """Give one member all frames that it has not been given: before an answer of its own, or before it leaves."""
        missing = self.end - connection.position
        if missing:
            start = len(self.frames) - missing
            connection.deliver(self.frames[start:], self.events[start:])
            connection.position = self.end

    def release(self, end: int) -> None:
        """Forget the frames before number ``end``: every member has them."""
        count = end - self.base
        del self.frames[:count], self.events[:count]
        self.base = end
