"""Who was connected when, with which subscription, and how it ended: the data behind ``explain``.

Nothing here is written per event. What a client was sent follows from its subscriptions and the events' ids; exceptions
(it lagged, history was being sent, its connection ended first) are noted when they happen. Kept in memory only: a
restarted service knows nothing of the time before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from swim_server.protocol.event_id import EventId
from swim_server.protocol.positions import MAX_MESSAGE_BYTES
from swim_server.streaming.subscription import NOTHING, Subscription

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.keys.records import KeyRecord
    from swim_server.streaming.backlog import Backlog

MAX_CHANGES = 60_000
"""Maximum number of connects and subscription changes, of all connections together; the oldest are dropped."""
MAX_WEIGHT = 200_000
"""Maximum number of channels and filter values in them, in total."""
MAX_OF_ONE = 50
"""Maximum number of changes per connection, so that one that keeps subscribing does not displace others."""
MAX_LAGS = 8
"""Per connection."""

NO_STARTS: Mapping[str, EventId] = MappingProxyType({})
"""No history was requested."""


class Change:
    """A subscription that a connection had from a certain event on."""

    __slots__ = (
        "after",
        "at_ms",
        "catch_ups",
        "is_catching_up",
        "is_loose",
        "max_message_bytes",
        "session",
        "starts",
        "subscription",
        "weight",
    )

    def __init__(
        self,
        session: Session,
        after: EventId,
        at_ms: int,
        subscription: Subscription,
        starts: Mapping[str, EventId],
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self.session = session
        self.after = after
        """It applies to events after this one."""
        self.at_ms = at_ms
        self.subscription = subscription
        self.starts = starts
        """The history requested: by event type, the id after which its events are sent too."""
        self.max_message_bytes = max_message_bytes
        """The longest message that the client accepted."""
        self.catch_ups = session.catch_ups
        """How many catch-ups it had begun."""
        self.is_catching_up = False
        """It was being sent history with this subscription, in the catch-up begun last."""
        self.weight = 1 + len(starts) + subscription.weight
        """What it costs to remember; 0: it is forgotten."""
        self.is_loose = False
        """Older than what is remembered, kept only because it still applies."""


class SlowPeriod:
    """A range of events that waited because the client read too slowly."""

    __slots__ = ("catch_ups", "conflated", "first", "last")

    def __init__(self, backlog: Backlog) -> None:
        assert backlog.first_id is not None and backlog.last_id is not None, "something waited"
        self.first: EventId = backlog.first_id
        self.last: EventId = backlog.last_id
        self.catch_ups = backlog.catch_ups
        """How many catch-ups the client had begun: what waits belongs to the last one."""
        self.conflated: Mapping[EventId, int] = backlog.conflated
        """Events of which positions were left out in favour of newer ones, with the number of positions."""


class End:
    """How a connection ended."""

    __slots__ = ("at_ms", "code", "history_until", "reason", "unsent_from", "until")

    def __init__(self, at_ms: int, until: EventId, unsent_from: EventId | None, history_until: EventId | None) -> None:
        self.at_ms = at_ms
        self.until = until
        """The last event of the live stream meant for it."""
        self.unsent_from = unsent_from
        """From this event on nothing was written to it; None: everything was."""
        self.history_until = history_until
        """If it ended while history was being sent: the id that it had reached."""
        self.code = 1006
        """The close code; 1006 if the connection just broke (RFC 6455, section 7.4.1)."""
        self.reason = ""


class Session:
    """One connection, from beginning to end."""

    __slots__ = (
        "catch_ups", "changes", "connected_at_ms", "end", "id", "is_cut", "key_id", "lags", "remote",
        "tier",
    )  # fmt: skip

    def __init__(self, id: str, *, tier: str, key: KeyRecord | None, remote: str, connected_at_ms: int) -> None:
        self.id = id
        self.tier = tier
        self.key_id = key.id if key is not None else None
        self.remote = remote
        self.connected_at_ms = connected_at_ms
        self.changes: list[Change] = []
        """In the order in which they happened; the first is the connect, unless ``is_cut``."""
        self.is_cut = False
        """Whether its beginning is forgotten."""
        self.catch_ups = 0
        """How many catch-ups it has begun."""
        self.lags: tuple[SlowPeriod, ...] = ()
        self.end: End | None = None

    def lagged(self, backlog: Backlog) -> None:
        """Note what waited, when the client keeps up again or is gone."""
        if backlog.first_id is not None:
            self.lags = (*self.lags, SlowPeriod(backlog))[-MAX_LAGS:]


class SessionLog:
    """Sessions by connection id: the open ones, and as many past ones as the limits allow. Belongs to the loop."""

    def __init__(self, clock: Clock, *, max_changes: int = MAX_CHANGES, max_weight: int = MAX_WEIGHT) -> None:
        self._now_ms = clock.now_ms
        self._max_changes = max_changes
        self._max_weight = max_weight
        self.since_ms = clock.now_ms()
        """Nothing is known about the time before this."""
        self._sessions: dict[str, Session] = {}
        self._ledger: deque[Change] = deque()
        """Every remembered change, oldest first, and some that are already forgotten."""
        self._count = 0
        self._weight = 0

    def opened(
        self, id: str, *, tier: str, key: KeyRecord | None, remote: str, connected_at_ms: int, after: EventId
    ) -> Session:
        """Remember that a client was admitted when the live stream was at ``after``."""
        session = self._sessions[id] = Session(id, tier=tier, key=key, remote=remote, connected_at_ms=connected_at_ms)
        self._note(Change(session, after, connected_at_ms, NOTHING, NO_STARTS))
        return session

    def changed(
        self,
        session: Session,
        after: EventId,
        subscription: Subscription,
        starts: Mapping[str, EventId] = NO_STARTS,
        *,
        is_catching_up: bool = False,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        """Note another subscription from ``after`` on; with ``starts`` history is sent first.

        ``is_catching_up``: history was being sent already, and this belongs to the same catch-up.
        """
        last = session.changes[-1]
        is_same = last.subscription == subscription and last.max_message_bytes == max_message_bytes
        if is_same and not (starts or is_catching_up or last.is_catching_up):
            return
        change = Change(session, after, self._now_ms(), subscription, starts, max_message_bytes)
        change.is_catching_up = is_catching_up or bool(starts)
        if starts and not is_catching_up:
            session.catch_ups += 1
            change.catch_ups = session.catch_ups
        self._note(change)

    def removed(
        self, session: Session, until: EventId, *, unsent_from: EventId | None, history_until: EventId | None
    ) -> None:
        """Note that the hub has forgotten a connection. ``closed`` adds the reason."""
        session.end = End(self._now_ms(), until, unsent_from, history_until)
        last = session.changes[-1]
        if last.is_loose:  # from now on it is dropped in its turn, like all others
            last.is_loose = False
            self._enter(last)

    def closed(self, session: Session, code: int, reason: str) -> None:
        """Note that a connection has ended, with this code."""
        if session.end is not None:
            session.end.code, session.end.reason = code, reason

    def find(self, connection_id: str) -> Session | None:
        """Return the session of one connection, if it is remembered."""
        return self._sessions.get(connection_id)

    def of_key(self, key_id: int) -> list[Session]:
        """Return all remembered sessions of a key, latest first."""
        return [session for session in reversed(self._sessions.values()) if session.key_id == key_id]

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions.values())

    def __len__(self) -> int:
        return len(self._sessions)

    def _note(self, change: Change) -> None:
        session = change.session
        if session.changes and session.changes[0].is_loose:
            del session.changes[0]
        elif len(session.changes) >= MAX_OF_ONE:
            self._let_go(session.changes.pop(0))
            session.is_cut = True
        session.changes.append(change)
        self._enter(change)

    def _enter(self, change: Change) -> None:
        self._ledger.append(change)
        self._count += 1
        self._weight += change.weight
        while self._count > self._max_changes or self._weight > self._max_weight:
            self._forget(self._ledger.popleft())
        if len(self._ledger) > 2 * self._max_changes:
            self._ledger = deque(each for each in self._ledger if each.weight)

    def _let_go(self, change: Change) -> None:
        self._count -= 1
        self._weight -= change.weight
        change.weight, change.subscription = 0, NOTHING

    def _forget(self, change: Change) -> None:
        if not change.weight:
            return
        session = change.session
        session.is_cut = True
        if session.end is None and session.changes[-1] is change:
            change.is_loose = True
            self._count -= 1
            self._weight -= change.weight
            return
        self._let_go(change)
        session.changes.remove(change)
        if not session.changes:
            self._sessions.pop(session.id, None)
