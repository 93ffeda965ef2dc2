"""``status``: one document about the running service."""

from __future__ import annotations

from typing import Any

import msgspec


class TierUse(msgspec.Struct, kw_only=True):
    """The connections of one tier."""

    current: int = 0
    limit: int = 0


class ConnectionCounts(msgspec.Struct, kw_only=True):
    """The admitted clients."""

    total: int = 0
    by_tier: dict[str, TierUse] = {}


class SlowConsumers(msgspec.Struct, kw_only=True):
    """Clients that don't read as fast as they are written to."""

    lagging: int = 0
    """At this moment."""
    closed: int = 0
    """With 4008, since the start."""


class SourceDocument(msgspec.Struct, kw_only=True):
    """One source, its ages counted from the moment of the answer."""

    name: str
    kind: str = ""
    state: str = ""
    events: int = 0
    last_event_age_seconds: float | None = None
    last_success_age_seconds: float | None = None
    errors: int = 0
    last_error: str | None = None
    details: dict[str, Any] = {}
    rejected: int = 0
    """Events of its input that it could not publish, since the start."""
    feed_age_seconds: float | None = None
    """How old what its feed last said is; None: its feed doesn't tell."""
    unknown_types: dict[str, int] = {}
    """Events that it set aside for an unknown type, by type, since the start."""


class HistoryDocument(msgspec.Struct, kw_only=True):
    """What history holds."""

    oldest_id: str | None = None
    newest_id: str | None = None
    events: int = 0
    is_counted: bool = True
    """False: a large history is still being counted, and ``events`` says nothing."""
    size_bytes: int = 0
    problem: str | None = None
    """Why it can't be read at the moment."""
    trouble: str | None = None
    """Why it can't be written, written back or checked at the moment."""
    failures: int = 0
    """Commits that could not be made, since the start."""
    rotten: int = 0
    """Stretches that were found not to be what was stored, since the start."""
    checked_at: float | None = None
    """Unix time at which all of it was last read through; None: not since the start."""
    damaged_files: list[str] = []
    """Histories that were set aside; none of them is ever removed by the service."""


class KeysDocument(msgspec.Struct, kw_only=True):
    """How the checking of keys is doing."""

    problem: str | None = None
    """Why keys can't be checked at the moment."""
    problem_seconds: float | None = None
    writing_problem: str | None = None
    """Why uses and refusals can't be written; keys may be checked all the same."""
    not_stored: list[int] = []
    """Keys that were ended in memory: the database could not store it yet."""
    remembered: int = 0
    waiting: int = 0
    queries: int = 0
    granted: int = 0
    refused: int = 0
    unavailable: int = 0
    recheck_error: str | None = None
    """Why the keys of live connections can't be read again."""


class Percentiles(msgspec.Struct, kw_only=True):
    """Of the samples of the last minute."""

    p50: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class LogDocument(msgspec.Struct, kw_only=True):
    """Where the process logs, and whether it can."""

    path: str | None = None
    """None: not a file that it rotates."""
    lost_lines: int = 0
    problem: str | None = None
    max_bytes: int = 0
    opened_as: str | None = None
    """Where standard error led at the start, where that is no file of ours; with another name now, it was moved."""


class Status(msgspec.Struct, kw_only=True):
    """The whole document."""

    pid: int
    version: str = ""
    fingerprint: str = ""
    commit: str | None = None
    python: str | None = None
    url: str | None = None
    home: str = ""
    config_files: list[str] = []
    started_at: str = ""
    uptime_seconds: float = 0.0
    connections: ConnectionCounts = msgspec.field(default_factory=ConnectionCounts)
    subscription_groups: int = 0
    events_published: int = 0
    events_per_second: float = 0.0
    deliveries: int = 0
    deliveries_per_second: float = 0.0
    refused: dict[str, int] = {}
    """Refused connections since the start, by reason."""
    slow_consumers: SlowConsumers = msgspec.field(default_factory=SlowConsumers)
    sources: list[SourceDocument] = []
    history: HistoryDocument = msgspec.field(default_factory=HistoryDocument)
    keys: KeysDocument = msgspec.field(default_factory=KeysDocument)
    latency_ms: Percentiles | None = None
    """From an event's id to the last write of it; None: there was no event in the last minute."""
    loop_lag_ms: Percentiles = msgspec.field(default_factory=Percentiles)
    memory_bytes: int = 0
    log: LogDocument = msgspec.field(default_factory=LogDocument)
    supervisor: str | None = None
    """What keeps the process running: ``systemd``, ``supervisord``, ``container``; None: nothing that it knows of."""
    supervised_as: str | None = None
    """What that knows it by: a unit, a program of supervisord."""
    has_terminal: bool = False
    """It ends with its terminal."""
    program: str | None = None
    """The path of the program that was started."""
    executable: str | None = None
    """The Python that runs it."""
    arguments: list[str] = []
    """The program's arguments; credentials in addresses are hidden."""
    memory_settled_bytes: int | None = None
    """Resident memory ten seconds after the start; None: it is younger."""
    metrics_read_age_seconds: float | None = None
    """How long ago somebody read ``/metrics``; None: nobody has since the start."""
    metrics_pace_seconds: float | None = None
    """How often that was, by the last few times; None: it was not often."""
