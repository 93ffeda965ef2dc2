"""The answer of ``explain`` as text for people and scripts: pure functions of the document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict
from rich.console import Group, RenderableType
from rich.text import Text
from swim_server.daemon.control.documents.explain import EventExplained

from swimctl.table import Column, details, table
from swimctl.text import cell, clean, count, plural

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.explain import (
        ChannelExplained,
        ClauseDocument,
        ConsumerDocument,
        SubscriptionCounts,
    )

STYLES = {"sent": "green", "passes": "green", "waiting": "yellow", "conflated": "yellow", "unknown": "yellow"}
HEADLINES = {
    "sent": "sent",
    "passes": "would be sent",
    "waiting": "not sent yet",
    "conflated": "not sent: conflated",
    "unknown": "not known",
}
"""For any other outcome: not sent."""
CLAUSES = (
    Column("mark", "", styles={"yes": "green", "no": "red"}),
    Column("kind", "CLAUSE"),
    Column("wanted", "WANTED", is_flexible=True),
    Column("found", "THE EVENT HAS", is_flexible=True),
    Column("left", "POSITIONS LEFT", justify="right"),
)
STOPPED = (
    Column("what", "WHAT STOPPED IT", is_flexible=True),
    Column("stopped", "EVENTS", justify="right", show=count),
    Column("alone", "IT ALONE", justify="right"),
)


def picture(document: EventExplained | ChannelExplained) -> RenderableType:
    """Lay out the answer for a terminal."""
    return _event(document) if isinstance(document, EventExplained) else _channel(document)


def lines(document: EventExplained | ChannelExplained) -> list[tuple[str, str]]:
    """Return the answer as stable pairs for scripts."""
    return _event_lines(document) if isinstance(document, EventExplained) else _channel_lines(document)


def headline(document: EventExplained) -> Text:
    """Return the answer in one sentence."""
    outcome, why = document.outcome, clean(document.why)
    head, style = HEADLINES.get(outcome, "not sent"), f"bold {STYLES.get(outcome, 'red')}"
    text = Text(head, style=style)
    return text.append(why.removeprefix(head) if why.startswith(f"{head} ") else f": {why}", style="not bold default")


def _event(document: EventExplained) -> RenderableType:
    event = document.event
    facts: list[tuple[str, Any]] = [("event", f"{event.id}  {event.type}  stored {event.stored_at}")]
    facts += _key(document)
    parts: list[RenderableType] = [headline(document), Text(), details(facts)]
    if len(document.consumers) > 1:
        parts.append(Text(summary(document.consumers), style="bold"))
    judged = next((one for one in document.consumers if one.outcome == document.outcome), None)
    if judged is not None and judged.clauses:
        rows = [_clause_row(clause) for clause in judged.clauses]
        columns = [column for column in CLAUSES if column.name != "left" or judged.positions is not None]
        parts += [Text(), table(columns, rows)]
    if len(document.consumers) > 1:
        parts += [Text(), table(CONNECTIONS, [asdict(one) for one in document.consumers])]
    return Group(*parts)


def summary(consumers: Sequence[ConsumerDocument]) -> str:
    """Summarise the outcome in one line: ``3 connections: 2 sent, 1 not sent``."""
    outcomes = Counter(HEADLINES.get(one.outcome, "not sent") for one in consumers)
    told = ", ".join(f"{number} {head}" for head, number in outcomes.items())
    return f"{plural(len(consumers), 'connection')}: {told}"


def moment(value: Any) -> str:
    """Shorten a time to ``14:30:15``, with its date if that is not today (UTC)."""
    text = cell(value)
    if len(text) < 19 or text[10] != "T":
        return text
    return text[11:19] if text[:10] == datetime.now(UTC).date().isoformat() else f"{text[5:10]} {text[11:16]}"


CONNECTIONS = (
    Column("outcome", "EVENT", styles=STYLES),
    Column("connection", "CONNECTION", style="cyan", is_whole=True),
    Column("connected_at", "FROM", show=moment),
    Column("ended_at", "TO", show=moment),
    Column("why", "WHY", is_flexible=True),
)


def _event_lines(document: EventExplained) -> list[tuple[str, str]]:
    pairs = [
        ("event", document.event.id),
        ("type", document.event.type),
        ("outcome", document.outcome),
        ("why", document.why),
    ]
    for consumer in document.consumers:
        name = consumer.connection or "subscription"
        pairs.append((name, f"{consumer.outcome}: {consumer.why}"))
        pairs += [(f"{name}.{clause.kind}", _clause_line(clause)) for clause in consumer.clauses or ()]
    return pairs


def _key(document: EventExplained | ChannelExplained) -> list[tuple[str, Any]]:
    key = document.key
    if document.key_problem:
        return [("key", Text(clean(f"can't be read at the moment: {document.key_problem}"), style="red"))]
    if key is None:
        return []
    now = plural(key.connected_now, "connection") if key.connected_now else "not connected"
    return [("key", f"{key.id}  {key.hint}  {key.tier}, {key.owner}, {key.state}; {now} now")]


def _clause_row(clause: ClauseDocument) -> dict[str, Any]:
    found = cell(clause.found)
    if clause.matched and isinstance(clause.found, list) and len(clause.found) > len(clause.matched):
        found += f" (wanted: {cell(clause.matched)})"
    return {
        "mark": ("yes" if clause.passes else "no") if clause.applies else "-",
        "kind": clause.kind,
        "wanted": cell(clause.wanted),
        "found": found if clause.applies else "does not apply to this family",
        "left": clause.remaining,
    }


def _clause_line(clause: ClauseDocument) -> str:
    row = _clause_row(clause)
    left = f", {row['left']} positions left" if row["left"] is not None else ""
    return f"{row['mark']}: wanted {row['wanted']}, has {row['found']}{left}"


def _channel(document: ChannelExplained) -> RenderableType:
    parts: list[RenderableType] = [details([("events", f"{document.channel}  {_span(document)}"), *_key(document)])]
    for one in document.subscriptions:
        parts += [Text(), *_subscription(one)]
    if not document.subscriptions:
        parts += [Text(), Text("no connection is remembered, so there is no subscription to evaluate", style="yellow")]
    if document.subscriptions_left_out:
        parts.append(Text(f"and {plural(document.subscriptions_left_out, 'other subscription')}", style="dim"))
    return Group(*parts)


def _subscription(one: SubscriptionCounts) -> list[RenderableType]:
    who = f"{', '.join(one.connections[:3])}: " if one.connections else ""
    filters = " ".join(f"{kind}={cell(value)}" for kind, value in one.filters.items())
    parts: list[RenderableType] = [Text(clean(f"{who}{cell(one.channels)} {filters}".rstrip()), style="cyan")]
    style = "bold green" if one.passed else "bold red"
    parts.append(Text(f"{count(one.passed)} of {plural(one.looked_at, 'event')} would be sent", style=style))
    if one.positions:
        text = f"of {count(one.positions)} positions in batches {count(one.positions_passed)} pass"
        parts.append(Text(text))
    rows = _stopped_rows(one)
    if rows:
        parts.append(table(STOPPED, rows))
    return parts


def _stopped_rows(one: SubscriptionCounts) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"what": f"not subscribed to {type}", "stopped": number, "alone": "-"}
        for type, number in one.not_subscribed.items()
    ]
    rows += [
        {"what": f"{clause.kind} {cell(clause.wanted)}", "stopped": clause.stopped, "alone": count(clause.alone)}
        for clause in one.clauses
    ]
    return rows


def _channel_lines(document: ChannelExplained) -> list[tuple[str, str]]:
    pairs = [("channel", document.channel), ("from", document.from_), ("to", document.to)]
    pairs += [("has_gap", cell(document.has_gap)), ("is_complete", cell(document.is_complete))]
    for one in document.subscriptions:
        pairs += [
            ("subscription", f"{cell(one.channels)} {cell(one.filters)}"),
            ("connections", cell(one.connections)),
            ("looked_at", str(one.looked_at)),
            ("passed", str(one.passed)),
        ]
        pairs += [(f"not_subscribed.{type}", str(number)) for type, number in one.not_subscribed.items()]
        pairs += [(f"stopped.{clause.kind}", f"{clause.stopped} alone {clause.alone}") for clause in one.clauses]
    return pairs


def _span(document: ChannelExplained) -> str:
    text = f"from {document.from_} to {document.to}"
    if not document.is_complete:
        text += "; the rest was not counted"
    return f"{text}; history does not reach back so far for all of them" if document.has_gap else text
