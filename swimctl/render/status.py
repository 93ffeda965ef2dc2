"""The status document as text for people: pure functions of the document."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swimctl.table import details
from swimctl.text import cell, clean, count, duration, plural, rate, size

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.status import (
        HistoryDocument,
        KeysDocument,
        Percentiles,
        SourceDocument,
        Status,
        WorkerDocument,
    )

STATE_STYLES = {
    "running": "green",
    "starting": "yellow",
    "degraded": "yellow",
    "finished": "dim",
    "stopped": "dim",
    "failed": "red",
}
BAR_CELLS = 20


def status(document: Status, now: datetime, disk_fingerprint: str | None = None) -> RenderableType:
    """Lay out a status document; ``now`` gives the age of the oldest event."""
    parts: list[RenderableType] = [details(_facts(document, now, disk_fingerprint)), Text(), tiers(document), Text()]
    sources = document.sources
    parts.append(_sources(sources) if sources else Text("no sources: events come from swimctl publish only"))
    if sources:
        parts.append(Text("FOUND: events, before large batches of positions are split for clients", style="dim"))
    for source in sources:
        if source.last_error:
            parts.append(Text(clean(f"{source.name}: {source.last_error}"), style="red"))
        if source.unknown_types:
            told = ", ".join(f"{number} of {name}" for name, number in source.unknown_types.items())
            parts.append(Text(clean(f"{source.name}: set aside, unknown type: {told}"), style="yellow"))
    return Group(*parts)


def _facts(document: Status, now: datetime, disk_fingerprint: str | None) -> list[tuple[str, Any]]:
    slow, refused = document.slow_consumers, document.refused
    facts: list[tuple[str, Any]] = [
        ("daemon", f"running for {duration(document.uptime_seconds)}, pid {document.pid}"),
        ("url", document.url),
        ("home", document.home),
        ("version", _version(document, disk_fingerprint)),
        ("events", f"{count(document.events_published)} stored since the start, {rate(document.events_per_second)}"),
        ("deliveries", f"{count(document.deliveries)} sent to clients, {rate(document.deliveries_per_second)}"),
        ("history", _history(document.history, now)),
        ("process", f"{memory(document, ' of memory')}, loop lag {_times(document.loop_lag_ms)}"),
    ]
    facts += [(f"worker {each.number}", _worker(each)) for each in document.workers]
    if document.latency_ms is not None:
        facts.append(("latency", f"{_times(document.latency_ms)} from an event's id to its last client"))
    if slow.lagging or slow.closed:
        facts.append(("slow", f"{slow.lagging} lagging now, {slow.closed} closed since the start"))
    if refused:
        facts.append(("refused", ", ".join(f"{number} {reason}" for reason, number in sorted(refused.items()))))
    if document.history.problem:
        facts.append(("history", Text(clean(f"can't be used at the moment: {document.history.problem}"), style="red")))
    return facts + _key_facts(document.keys)


def memory(document: Status, noun: str = "") -> str:
    """Return the memory of all processes."""
    used = size(document.memory_bytes + sum(worker.memory_bytes for worker in document.workers))
    running = sum(worker.pid is not None for worker in document.workers)
    return f"{used}{noun} in {1 + running} processes" if running else f"{used}{noun}"


def _worker(worker: WorkerDocument) -> Text:
    if worker.pid is None:
        return Text(clean(f"not running; it ended: {worker.last_end or 'unknown'}"), style="red")
    text = Text(
        f"pid {worker.pid}, {plural(worker.connections, 'connection')}, {size(worker.memory_bytes)} of memory, "
        f"loop lag p99 {cell(worker.loop_lag_p99_ms)} ms"
    )
    if worker.state != "ready":
        text.append(f"; {worker.state}", style="yellow")
    if worker.lag_events:
        text.append(f"; {count(worker.lag_events)} events behind")
    if worker.restarts:
        text.append(clean(f"; started again {plural(worker.restarts, 'time')}, last ended: {worker.last_end}"))
    return text


def _key_facts(keys: KeysDocument) -> list[tuple[str, Any]]:
    problem = keys.problem or keys.recheck_error
    if problem:
        return [("keys", Text(clean(f"can't be checked at the moment: {problem}"), style="red"))]
    if keys.writing_problem:
        return [("keys", Text(clean(f"their use can't be recorded: {keys.writing_problem}"), style="yellow"))]
    return []


def _version(document: Status, disk_fingerprint: str | None) -> Text:
    text = Text(f"{document.version}, fingerprint {document.fingerprint}")
    if disk_fingerprint is not None and disk_fingerprint != document.fingerprint:
        text.append(f"; the code on disk is {disk_fingerprint}: swimctl restart", style="yellow")
    return text


def _history(history: HistoryDocument, now: datetime) -> str:
    if not history.oldest_id:
        return "empty"
    try:
        reach = duration(now.timestamp() - int(history.oldest_id.partition("-")[0]) / 1000)
    except ValueError:
        reach = "?"
    events = f"{count(history.events)} events kept" if history.is_counted else "events are being counted"
    return f"{events}, {reach} back, {size(history.size_bytes)}"


def _times(times: Percentiles) -> str:
    return ", ".join(
        f"{name} {cell(value)} ms" for name, value in (("p50", times.p50), ("p99", times.p99), ("max", times.max))
    )


def tiers(document: Status) -> Table:
    """Lay out the connections of each tier with its limit."""
    grid = _grid("TIER", ">CONNECTED", ">LIMIT", "")
    for name, use in document.connections.by_tier.items():
        filled = min(BAR_CELLS, -(-BAR_CELLS * use.current // use.limit)) if use.limit else 0
        style = "red" if use.current >= use.limit else "yellow" if use.current >= 0.8 * use.limit else "green"
        bar = Text("━" * filled, style=style).append("─" * (BAR_CELLS - filled), style="dim")
        grid.add_row(Text(name), count(use.current), count(use.limit), bar)
    return grid


def _sources(sources: Sequence[SourceDocument]) -> Table:
    grid = _grid("SOURCE", "KIND", "STATE", ">FOUND", ">LAST EVENT", ">ERRORS")
    for source in sources:
        age = source.last_event_age_seconds
        grid.add_row(
            Text(clean(source.name)),
            Text(source.kind or "-"),
            Text(source.state, style=STATE_STYLES.get(source.state, "")),
            count(source.events),
            f"{duration(age)} ago" if age is not None else "never",
            count(source.errors),
        )
    return grid


def _grid(*headings: str) -> Table:
    """Lay out a table without lines; a heading that begins with ``>`` right-aligns its column."""
    grid = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    for heading in headings:
        right = heading.startswith(">")
        grid.add_column(heading.lstrip(">"), justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    return grid


def utc_now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)
