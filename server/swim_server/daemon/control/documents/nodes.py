"""What the control socket answers about the nodes that share a broker."""

from __future__ import annotations

import msgspec


class NodeDocument(msgspec.Struct, kw_only=True):
    """One node, as the one that was asked sees it."""

    name: str
    is_here: bool = False
    """It is the one that was asked."""
    state: str = "alive"
    """``alive``; ``silent``: it should have said something by now; ``gone``: what it held is free again."""
    age_seconds: float = 0.0
    """Since its last word."""
    version: str = ""
    fingerprint: str = ""
    configuration: str = ""
    """A digest of those settings that all nodes should have alike."""
    pid: int = 0
    url: str | None = None
    started_at: str | None = None
    connections: int = 0
    newest_id: str = "0-0"
    lag_events: int | None = None
    """How many events of the stream it has not seen; None: it can't be told. Counted up to 1,000."""
    lag_ms: int = 0
    clock_offset_ms: int = 0
    """How far its clock is ahead of the server's, as far as the way to it allows to tell."""
    probe_age_seconds: float | None = None
    """How long ago an event of its own came back to it through the stream."""
    sources: list[str] = []
    """The sources that it runs."""
    trouble: str | None = None


class EngineDocument(msgspec.Struct, kw_only=True):
    """The server that the nodes share."""

    address: str
    version: str = ""
    appendonly: str = ""
    appendfsync: str = ""
    maxmemory: int = 0
    maxmemory_policy: str = ""
    used_memory: int = 0
    problem: str | None = None
    """Why it can't be asked."""


class SourceLeaseDocument(msgspec.Struct, kw_only=True):
    """Who runs a source."""

    name: str
    holder: str | None = None
    """None: nobody does."""
    seconds_left: float = 0.0


class Nodes(msgspec.Struct, kw_only=True):
    """The answer to ``nodes``."""

    is_shared: bool = False
    """False: this process is alone, ``[broker] url`` is ``local``."""
    node: str | None = None
    """The one that was asked."""
    nodes: list[NodeDocument] = []
    engine: EngineDocument | None = None
    leases: list[SourceLeaseDocument] = []
    connections: dict[str, int] = {}
    """Of all nodes together, by tier."""
    problem: str | None = None
    """Why the others can't be asked for."""
