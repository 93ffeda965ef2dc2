"""Builds the answer to ``explain``: why a consumer got an event or didn't; what a subscription would have received."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.brokers.broker import BrokerUnavailable, find_event
from swim_server.concurrency.yielding import yielding
from swim_server.daemon.control.documents.explain import (
    ChannelExplained,
    ConsumerDocument,
    EventExplained,
    KeyDocument,
    StoredEvent,
    SubscriptionCounts,
)
from swim_server.gateway.rpc import INVALID_PARAMS, UNAVAILABLE, RpcError
from swim_server.keys.key_history import problem_at
from swim_server.keys.permissions import state_of
from swim_server.protocol.codes import BadMessage
from swim_server.protocol.event_id import MAX_SEQUENCE, EventId, InvalidEventId
from swim_server.protocol.timestamps import format_ms
from swim_server.sql.errors import StoreError
from swim_server.streaming.explain.outcome import RANK, Explanation, Outcome, explain_session, explain_subscription
from swim_server.streaming.explain.tally import Tally
from swim_server.streaming.subscription import NOTHING, Subscription

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swim_server.daemon.control.controlled import ExplainedParts
    from swim_server.keys.audit import AuditEntry
    from swim_server.keys.records import KeyRecord
    from swim_server.protocol.events import Event
    from swim_server.streaming.explain.session import Session
    from swim_server.streaming.explain.session_log import SessionLog

NOT_FOUND = -32004
"""No such event, connection or key; ``data`` says which."""
MAX_SESSIONS = 20
"""Maximum number of connections of one key in an answer, the latest ones."""
MAX_SUBSCRIPTIONS = 5
PAGE_EVENTS = 500
MAX_EVENTS = 300_000
DEFAULT_SECONDS = 3600
MAX_SECONDS = 7 * 86_400


@dataclass(frozen=True)
class _Consumer:
    """The consumer in question: connections, or a subscription that may be hypothetical."""

    sessions: Sequence[Session] = ()
    """Latest first."""
    subscription: Subscription | None = None
    key: KeyRecord | None = None
    audit: Sequence[AuditEntry] = ()
    key_problem: str | None = None
    """Why the key's row can't be read at the moment."""


class Explainer(ABC):
    """Answers questions one after the other, with what one process remembers."""

    def __init__(self, parts: ExplainedParts) -> None:
        self._parts = parts
        self._turn = asyncio.Semaphore(1)

    async def explain(self, params: Mapping[str, object]) -> EventExplained | ChannelExplained:
        """Answer for ``about``, an event id or a channel, and a consumer: ``key_id``, ``connection``, or ``channels``
        with ``filters``. Raises RpcError.
        """
        about = params.get("about")
        if not isinstance(about, str):
            raise RpcError(INVALID_PARAMS, "about must be an event id or a channel")
        async with self._turn:
            consumer = await self._consumer(params, about)
            try:
                try:
                    event_id = EventId.parse(about.strip())
                except InvalidEventId:
                    return await self._ahead(about, consumer, _seconds(params))
                return await self._event(event_id, consumer)
            except BrokerUnavailable as error:
                raise RpcError(UNAVAILABLE, str(error)) from None

    # The consumer.

    async def _consumer(self, params: Mapping[str, object], about: str) -> _Consumer:
        key_id, connection_id = params.get("key_id"), params.get("connection")
        if key_id is not None:
            if not isinstance(key_id, int):
                raise RpcError(INVALID_PARAMS, "key_id must be a whole number")
            return await self._key(key_id)
        if connection_id is not None:
            session = self._session_log.find(str(connection_id))
            live = self._parts.hub.connections.get(str(connection_id))
            if session is None and live is not None:  # a command of this machine: not recorded, but connected
                return _Consumer(subscription=live.subscription)
            if session is None:
                since = format_ms(self._session_log.since_ms)
                text = f"no connection {connection_id!r} is known; connections are remembered since {since}"
                raise RpcError(NOT_FOUND, text, {"what": "connection"})
            return _Consumer(sessions=[session])
        try:
            channels: Any = params.get("channels") or [about if _is_channel(about) else "*"]
            subscription = NOTHING.subscribe(channels, params.get("filters"), self._parts.catalogue)
        except BadMessage as error:
            raise RpcError(INVALID_PARAMS, str(error), {"code": str(error.code)}) from None
        return _Consumer(subscription=subscription)

    async def _key(self, key_id: int) -> _Consumer:
        sessions = [session async for session in yielding(self._session_log.of_key(key_id))]
        try:
            record, audit = await self._look_up(key_id)
        except StoreError as error:
            return _Consumer(sessions=sessions, key_problem=str(error))
        if record is None and not sessions:
            raise RpcError(NOT_FOUND, f"no key has the id {key_id}", {"what": "key"})
        return _Consumer(sessions=sessions, key=record, audit=audit)

    @abstractmethod
    async def _look_up(self, key_id: int) -> tuple[KeyRecord | None, Sequence[AuditEntry]]:
        """Read a key's row and its audit trail. Raises StoreError."""

    @property
    def _session_log(self) -> SessionLog:
        session_log = self._parts.hub.session_log
        assert session_log is not None, "the service remembers sessions"
        return session_log

    # An event that was published.

    async def _event(self, event_id: EventId, consumer: _Consumer) -> EventExplained:
        event = await find_event(self._parts.broker, event_id)
        if event is None:
            raise RpcError(NOT_FOUND, await self._not_stored(event_id), {"what": "event"})
        if consumer.subscription is not None:
            found = [explain_subscription(consumer.subscription, event.type, event.data)]
        else:
            found = [self._explain_session(session, event) async for session in yielding(consumer.sessions)]
        best = min(found, key=lambda explanation: RANK[explanation.outcome], default=None)
        outcome, why = (best.outcome, best.why) if best is not None else _nobody(event)
        if RANK[outcome] >= RANK[Outcome.NOT_CONNECTED] and outcome is not Outcome.PASSES:
            outcome, why = self._absent(consumer, event, outcome, why)
        shown = [explanation for explanation in found if explanation.outcome is not Outcome.NOT_CONNECTED] or found
        return EventExplained(
            event=StoredEvent(id=str(event.id), type=event.type, stored_at=format_ms(event.id.milliseconds)),
            outcome=str(outcome),
            why=why,
            consumers=[
                msgspec.convert(msgspec.to_builtins(explanation), ConsumerDocument)
                for explanation in shown[:MAX_SESSIONS]
            ],
            connections_remembered=len(consumer.sessions),
            **self._about(consumer),
        )

    def _explain_session(self, session: Session, event: Event) -> Explanation:
        hub = self._parts.hub
        session = self._session_log.current(session)  # the client may have left since it was found
        return explain_session(session, event, hub.delivered_id, hub.connections.get(session.id))

    def _absent(self, consumer: _Consumer, event: Event, outcome: Outcome, why: str) -> tuple[Outcome, str]:
        """Explain why the consumer was not connected: its key was not valid, or the next best reason."""
        came_ms = event.id.milliseconds
        if consumer.key is not None:
            moment = datetime.fromtimestamp(came_ms / 1000, UTC)
            problem = problem_at(consumer.key, consumer.audit, moment)
            if problem is not None:
                return Outcome(
                    problem.problem
                ), f"not connected when the event came, at {format_ms(came_ms)}: {problem.why}"
        since_ms = self._session_log.since_ms
        if came_ms < since_ms:
            text = f"not known: the daemon remembers connections since {format_ms(since_ms)}, when it was started"
            return Outcome.UNKNOWN, f"{text}; the event is older"
        before = [session for session in consumer.sessions if session.end is not None and session.end.until < event.id]
        if before and len(consumer.sessions) > 1:  # of several, the last one before it says most
            return outcome, self._explain_session(before[0], event).why
        return outcome, why

    async def _not_stored(self, event_id: EventId) -> str:
        span = await self._parts.broker.span()
        if span.oldest_id is None:
            return f"event {event_id} is not stored: history is empty"
        reach = f"history holds events from {span.oldest_id} to {span.newest_id}"
        keeps = self._parts.config.values.history
        return f"event {event_id} is not stored: {reach} (kept: {keeps.keep}, positions {keeps.keep_positions})"

    # What would have been sent.

    async def _ahead(self, channel: str, consumer: _Consumer, seconds: float) -> ChannelExplained:
        catalogue = self._parts.catalogue
        try:
            types = catalogue.expand([catalogue.check(channel)])
        except BadMessage as error:
            raise RpcError(INVALID_PARAMS, str(error), {"code": str(error.code)}) from None
        holders = self._subscriptions(consumer)
        tallies = {subscription: Tally(subscription) for subscription in list(holders)[:MAX_SUBSCRIPTIONS]}
        until = self._parts.hub.delivered_id
        from_ms = max(0, int((time.time() - seconds) * 1000))
        start = min(EventId(max(from_ms - 1, 0), MAX_SEQUENCE), until)
        has_gap = await self._parts.broker.has_gap(start, types=types)
        reached = await self._count(list(tallies.values()), sorted(types), start, until) if tallies else until
        return ChannelExplained(
            channel=channel,
            from_=format_ms(from_ms),
            to=format_ms(int(time.time() * 1000) if reached >= until else reached.milliseconds),
            has_gap=has_gap,
            is_complete=reached >= until,
            subscriptions=[
                msgspec.convert({**tally.document(), "connections": holders[subscription]}, SubscriptionCounts)
                for subscription, tally in tallies.items()
            ],
            subscriptions_left_out=len(holders) - len(tallies),
            **self._about(consumer),
        )

    def _subscriptions(self, consumer: _Consumer) -> dict[Subscription, list[str]]:
        """Return the consumer's subscriptions, with their connections; if none is open, the last subscription."""
        if consumer.subscription is not None:
            return {consumer.subscription: []}
        live = [session for session in consumer.sessions if session.end is None]
        found: dict[Subscription, list[str]] = {}
        for session in map(self._session_log.current, live or consumer.sessions[:1]):
            wanted = [change.subscription for change in session.changes if change.subscription.channels]
            subscription = (
                session.changes[-1].subscription if session.end is None else wanted[-1] if wanted else NOTHING
            )
            found.setdefault(subscription, []).append(session.id)
        return found

    async def _count(self, tallies: list[Tally], types: Sequence[str], start: EventId, until: EventId) -> EventId:
        """Count page by page; return how far it got: to the end, or to the limit."""
        cursor, looked_at = start, 0
        while looked_at < MAX_EVENTS:
            page = await self._parts.broker.read(cursor, until, types=types, limit=PAGE_EVENTS)
            async for event in yielding(page.events):
                for tally in tallies:
                    tally.add(event)
            looked_at += len(page.events)
            if page.is_last:
                return until
            cursor = page.next_after
        return cursor

    def _about(self, consumer: _Consumer) -> dict[str, Any]:
        """Return what both kinds of answers say about the key."""
        key, document = consumer.key, None
        if key is not None:
            document = KeyDocument(
                id=key.id,
                hint=key.hint,
                tier=str(key.tier),
                owner=key.owner_name,
                state=str(state_of(key, datetime.now(UTC))),
                connected_now=sum(session.end is None for session in consumer.sessions),
            )
        since = format_ms(self._session_log.since_ms)
        return {"key": document, "key_problem": consumer.key_problem, "remembered_since": since}


def _seconds(params: Mapping[str, object]) -> float:
    seconds = params.get("seconds", DEFAULT_SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= MAX_SECONDS:
        raise RpcError(INVALID_PARAMS, f"seconds must be from 1 to {MAX_SECONDS}")
    return float(seconds)


def _nobody(event: Event) -> tuple[Outcome, str]:
    return Outcome.NOT_CONNECTED, f"not connected when the event came, at {format_ms(event.id.milliseconds)}"


def _is_channel(about: str) -> bool:
    try:
        EventId.parse(about.strip())
    except InvalidEventId:
        return True
    return False
