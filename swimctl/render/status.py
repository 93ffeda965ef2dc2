"""The status document as text for people, pure functions of the document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swimctl.render.table import details
from swimctl.text import cell, clean, count, duration, rate, size

STATE_STYLES = {
    "running": "green",
    "starting": "yellow",
    "degraded": "yellow",
    "finished": "dim",
    "stopped": "dim",
    "failed": "red",
}
BAR_CELLS = 20


def status(document: Mapping[str, Any], now: datetime, disk_fingerprint: str | None = None) -> RenderableType:
    """Lay out a status document; ``now`` tells how old the oldest event is."""
    parts: list[RenderableType] = [details(_facts(document, now, disk_fingerprint)), Text(), tiers(document), Text()]
    sources = document.get("sources") or []
    parts.append(_sources(sources) if sources else Text("no sources: events come from swimctl publish only"))
    for source in sources:
        if source.get("last_error"):
            parts.append(Text(clean(f"{source['name']}: {source['last_error']}"), style="red"))
    return Group(*parts)


def status_lines(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the same as stable pairs for scripts: nested values by their dotted names, sources by their names."""
    pairs: list[tuple[str, str]] = []
    for name, value in document.items():
        if name == "connections" and isinstance(value, Mapping):
            pairs.append(("connections", cell(value.get("total"))))
            for tier, one in (value.get("by_tier") or {}).items():
                pairs.append((f"connections.{tier}", f"{one['current']}/{one['limit']}"))
        elif name == "sources" and isinstance(value, list):
            for source in value:
                age = cell(source.get("last_event_age_seconds"))
                pairs.append((f"source.{source['name']}", f"{source['state']} {source.get('events', 0)} {age}"))
        elif isinstance(value, Mapping):
            pairs += [(f"{name}.{key}", cell(item)) for key, item in value.items()]
        else:
            pairs.append((name, cell(value)))
    return pairs


def _facts(document: Mapping[str, Any], now: datetime, disk_fingerprint: str | None) -> list[tuple[str, Any]]:
    slow = document.get("slow_consumers") or {}
    refused = document.get("refused") or {}
    facts: list[tuple[str, Any]] = [
        ("daemon", f"running for {duration(document.get('uptime_seconds'))}, pid {document.get('pid')}"),
        ("url", document.get("url")),
        ("home", document.get("home")),
        ("version", _version(document, disk_fingerprint)),
        ("events", _flow(document, "events_published", "events_per_second", "published")),
        ("deliveries", _flow(document, "deliveries", "deliveries_per_second", "sent to clients")),
        ("history", _history(document.get("history") or {}, now)),
        ("process", f"{size(document.get('memory_bytes'))} of memory, loop lag {_lag(document.get('loop_lag_ms'))}"),
    ]
    if document.get("latency_ms"):
        facts.append(("latency", f"{_lag(document['latency_ms'])} from an event's id to its last client"))
    if slow.get("lagging") or slow.get("closed"):
        facts.append(("slow", f"{slow.get('lagging', 0)} lagging now, {slow.get('closed', 0)} closed since the start"))
    if refused:
        facts.append(("refused", ", ".join(f"{number} {reason}" for reason, number in sorted(refused.items()))))
    history = document.get("history") or {}
    if history.get("problem"):
        facts.append(("history", Text(clean(f"can't be used just now: {history['problem']}"), style="red")))
    keys = document.get("keys") or {}
    trouble = keys.get("problem") or keys.get("recheck_error")
    if trouble:
        facts.append(("keys", Text(clean(f"can't be checked just now: {trouble}"), style="red")))
    if keys.get("writing_problem") and not trouble:
        facts.append(("keys", Text(clean(f"their use can't be written: {keys['writing_problem']}"), style="yellow")))
    return facts


def _version(document: Mapping[str, Any], disk_fingerprint: str | None) -> Text:
    running = str(document.get("fingerprint"))
    text = Text(f"{document.get('version')}, fingerprint {running}")
    if disk_fingerprint is not None and disk_fingerprint != running:
        text.append(f"; the disk holds {disk_fingerprint}: swimctl restart", style="yellow")
    return text


def _flow(document: Mapping[str, Any], total: str, per_second: str, verb: str) -> str:
    return f"{count(document.get(total) or 0)} {verb}, {rate(document.get(per_second) or 0)}"


def _history(history: Mapping[str, Any], now: datetime) -> str:
    oldest = history.get("oldest_id")
    if not oldest:
        return "empty"
    try:
        reach = duration(now.timestamp() - int(str(oldest).partition("-")[0]) / 1000)
    except ValueError:
        reach = "?"
    return f"{count(history.get('events'))} events, {reach} back, {size(history.get('size_bytes'))}"


def _lag(lag: Any) -> str:
    """How late the loop runs: one number, or several by name."""
    if isinstance(lag, Mapping):
        return ", ".join(f"{name} {cell(value)} ms" for name, value in lag.items())
    return f"{cell(lag)} ms"


def tiers(document: Mapping[str, Any]) -> Table:
    """Lay out the connections of each tier against its limit."""
    grid = _grid("TIER", ">CONNECTED", ">LIMIT", "")
    for name, tier in ((document.get("connections") or {}).get("by_tier") or {}).items():
        current, limit = int(tier["current"]), int(tier["limit"])
        filled = min(BAR_CELLS, -(-BAR_CELLS * current // limit)) if limit else 0
        style = "red" if current >= limit else "yellow" if current >= 0.8 * limit else "green"
        bar = Text("━" * filled, style=style).append("─" * (BAR_CELLS - filled), style="dim")
        grid.add_row(Text(str(name)), count(current), count(limit), bar)
    return grid


def _sources(sources: Sequence[Mapping[str, Any]]) -> Table:
    grid = _grid("SOURCE", "KIND", "STATE", ">EVENTS", ">LAST EVENT", ">ERRORS")
    for source in sources:
        state, age = str(source.get("state")), source.get("last_event_age_seconds")
        grid.add_row(
            Text(clean(str(source.get("name")))),
            Text(str(source.get("kind", "-"))),
            Text(state, style=STATE_STYLES.get(state, "")),
            count(source.get("events") or 0),
            f"{duration(age)} ago" if age is not None else "never",
            count(source.get("errors") or 0),
        )
    return grid


def _grid(*headings: str) -> Table:
    """Return a table without lines; a heading that begins with ``>`` has its column on the right."""
    grid = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    for heading in headings:
        right = heading.startswith(">")
        grid.add_column(heading.lstrip(">"), justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    return grid


def utc_now() -> datetime:
    """Return this moment, aware."""
    return datetime.now(UTC)
