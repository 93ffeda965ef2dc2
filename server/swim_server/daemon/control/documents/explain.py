"""``explain``: why a consumer got an event or didn't, and what a subscription would have received."""

from __future__ import annotations

from typing import Any

import msgspec


class ClauseDocument(msgspec.Struct, kw_only=True):
    """The result of one filter clause for one event. Its fields are those of ``protocol.explanation.Clause``."""

    kind: str
    wanted: Any = None
    found: Any = None
    passes: bool
    applies: bool = True
    remaining: int | None = None
    matched: list[Any] = []


class ConsumerDocument(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The answer for one connection or subscription. Its fields are those of ``streaming.explain.Explanation``."""

    outcome: str
    why: str
    connection: str | None = None
    connected_at: str | None = None
    ended_at: str | None = None
    close_code: int | None = None
    close_reason: str | None = None
    channels: list[str] | None = None
    filters: dict[str, Any] | None = None
    clauses: list[ClauseDocument] | None = None
    sent_at: str | None = None
    positions: int | None = None
    positions_sent: int | None = None


class StoredEvent(msgspec.Struct, kw_only=True):
    """The event in question."""

    id: str
    type: str
    stored_at: str


class KeyDocument(msgspec.Struct, kw_only=True):
    """The key in question."""

    id: int
    hint: str
    tier: str
    owner: str
    state: str
    connected_now: int = 0


class EventExplained(msgspec.Struct, kw_only=True):
    """The answer about a published event."""

    event: StoredEvent
    outcome: str
    why: str
    consumers: list[ConsumerDocument]
    connections_remembered: int = 0
    key: KeyDocument | None = None
    key_problem: str | None = None
    remembered_since: str = ""


class ClauseCount(msgspec.Struct, kw_only=True):
    """What one clause stopped. Its fields are those of ``streaming.explain.tally.ClauseTally``."""

    kind: str
    wanted: Any = None
    stopped: int = 0
    alone: int = 0


class SubscriptionCounts(msgspec.Struct, kw_only=True):
    """What one subscription would have received."""

    channels: list[str]
    filters: dict[str, Any] = {}
    looked_at: int = 0
    passed: int = 0
    not_subscribed: dict[str, int] = {}
    clauses: list[ClauseCount] = []
    positions: int = 0
    positions_passed: int = 0
    last_ids: list[str] = []
    connections: list[str] = []


class ChannelExplained(msgspec.Struct, kw_only=True):
    """The answer about the events of a channel in a range of history."""

    channel: str
    from_: str = msgspec.field(name="from")
    to: str
    has_gap: bool = False
    is_complete: bool = True
    subscriptions: list[SubscriptionCounts]
    subscriptions_left_out: int = 0
    key: KeyDocument | None = None
    key_problem: str | None = None
    remembered_since: str = ""
