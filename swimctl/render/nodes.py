"""The nodes that share a broker, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from swimctl.table import Column
from swimctl.text import count

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.nodes import NodeDocument, Nodes

COLUMNS: tuple[Column, ...] = (
    Column("name", "NODE", style="cyan", is_whole=True),
    Column("state", "STATE", styles={"silent": "yellow", "gone": "red"}),
    Column("version", "VERSION", rank=4),
    Column("fingerprint", "FINGERPRINT", rank=6),
    Column("connections", "CONNECTIONS", justify="right", show=count),
    Column("lag", "LAG", justify="right", rank=1),
    Column("clock", "CLOCK", justify="right", rank=5),
    Column("sources", "SOURCES", is_flexible=True, rank=2),
    Column("url", "ADDRESS", is_flexible=True, rank=3),
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
            "name": f"{node.name} *" if node.is_here else node.name,
            "lag": _lag(node),
            "clock": f"{node.clock_offset_ms:+d} ms",
            "sources": ", ".join(node.sources),
        }
        for node in nodes
    ]


def summary(found: Nodes) -> Iterator[str]:
    """Summarise what concerns all nodes."""
    tiers = ", ".join(f"{tier} {number}" for tier, number in sorted(found.connections.items()))
    yield f"connections of all nodes: {tiers or 'none'}"
    for lease in found.leases:
        yield f"source {lease.name}: {f'runs on {lease.holder}' if lease.holder else 'nobody runs it'}"
    if found.engine is not None:
        kept = f"appendonly {found.engine.appendonly}, appendfsync {found.engine.appendfsync}"
        yield f"server {found.engine.address}, {found.engine.version}: {kept}"


def _lag(node: NodeDocument) -> str:
    if not node.lag_events:
        return "0"
    return f"{count(node.lag_events)} / {count(node.lag_ms)} ms"
