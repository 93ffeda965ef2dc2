"""Whether a connection was sent an event, and if not, why: judged from what is remembered of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.protocol import explanation
from swim_server.protocol.channels import matches
from swim_server.protocol.codes import CloseCode
from swim_server.protocol.explanation import Clause, FilterExplanation
from swim_server.protocol.positions import POSITION, POSITIONS
from swim_server.protocol.timestamps import format_ms
from swim_server.streaming.explain.session import SlowPeriod
from swim_server.streaming.subscription import Subscription

if TYPE_CHECKING:
    from swim_server.protocol.event_id import EventId
    from swim_server.protocol.events import Event
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.explain.session import Change, Session

MAX_NAMED = 12
"""How many channels, codes or values a sentence names."""


class Outcome(StrEnum):
    """What became of an event for one consumer; earlier members are further along."""

    SENT = "sent"
    WAITING = "waiting"
    """It will be sent: the client reads slowly, or is being sent history."""
    CONFLATED = "conflated"
    """Newer positions of the same flights were sent instead."""
    TOO_LARGE = "too_large"
    """An error was sent instead, as it is longer than what the client accepts."""
    SLOW = "slow"
    """Closed with 4008 before it was written."""
    UNSENT = "unsent"
    """The connection ended before it was written."""
    FILTERED = "filtered"
    NOT_SUBSCRIBED = "not_subscribed"
    KEY_EXPIRED = "key_expired"
    KEY_REVOKED = "key_revoked"
    NO_KEY_YET = "no_key_yet"
    REFUSED = "refused"
    """The client tried to connect and was refused."""
    NOT_CONNECTED = "not_connected"
    UNKNOWN = "unknown"
    """It is no longer, or not yet, remembered."""
    PASSES = "passes"
    """A subscription like this one would receive it."""


RANK = {outcome: number for number, outcome in enumerate(Outcome)}


class Explanation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer for one connection, or for a hypothetical subscription."""

    outcome: Outcome
    why: str
    """One sentence."""
    connection: str | None = None
    connected_at: str | None = None
    ended_at: str | None = None
    close_code: int | None = None
    close_reason: str | None = None
    channels: list[str] | None = None
    """The channels it was subscribed to at the time of the event."""
    filters: dict[str, Any] | None = None
    clauses: list[Clause] | None = None
    sent_at: str | None = None
    positions: int | None = None
    """Of a batch: how many it had, and how many were sent."""
    positions_sent: int | None = None


def explain_subscription(subscription: Subscription, event_type: str, data: dict[str, Any]) -> Explanation:
    """Judge an event by channels and filters alone: PASSES, FILTERED or NOT_SUBSCRIBED."""
    channels = sorted(subscription.channels)
    selecting = [channel for channel in channels if matches(channel, event_type)]
    found = explanation.explain(subscription.filters, event_type, data)
    told: dict[str, Any] = {
        "channels": channels,
        "filters": subscription.filters.to_wire(),
        "clauses": found.clauses,
        "positions": found.positions,
        "positions_sent": found.remaining,
    }
    if not selecting:
        subscribed = f"only to {_listed(channels)}" if channels else "to nothing"
        why = f"not subscribed to {event_type}, {subscribed}"
        return Explanation(outcome=Outcome.NOT_SUBSCRIBED, why=why, **told)
    if not found.passes:
        return Explanation(outcome=Outcome.FILTERED, why=_stopped(found), **told)
    why = f"channel {selecting[0]} selects it and {_let_through(found)}"
    return Explanation(outcome=Outcome.PASSES, why=why, **told)


def explain_session(
    session: Session, event: Event, delivered_id: EventId, connection: Connection | None
) -> Explanation:
    """Judge what became of an event for one connection; ``connection`` is given while it is open."""
    verdicts = [_judge_change(session, change, event, delivered_id, connection) for change in _covering(session, event)]
    if not verdicts:
        return _absent(session, event)
    return min(verdicts, key=lambda explanation: RANK[explanation.outcome])


def _covering(session: Session, event: Event) -> Iterator[Change]:
    """Yield each subscription through which the event may have been sent: live, or from history."""
    changes = session.changes
    for number, change in enumerate(changes):
        is_last = number + 1 == len(changes)
        until = changes[number + 1].after if not is_last else session.end.until if session.end is not None else None
        starts = [start for key, start in change.starts.items() if matches(key, event.type)]
        start = min(starts, default=None)
        is_live = change.after < event.id and (until is None or event.id <= until)
        is_stored = start is not None and start < event.id <= change.after
        if is_live or is_stored:
            yield change


def _judge_change(
    session: Session, change: Change, event: Event, delivered_id: EventId, connection: Connection | None
) -> Explanation:
    explanation = msgspec.structs.replace(
        explain_subscription(change.subscription, event.type, event.data), **_facts(session)
    )
    if explanation.outcome is not Outcome.PASSES:
        return explanation
    undelivered = _undelivered(session, change, event, delivered_id, connection)
    if undelivered is not None:
        outcome, why = undelivered
        return msgspec.structs.replace(explanation, outcome=outcome, why=why, positions_sent=None)
    if event.type != POSITIONS and len(event.wire) > change.max_message_bytes:  # batches are cut
        told = f"it has {len(event.wire):,} bytes, and at most {change.max_message_bytes:,} are sent to this connection"
        why = f"{told}: an error was sent in its place"
        return msgspec.structs.replace(explanation, outcome=Outcome.TOO_LARGE, why=why)
    return _sent(explanation, session, change, event, connection)


def _undelivered(
    session: Session, change: Change, event: Event, delivered_id: EventId, connection: Connection | None
) -> tuple[Outcome, str] | None:
    """Return why an event that passes was not written to the connection, if it was not."""
    end, is_catching_up = session.end, change.is_catching_up and change.catch_ups == session.catch_ups
    if end is not None:
        if end.unsent_from is not None and event.id >= end.unsent_from:
            at = format_ms(end.at_ms)
            if end.code == CloseCode.SLOW_CONSUMER:
                told = f"from event {end.unsent_from} on nothing reached it, and it was closed with 4008 at {at}"
                return Outcome.SLOW, f"it read too slowly: {told}"
            return (
                Outcome.UNSENT,
                f"its connection ended at {at} ({_close(end.code, end.reason)}) before it was written",
            )
        if is_catching_up and end.history_until is not None and event.id > end.history_until:
            told = f"history had come as far as {end.history_until}"
            return Outcome.UNSENT, f"its connection ended ({_close(end.code, end.reason)}) when {told}"
    elif event.id > delivered_id:
        return Outcome.WAITING, "just stored, and about to be sent"
    elif connection is not None:
        unsent_from, catch_up = connection.unsent_from, connection.catch_up
        if connection.is_lagging and unsent_from is not None and event.id >= unsent_from:
            return Outcome.WAITING, f"it reads too slowly: everything from event {unsent_from} on waits for it"
        if is_catching_up and catch_up is not None and event.id > catch_up.position:
            return Outcome.WAITING, f"it is being sent history, which has come as far as {catch_up.position}"
    return None


def _sent(
    explanation: Explanation, session: Session, change: Change, event: Event, connection: Connection | None
) -> Explanation:
    lags = (each for each in _lags(session, connection) if each.catch_ups == change.catch_ups)
    lag = next((each for each in lags if each.first <= event.id <= each.last), None)
    dropped = lag.conflated.get(event.id, 0) if lag is not None else 0
    whole = 1 if event.type == POSITION else explanation.positions_sent
    remaining = (whole or 0) - dropped
    if dropped and remaining <= 0:
        why = "it read too slowly: newer positions of the same flights were sent in its place"
        return msgspec.structs.replace(explanation, outcome=Outcome.CONFLATED, why=why, positions_sent=0)
    is_history = event.id <= change.after
    at = format_ms(max(event.id.milliseconds, change.at_ms) if is_history else event.id.milliseconds)
    how = "from history, after " if is_history else ""
    why = f"sent {how}at {at}: {explanation.why}"
    if lag is not None:
        why += "; it waited, as the client read slowly"
    if dropped:
        why += f"; {dropped} of its positions were left out, as newer ones of the same flights had come"
    positions_sent = remaining if event.type == POSITIONS else None
    return msgspec.structs.replace(
        explanation, outcome=Outcome.SENT, why=why, sent_at=at, positions_sent=positions_sent
    )


def _lags(session: Session, connection: Connection | None) -> Iterator[SlowPeriod]:
    yield from session.lags
    backlog = connection.backlog if connection is not None else None
    if backlog is not None and backlog.first_id is not None:
        yield SlowPeriod.of(backlog)


def _absent(session: Session, event: Event) -> Explanation:
    """Explain an event from before or after this connection."""
    facts, at = _facts(session), format_ms(event.id.milliseconds)
    end = session.end
    if end is not None and event.id > end.until:
        told = f"it had ended at {format_ms(end.at_ms)} ({_close(end.code, end.reason)})"
        outcome = Outcome.NOT_CONNECTED
    elif session.is_cut:
        told, outcome = "what it was subscribed to at that time is no longer remembered", Outcome.UNKNOWN
    else:
        told, outcome = f"it connected later, at {format_ms(session.connected_at_ms)}", Outcome.NOT_CONNECTED
        if any(change.starts for change in session.changes):
            told += ", and did not ask for history of this type so far back"
    return Explanation(outcome=outcome, why=f"not connected when it came at {at}: {told}", **facts)


def _facts(session: Session) -> dict[str, Any]:
    end = session.end
    return {
        "connection": session.id,
        "connected_at": format_ms(session.connected_at_ms),
        "ended_at": format_ms(end.at_ms) if end is not None else None,
        "close_code": end.code if end is not None else None,
        "close_reason": end.reason or None if end is not None else None,
    }


def _close(code: int, reason: str) -> str:
    return f"{code}, {reason}" if reason else str(code)


def _stopped(found: FilterExplanation) -> str:
    clause = found.stopped_by
    if clause is None:
        return "the batch has no positions"
    if found.positions is None:
        return f"filter {clause.kind} stopped it: wanted {_shown(clause.wanted)}, {_has(clause, 'the event')}"
    before = _before(found, clause)
    whose = f"none of the {before} positions" if before else "no position"
    left = " that the other filters left" if before != found.positions else ""
    return (
        f"filter {clause.kind} stopped it: wanted {_shown(clause.wanted)}, "
        f"which {whose}{left} fits; {_has(clause, 'they')}"
    )


def _before(found: FilterExplanation, clause: Clause) -> int:
    """Return how many positions reached this clause."""
    before = found.positions or 0
    for each in found.clauses:
        if each is clause:
            return before
        before = each.remaining or 0
    raise AssertionError("the clause is one of them")


def _has(clause: Clause, who: str) -> str:
    has = "have" if who == "they" else "has"
    return f"{who} {has} {_shown(clause.found)}" if clause.found else f"{who} {has} nothing to compare it with"


def _let_through(found: FilterExplanation) -> str:
    if not found.clauses:
        return "there is no filter"
    if found.positions is not None:
        return f"{found.remaining} of {found.positions} positions pass the filters"
    judged = [_by(clause) for clause in found.clauses if clause.applies]
    if not judged:
        return "none of the filters applies to this family"
    return f"it passes {_listed(judged)}"


def _by(clause: Clause) -> str:
    """Return the kind and, if the event has several values for it, the one that is wanted."""
    return f"{clause.kind} (by {_listed(clause.matched)})" if len(clause.found) > 1 and clause.matched else clause.kind


def _shown(value: object) -> str:
    """Format a clause's value for a sentence."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items())
    if isinstance(value, list):
        return _listed([_shown(item) for item in value])
    return f"{value:g}" if isinstance(value, float) else str(value)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:MAX_NAMED])
    return shown if len(names) <= MAX_NAMED else f"{shown} and {len(names) - MAX_NAMED} more"
