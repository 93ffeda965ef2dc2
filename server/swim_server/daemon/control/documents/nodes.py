"""Answers about the nodes that share a broker."""

# Annotations are values here, not text that msgspec would have to compile and evaluate at each start.

from typing import Any

import msgspec


class NodeDocument(msgspec.Struct, kw_only=True):
    """One node, as seen by the node that answers."""

    name: str
    is_here: bool = False
    """Whether it is the node that answers."""
    state: str = "alive"
    """``alive``; ``silent``: it is overdue; ``gone``: what it held has been freed."""
    age_seconds: float = 0.0
    """Since its last report."""
    version: str = ""
    fingerprint: str = ""
    configuration: str = ""
    """A digest of the settings that all nodes should share."""
    settings: dict[str, str] = {}
    """Digests of these settings by table."""
    pid: int = 0
    url: str | None = None
    started_at: str | None = None
    connections: int = 0
    newest_id: str = "0-0"
    lag_events: int | None = None
    """How many stored events it had not seen when it reported; None: unknown. Counted up to 1,000."""
    lag_ms: int = 0
    """How long the first of them had been stored."""
    clock_offset_ms: int = 0
    """How far its clock is ahead of the server's, within the uncertainty of the network delay."""
    probe_age_seconds: float | None = None
    """How long ago one of its own events came back to it through the stream."""
    sources: list[str] = []
    """The sources that it runs."""
    wanted_sources: list[str] | None = None
    """The sources that it would run for all; None: unknown."""
    trouble: str | None = None
    has_namesake: bool = False
    """Whether another process reports under its name."""
    keys: str = ""
    """A digest of the first key of the database that it reads; empty: none is known."""


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
    """Why it can't be queried."""


class SourceLeaseDocument(msgspec.Struct, kw_only=True):
    """Which node runs a source."""

    name: str
    holder: str | None = None
    """None: no node does."""
    seconds_left: float = 0.0


class Nodes(msgspec.Struct, kw_only=True):
    """The answer to ``nodes``."""

    is_shared: bool = False
    """False: this process is alone, ``[broker] url`` is ``local``."""
    node: str | None = None
    """The node that answers."""
    nodes: list[NodeDocument] = []
    engine: EngineDocument | None = None
    leases: list[SourceLeaseDocument] = []
    connections: dict[str, int] = {}
    """Of all nodes together, by tier."""
    problem: str | None = None
    """Why the other nodes can't be queried."""


class NodeAnswers(msgspec.Struct, kw_only=True):
    """The answer to ``on_nodes``: what each node answers."""

    is_shared: bool = False
    """False: this process is alone."""
    node: str | None = None
    """The node that was asked first."""
    answers: dict[str, msgspec.Raw] = {}
    errors: dict[str, dict[str, Any]] = {}
    silent: list[str] = []
    """Live nodes that have not answered in time."""
    problem: str | None = None
    """Why the others can't be asked."""
