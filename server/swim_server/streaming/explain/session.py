"""What is remembered of one connection, from beginning to end: its subscriptions, lags and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from swim_server.protocol.event_id import EventId
from swim_server.protocol.positions import MAX_MESSAGE_BYTES
from swim_server.streaming.subscription import Subscription

if TYPE_CHECKING:
    from swim_server.streaming.backlog import Backlog

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

    def __init__(self, first: EventId, last: EventId, catch_ups: int, conflated: Mapping[EventId, int]) -> None:
        self.first = first
        self.last = last
        self.catch_ups = catch_ups
        """How many catch-ups the client had begun: what waits belongs to the last one."""
        self.conflated = conflated
        """Events of which positions were left out in favour of newer ones, with the number of positions."""

    @classmethod
    def of(cls, backlog: Backlog) -> SlowPeriod:
        """Return what a backlog that is not empty has."""
        assert backlog.first_id is not None and backlog.last_id is not None, "something waited"
        return cls(backlog.first_id, backlog.last_id, backlog.catch_ups, backlog.conflated)


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

    def __init__(self, id: str, *, tier: str, key_id: int | None, remote: str, connected_at_ms: int) -> None:
        self.id = id
        self.tier = tier
        self.key_id = key_id
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
            self.lags = (*self.lags, SlowPeriod.of(backlog))[-MAX_LAGS:]
