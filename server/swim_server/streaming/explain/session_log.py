"""Who was connected when, with which subscription, and how it ended: the data behind ``explain``.

Nothing here is written per event. What a client was sent follows from its subscriptions and the events' ids; exceptions
(it lagged, history was being sent, its connection ended first) are noted when they happen. Kept in memory only: a
restarted service knows nothing of the time before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING

from swim_server.protocol.event_id import EventId
from swim_server.protocol.positions import MAX_MESSAGE_BYTES
from swim_server.streaming.explain.past_sessions import PastSessions
from swim_server.streaming.explain.session import NO_STARTS, Change, End, Session
from swim_server.streaming.subscription import NOTHING, Subscription

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.keys.records import KeyRecord

MAX_CHANGES = 60_000
"""Maximum number of connects and subscription changes, of all connections together; the oldest are dropped."""
MAX_WEIGHT = 200_000
"""Maximum number of channels and filter values in them, in total."""
MAX_OF_ONE = 50
"""Maximum number of changes per connection, so that one that keeps subscribing does not displace others."""
SPARE_CHANGES = 1000
"""How many forgotten changes may stay in the ledger beside as many as are remembered."""


class SessionLog:
    """Sessions by connection id: the open ones, and as many past ones as the limits allow. Belongs to the loop."""

    def __init__(
        self,
        clock: Clock,
        *,
        max_changes: int = MAX_CHANGES,
        max_weight: int = MAX_WEIGHT,
        past: PastSessions | None = None,
    ) -> None:
        self._now_ms = clock.now_ms
        self._max_changes = max_changes
        self._max_weight = max_weight
        self.since_ms = clock.now_ms()
        """Nothing is known about the time before this."""
        self._sessions: dict[str, Session] = {}
        """Those that are open, or not archived yet."""
        self._past = past if past is not None else PastSessions()
        self._ledger: deque[Change] = deque()
        """Every remembered change, oldest first, and some that are already forgotten."""
        self._count = 0
        self._weight = 0

    def opened(
        self, id: str, *, tier: str, key: KeyRecord | None, remote: str, connected_at_ms: int, after: EventId
    ) -> Session:
        """Remember that a client was admitted when the live stream was at ``after``."""
        key_id = key.id if key is not None else None
        session = Session(id, tier=tier, key_id=key_id, remote=remote, connected_at_ms=connected_at_ms)
        self._sessions[id] = session
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

    def archive(self, session: Session) -> None:
        """Keep a session that has ended, and of which nothing more will be noted, in less memory."""
        if session.end is None or self._sessions.pop(session.id, None) is None:
            return
        self._past.add(session, session.end)
        for change in session.changes:
            self._let_go(change)
        session.changes = []  # which refer to it: the garbage collector examines old objects only once a day
        self._tidy()

    def find(self, connection_id: str) -> Session | None:
        """Return the session of one connection, if it is remembered."""
        return self._sessions.get(connection_id) or self._past.find(connection_id)

    def of_key(self, key_id: int) -> Iterator[Session]:
        """Return all sessions of a key that are remembered now, latest first, and the archived ones last.

        There may be twenty thousand, and each takes a moment to unpack: let the loop run in between.
        """
        present = [session for session in reversed(self._sessions.values()) if session.key_id == key_id]
        return chain(present, self._past.of_key(key_id))

    def current(self, session: Session) -> Session:
        """Return a session as it is remembered now: one that has been archived since it was found is empty."""
        if session.changes:
            return session
        return self.find(session.id) or session

    def __iter__(self) -> Iterator[Session]:
        return chain(self._past, self._sessions.values())

    def __len__(self) -> int:
        return len(self._past) + len(self._sessions)

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
        self._tidy()

    def _tidy(self) -> None:
        """Drop what is forgotten from the ledger, when it is more than half of it."""
        if len(self._ledger) > 2 * self._count + SPARE_CHANGES:
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
