"""The display of ``top``, and its line for scripts: pure functions of document, time and size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import asdict
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swimctl.render.connections import WORKER
from swimctl.render.connections import rows as connection_rows
from swimctl.render.foot import Foot
from swimctl.render.status import STATE_STYLES, memory, tiers
from swimctl.table import Column, fitting, left_out, table
from swimctl.text import cell, clean, count, duration, plural, rate, size, timestamp

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.connections import BusyConnection, ChannelCount, Top, TypeRate
    from swim_server.daemon.control.documents.status import Percentiles, SourceDocument, Status, WorkerDocument

HEADINGS = (
    "time", "clients", "events_per_second", "deliveries_per_second", "latency_p50_ms", "latency_p99_ms",
    "loop_lag_p99_ms", "lagging", "closed_slow", "memory_bytes",
)  # fmt: skip
"""The columns of a line."""
CONNECTIONS = (
    Column("id", "CONNECTION", style="cyan", is_whole=True),
    Column("tier", "TIER"),
    Column("owner", "OWNER", is_flexible=True, rank=4),
    Column("remote", "REMOTE", rank=6),
    Column("per_second", "SENT/S", justify="right", show=lambda value: rate(value).removesuffix("/s")),
    Column("messages_sent", "SENT", justify="right", show=count, rank=5),
    Column("buffered_bytes", "BUFFERED", justify="right", show=size, rank=3),
    Column("state", "STATE", styles={"lagging": "yellow", "resuming": "cyan"}),
    Column("subscriptions", "SUBSCRIPTIONS", is_flexible=True, rank=2),
)
TYPES = (
    Column("type", "TYPE"),
    Column("per_second", "EVENTS/S", justify="right", show=lambda value: rate(value).removesuffix("/s")),
    Column("events", "SINCE START", justify="right", show=count),
)
CHANNELS = (
    Column("channel", "CHANNEL"),
    Column("connections", "CONNECTIONS", justify="right", show=count),
)
SIDE_BY_SIDE_WIDTH = 80
KEYS = "q quit   ? help"
HELP_KEYS = frozenset("?hH")
HELP = (
    "latency         from an event's id to its last write to a client, over the last minute",
    "loop lag        how late the service's event loop runs",
    "SENT/S, SENT    messages to this client in the last second, and since it connected",
    "BUFFERED        bytes waiting because the client reads slowly; too many for too long and it is closed",
)
LEAST_ROWS = 3
FEW_EVENTS = 100
"""A worker has so many still before it now and then: they are not told."""


def line(document: Top, now: float) -> str:
    """Format one sample as a line of ``HEADINGS``, separated by tabs; ``-`` for nothing."""
    status = document.status
    latency, slow = status.latency_ms, status.slow_consumers
    cells = [
        timestamp(datetime.fromtimestamp(now, UTC)), status.connections.total, status.events_per_second,
        status.deliveries_per_second, latency and latency.p50, latency and latency.p99, status.loop_lag_ms.p99,
        slow.lagging, slow.closed, status.memory_bytes,
    ]  # fmt: skip
    return "\t".join(cell(value) for value in cells)


def picture(document: Top, now: float, width: int, height: int, *, away: str | None = None) -> RenderableType:
    """Lay out one screen: header, tiers, types beside channels, then as many connections as fit."""
    status, moment = document.status, datetime.fromtimestamp(now, UTC)
    parts: list[RenderableType] = [*head(status, width, away), Text(), tiers(status), Text()]
    used = len(head(status, width, away)) + 8
    troubled = [source for source in status.sources if source.state != "running"][:3]
    parts += [_source(source, width) for source in troubled]
    used += len(troubled)
    lists = max(LEAST_ROWS, (height - used) // 3)
    types, channels = document.types[:lists], document.channels[:lists]
    parts += [_beside(types, channels, width), Text()]
    used += max(len(types), len(channels)) + 2
    if document.slow:
        slow = document.slow[: max(LEAST_ROWS, (height - used) // 3)]
        parts += [Text("slow consumers", style="bold yellow"), _connections(slow, moment, width), Text()]
        used += len(slow) + 3
    room = max(LEAST_ROWS, height - used - 1)
    if document.busiest:
        parts.append(_connections(document.busiest[:room], moment, width))
    else:
        parts.append(Text("no client was sent anything in the last second", style="dim"))
    return Group(*parts)


def screen_picture(
    document: Top, now: float, width: int, height: int, *, away: str | None, shows_help: bool
) -> RenderableType:
    """Lay out one screen with the keys at the bottom."""
    lines = [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in HELP] if shows_help else []
    body = picture(document, now, width, height - 1 - len(lines), away=away)
    return Foot(body, [*lines, footer(document, width)])


def head(status: Status, width: int, away: str | None) -> list[Text]:
    """Return the service's identity, its uptime, and the totals of the last seconds."""
    first = Text("SWIM ", style="bold")
    if away is None:
        first.append("● live", style="green")
    else:
        first.append(f"○ {clean(away)}; waiting for it", style="bold red")
    first.append(f"  {status.url}  pid {status.pid}, up {duration(status.uptime_seconds)}")
    latency, slow = status.latency_ms, status.slow_consumers
    flow = Text(f"{rate(status.events_per_second, 'events')}  {rate(status.deliveries_per_second, 'deliveries')}")
    flow.append(f"  memory {memory(status)}")
    delay = f"latency {_times(latency)}" if latency is not None else "no event in the last minute"
    state = Text(f"{delay}  loop lag {_times(status.loop_lag_ms)}")
    if slow.lagging or slow.closed:
        flow.append(f"  {slow.lagging} lagging, {slow.closed} closed as slow", style="yellow")
    lines = [first, flow, state, *([_workers(status.workers)] if status.workers else [])]
    for text in lines:
        text.truncate(width, overflow="ellipsis")
        text.no_wrap = True
    return lines


def _workers(workers: Sequence[WorkerDocument]) -> Text:
    """Return what tells worker processes apart: state, clients, delay of the event loop."""
    text = Text("workers")
    for each in workers:
        text.append(f"  {each.number}: ")
        if each.pid is None:
            text.append(each.state, style="red")
            continue
        text.append(f"{plural(each.connections, 'client')}, loop lag p99 {each.loop_lag_p99_ms:g} ms")
        if each.state != "ready":
            text.append(f" {each.state}", style="yellow")
        if each.lag_events >= FEW_EVENTS:
            text.append(f" {count(each.lag_events)} events behind", style="yellow")
    return text


def _times(times: Percentiles) -> str:
    return f"p50 {times.p50:g} p99 {times.p99:g} max {times.max:g} ms"


def _source(source: SourceDocument, width: int) -> Text:
    text = Text(f"source {clean(source.name)} ", no_wrap=True)
    text.append(source.state, style=STATE_STYLES.get(source.state, ""))
    if source.last_error:
        text.append(f": {clean(source.last_error)}", style="dim")
    text.truncate(width, overflow="ellipsis")
    return text


def _beside(types: Sequence[TypeRate], channels: Sequence[ChannelCount], width: int) -> RenderableType:
    left = table(TYPES, [asdict(each) for each in types])
    right = table(CHANNELS, [asdict(each) for each in channels])
    if not channels:
        return left
    if width < SIDE_BY_SIDE_WIDTH:
        return Group(left, Text(), right)
    grid = Table.grid(padding=(0, 4, 0, 0))
    grid.add_row(left, right)
    return grid


def _connections(found: Sequence[BusyConnection], moment: datetime, width: int) -> Table:
    rows = connection_rows(found, moment)
    return table(fitting(_columns(found), rows, width)[0], rows)


def _columns(found: Sequence[BusyConnection]) -> tuple[Column, ...]:
    return (*CONNECTIONS, WORKER) if any(each.worker is not None for each in found) else CONNECTIONS


def footer(document: Top, width: int) -> Text:
    """Return the keys, and what the terminal has no room for."""
    hidden = fitting(_columns(document.busiest), connection_rows(document.busiest, datetime.now(UTC)), width)[1]
    text = Text(KEYS, style="dim", no_wrap=True)
    if hidden and document.busiest:
        text.append(f"   {left_out(hidden)}")
    text.truncate(width, overflow="ellipsis")
    return text
