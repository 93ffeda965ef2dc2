"""Which nodes there are: each reports about itself once a second."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import msgspec

from swim_server.cluster.line import Line

LEASE_SECONDS = 10.0
"""What a node holds is freed if nothing was heard of it for this long."""
SILENT_SECONDS = 3.0
"""A node is shown as silent if nothing was heard of it for this long."""


class NodeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a node reports about itself."""

    version: str = ""
    fingerprint: str = ""
    configuration: str = ""
    """A digest of the settings that all nodes should share."""
    settings: dict[str, str] = {}
    """Digests of these settings by table, so that the table that differs can be named."""
    pid: int = 0
    url: str | None = None
    started_at: str | None = None
    connections: int = 0
    newest_id: str = "0-0"
    clock_ms: int = 0
    """The node's own clock."""
    probe_age_seconds: float | None = None
    """How long ago one of its own events came back to it through the stream."""
    sources: list[str] = []
    """The sources whose lease it holds."""
    wanted_sources: list[str] | None = None
    """The sources that it would run for all; None: a version that does not say."""
    trouble: str | None = None
    home: str = ""
    """A digest of the machine's name and the home: two processes with one name are told apart by it."""
    has_namesake: bool = False
    """Whether another process reports under its name."""
    keys: str = ""
    """A digest of the first key of the database that it reads; empty: there is none, or it is not known yet."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node as another one sees it."""

    name: str
    report: NodeReport
    age_seconds: float
    """Since its last report, by the server's clock."""
    clock_offset_ms: int
    """How far its clock was ahead of the server's."""
    reported_ms: int
    """When it reported, by the server's clock."""

    @property
    def is_silent(self) -> bool:
        """Tell whether its report is overdue."""
        return self.age_seconds > SILENT_SECONDS

    @property
    def is_alive(self) -> bool:
        """Tell whether what it holds still counts."""
        return self.age_seconds <= LEASE_SECONDS

    @property
    def state(self) -> str:
        """``alive``; ``silent``: its report is overdue; ``gone``: what it held is free."""
        return "gone" if not self.is_alive else "silent" if self.is_silent else "alive"


def node_name(configured: str | None, home: Path) -> str:
    """Return the name of this node; two homes on one machine are two nodes."""
    if configured is not None:
        return configured
    digest = hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:6]
    return f"{socket.gethostname().partition('.')[0] or 'node'}-{digest}"[:64]


def home_digest(home: Path) -> str:
    """Return a digest of the machine's name and the home."""
    return hashlib.sha256(f"{socket.gethostname()} {home.absolute()}".encode()).hexdigest()[:12]


async def read_nodes(line: Line) -> list[Node]:
    """Read the nodes that have reported within a day, by name. Raises BrokerUnavailable."""
    seconds, microseconds = await line.call("TIME")
    now_ms = int(seconds) * 1000 + int(microseconds) // 1000
    rows: list[bytes] = await line.call("HGETALL", line.names.nodes)
    found = []
    for name, row in zip(rows[::2], rows[1::2], strict=True):
        at, _, text = row.partition(b" ")
        report = msgspec.json.decode(text, type=NodeReport)
        found.append(
            Node(
                name=name.decode("utf-8", "replace"),
                report=report,
                age_seconds=round(max(now_ms - int(at), 0) / 1000, 1),
                clock_offset_ms=report.clock_ms - int(at),
                reported_ms=int(at),
            )
        )
    return sorted(found, key=lambda node: node.name)
