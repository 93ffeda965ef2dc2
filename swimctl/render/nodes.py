"""The nodes that share a broker, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from swimctl.table import Column
from swimctl.text import count, duration

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.nodes import NodeDocument, Nodes

CLOCK_MS = 1000
MOST_COUNTED = 1000
"""The service counts no further."""
COLUMNS: tuple[Column, ...] = (
    Column("shown_name", "NODE", style="cyan", is_whole=True),
    Column("state", "STATE", styles={"silent": "yellow", "gone": "red"}),
    Column("version", "VERSION", rank=3),
    Column("fingerprint", "FINGERPRINT", rank=6),
    Column("connections", "CONNECTIONS", justify="right", show=count),
    Column("lag", "LAG", justify="right", rank=1),
    Column("clock", "CLOCK", justify="right", rank=4),
    Column("sources", "SOURCES", is_flexible=True, rank=2),
    Column("url", "ADDRESS", is_flexible=True, rank=5),
)
PLAIN: tuple[Column, ...] = tuple(
    Column(name, name)
    for name in (
        "name", "state", "age_seconds", "version", "fingerprint", "configuration", "connections", "lag_events",
        "lag_ms", "clock_offset_ms", "probe_age_seconds", "sources", "url",
    )
)  # fmt: skip


def rows(nodes: Sequence[NodeDocument]) -> list[dict[str, Any]]:
    """Return the rows of the table."""
    return [
        {
            **asdict(node),
            "shown_name": f"{node.name} *" if node.is_here else node.name,
            "lag": _lag(node),
            "clock": f"{node.clock_offset_ms:+d} ms",
            "sources": ", ".join(node.sources),
        }
        for node in nodes
    ]


def summary(found: Nodes) -> Iterator[str]:
    """Say what is wrong with which node, and what concerns all."""
    yield from _problems(found.nodes)
    tiers = ", ".join(f"{tier} {count(number)}" for tier, number in sorted(found.connections.items()))
    yield f"connections of all nodes: {tiers or 'none'}"
    for lease in found.leases:
        yield f"source {lease.name}: {f'runs on {lease.holder}' if lease.holder else 'nobody runs it'}"
    if found.engine is not None:
        engine = found.engine
        kept = f"appendonly {engine.appendonly or 'unknown'}, appendfsync {engine.appendfsync or 'unknown'}"
        yield f"server {found.engine.address}, {found.engine.version}: {kept}"


def _problems(nodes: Sequence[NodeDocument]) -> Iterator[str]:
    for node in nodes:
        if node.state == "silent":
            yield f"{node.name}: nothing heard for {node.age_seconds:.0f} s"
        elif node.state == "gone":
            yield f"{node.name}: nothing heard for {duration(node.age_seconds)}; what it held is free"
        elif node.has_namesake:
            yield f"{node.name}: two processes report under this name"
        elif node.trouble is not None:
            yield f"{node.name}: {node.trouble}"
        if node.state == "alive" and abs(node.clock_offset_ms) > CLOCK_MS:
            yield f"{node.name}: its clock is {node.clock_offset_ms:+,d} ms from the server's"


def _lag(node: NodeDocument) -> str:
    if not node.lag_events:
        return "0"
    more = "+" if node.lag_events >= MOST_COUNTED else ""
    return f"{count(node.lag_events)}{more} / {count(node.lag_ms)} ms"
