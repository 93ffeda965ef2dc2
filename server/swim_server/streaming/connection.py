"""The outgoing side of one client: writes, and what waits when the client does not keep up."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from swim_server.protocol.codes import CloseCode
from swim_server.protocol.positions import MAX_MESSAGE_BYTES
from swim_server.streaming.backlog import Backlog
from swim_server.streaming.framed_event import PLAIN, FramedEvent, text_frame
from swim_server.streaming.subscription import NOTHING, Subscription

if TYPE_CHECKING:
    from swim_server.concurrency.tasks import Tasks
    from swim_server.protocol.event_id import EventId
    from swim_server.streaming.client import Client, ClientTransport
    from swim_server.streaming.explain.session import Session
    from swim_server.streaming.group import Group
    from swim_server.streaming.mirror.state_parts import PartsQueue
    from swim_server.streaming.rows import Row
    from swim_server.streaming.waiting import Waiting

LOCAL_TIER = "local"
"""The tier shown for connections of the control socket."""
WRITE_BYTES = 64 * 1024
"""Backlogs are written in pieces of this size while the transport accepts data."""


class CatchUp(Protocol):
    """Stored events on their way to a connection, as the code that owns the connection uses them."""

    state_as_of: EventId | None
    """Events up to this id are part of a state that the client was sent; None: it was sent none."""

    @property
    def position(self) -> EventId:
        """The client has been sent what it wants of history up to this id."""

    def wants(self, starts: Mapping[str, EventId], *, has_gap: bool = False) -> None:
        """Add event types, each with the id after which its stored events are wanted."""

    def forgets(self, remaining: Collection[str]) -> None:
        """Keep only these event types."""

    def start(self, tasks: Tasks) -> None:
        """Begin; idempotent."""

    def cancel(self) -> None:
        """End without joining the group."""

    async def ended(self) -> None:
        """Wait until it has joined, or was cancelled."""


class Connection:
    """One admitted client. Belongs to at most one group; its frames are in the order of the events' ids.

    While the transport accepts data, frames are written at once. While it does not (``pause``), they wait in a bounded
    backlog, positions conflated; beyond the bound the client is closed with 4008 and can resume.
    """

    __slots__ = (
        "_drain_waiters",
        "_is_blocked",
        "_parts",
        "_sent_before",
        "backlog",
        "catch_up",
        "connected_at_ms",
        "group",
        "id",
        "is_gone",
        "joined_at",
        "key",
        "limit_bytes",
        "max_message_bytes",
        "position",
        "remote",
        "resumed_after",
        "row",
        "session",
        "subscription",
        "tier",
        "transport",
        "user_agent",
        "waiting",
        "wants_notices",
        "wants_state",
        "window_bits",
    )  # fmt: skip

    def __init__(
        self,
        id: str,
        transport: ClientTransport,
        client: Client,
        *,
        limit_bytes: int,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self.id = id
        self.transport = transport
        self.tier = client.tier
        self.key = client.key
        """None on the control socket, whose access control is the file system."""
        self.remote = client.remote
        self.user_agent = client.user_agent
        self.connected_at_ms = client.connected_at_ms
        self.limit_bytes = limit_bytes
        self.window_bits = client.window_bits
        """The window for which events to this client may be compressed, or ``PLAIN``."""
        self.max_message_bytes = max_message_bytes
        """The longest message that the client accepts; batches of positions are cut to it."""
        self.subscription: Subscription = NOTHING
        self.group: Group[Connection] | None = None
        self.position = 0
        """Number of the first of the group's frames that it was not given. Set by the group and the hub.

        In a row, the row's position counts instead: ``Group.position_of``.
        """
        self.row: Row[Connection] | None = None
        """Set while the group writes to it together with others, which ``Group.step_out`` ends. Set by the group."""
        self.joined_at = 0
        self.catch_up: CatchUp | None = None
        """Set while stored events are being sent, before it joins its group."""
        self.resumed_after: EventId | None = None
        """Where the oldest history that it was sent began; None: it was sent none. Set by the conversation."""
        self.backlog: Backlog | None = None
        """None while the client keeps up."""
        self.waiting: Waiting | None = None
        """The client's messages that wait during a look-up in history; None: there is none. Set by the conversation."""
        self.wants_notices = False
        """The client gets an error message before a temporary close: it resumes, or has asked for that."""
        self.wants_state = False
        """The client asked for state, and is notified of entries that enter or leave its filters."""
        self.session: Session | None = None
        """Records what it was sent and what not, for ``explain``. Set by the hub."""
        self.is_gone = False
        """Nothing is written any more: the transport is closed or closing."""
        self._is_blocked = False
        """The transport accepts no data at the moment."""
        self._sent_before = 0
        """Messages handed on, excluding those of its current group."""
        self._drain_waiters: list[asyncio.Future[None]] | None = None
        self._parts: PartsQueue | None = None
        """A state being sent; what follows it waits in the backlog."""

    @property
    def is_lagging(self) -> bool:
        """Whether something waits here because the client doesn't keep up."""
        return self.backlog is not None

    @property
    def unsent_from(self) -> EventId | None:
        """The first event for this client that was not given to the transport; None: all were."""
        if self.backlog is not None and (oldest := self.backlog.oldest_id) is not None:
            return oldest
        group = self.group
        if group is None or (position := group.position_of(self)) >= group.end:
            return None
        return group.events[position - group.base].event.id

    @property
    def messages_sent(self) -> int:
        """Messages written to this client: events, answers and heartbeats."""
        group = self.group
        handed = self._sent_before + (group.position_of(self) - self.joined_at if group is not None else 0)
        return handed - (len(self.backlog) if self.backlog is not None else 0)

    @property
    def buffered_bytes(self) -> int:
        """Bytes that wait for this client, in the transport and in the backlog."""
        return self.transport.buffered_bytes() + (self.backlog.size_bytes if self.backlog is not None else 0)

    def join(self, group: Group[Connection]) -> None:
        """Become a member, beginning with the group's next event."""
        group.join(self)
        self.joined_at = self.position

    def leave(self) -> None:
        """Leave the group after being given everything up to now."""
        if self.group is not None:
            self.group.flush_to(self)
        self._part()

    def drop(self) -> None:
        """Leave at once and for good: nothing is written any more. Idempotent."""
        self._part()
        self._sent_before = self.messages_sent
        self.is_gone = True
        self._end_backlog()
        self._wake()

    def _part(self) -> None:
        if self.group is not None:
            self._sent_before += self.group.position_of(self) - self.joined_at
            self.group.leave(self)

    def framed(self, payload: bytes) -> bytes:
        """Frame a message for this client alone."""
        return text_frame(payload)

    def answer(self, payload: bytes) -> None:
        """Send a message for this client alone, after every event that precedes it."""
        self.send_frame(self.framed(payload))

    def send_frame(self, frame: bytes) -> None:
        """Send one ready message (an answer, a heartbeat) after every event that precedes it."""
        if self.group is not None:
            self.group.flush_to(self)
        if self.is_gone:
            return
        self._sent_before += 1
        if self.backlog is None:
            self.transport.write(frame)
        else:
            self._sent_before -= self.backlog.append(frame)
            self._check_limit()

    def send_events(self, events: Sequence[FramedEvent]) -> None:
        """Send stored events in one write, uncompressed, as no other client gets the same bytes at the moment."""
        if not self.is_gone:
            self._sent_before += len(events)
            self.deliver([framed.frame(self._own_framing, self.max_message_bytes) for framed in events], events)

    def deliver(self, frames: Sequence[bytes], events: Sequence[FramedEvent]) -> None:
        """Send events' frames in one write, or queue them. The caller has counted them."""
        backlog = self.backlog
        if backlog is None:
            self.transport.write(b"".join(frames) if len(frames) > 1 else frames[0])
            return
        for frame, framed in zip(frames, events, strict=True):
            self._sent_before -= backlog.append(frame, framed)
        self._check_limit()

    def send_state(self, parts: PartsQueue) -> None:
        """Send a state that clients share, at the client's own pace. It must not be lagging.

        Whatever is sent from now on follows it.
        """
        if self.group is not None:
            self.group.flush_to(self)
        if self.is_gone:
            return
        assert not self.backlog, "what waits is older than the state"
        self._parts = parts
        self.backlog = self.backlog or self._new_backlog()
        self._go_on()

    def _check_limit(self) -> None:
        if self.backlog is not None and self.backlog.size_bytes > self.limit_bytes:
            self.transport.close(CloseCode.SLOW_CONSUMER, "could not keep up; reconnect and resume")

    def pause(self) -> None:
        """Queue frames here, where they can be conflated: the transport's buffer is full."""
        self._is_blocked = True
        if self.backlog is None and not self.is_gone:
            self.backlog = self._new_backlog()

    def _new_backlog(self) -> Backlog:
        catch_ups = self.session.catch_ups if self.session is not None else 0
        return Backlog(
            catch_ups, self._own_framing, max_message_bytes=self.max_message_bytes, is_folded=self.wants_state
        )

    @property
    def _own_framing(self) -> int:
        """The framing of bytes that no other client gets: uncompressed."""
        return min(self.window_bits, PLAIN)

    def resume(self) -> None:
        """Write what waits, as much as the transport accepts."""
        self._is_blocked = False
        self._go_on()

    def _go_on(self) -> None:
        while self._parts is not None and not self._is_blocked:
            parts = self._parts
            frame, is_turn_over = parts.take()
            if not parts:
                self._parts = None
            self._sent_before += 1
            self.transport.write(frame)
            if is_turn_over:
                parts.call_soon(self._go_on)
                return
        backlog = self.backlog
        if backlog is None or self._parts is not None:
            return
        while backlog and not self._is_blocked:  # a write may block it again
            self.transport.write(backlog.take(WRITE_BYTES))
        if not self._is_blocked:
            self._end_backlog()
            self._wake()

    def _end_backlog(self) -> None:
        if self.session is not None and self.backlog is not None:
            self.session.lagged(self.backlog)
        self.backlog = None
        self._parts = None

    async def drained(self) -> None:
        """Wait until the client keeps up or is gone."""
        if self.backlog is not None:
            waiter = asyncio.get_running_loop().create_future()
            self._drain_waiters = [*(self._drain_waiters or ()), waiter]
            await waiter

    def _wake(self) -> None:
        waiters, self._drain_waiters = self._drain_waiters or (), None
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
