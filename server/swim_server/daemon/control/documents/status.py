"""``status``: one document about the running service."""

# Annotations are values here, not text that msgspec would have to compile and evaluate at each start.

from typing import Any

import msgspec


class TierUse(msgspec.Struct, kw_only=True):
    """The connections of one tier."""

    current: int = 0
    limit: int = 0
    all_nodes: int | msgspec.UnsetType = msgspec.UNSET
    """Of all nodes that share the limit; left out where there is only this one."""


class ConnectionCounts(msgspec.Struct, kw_only=True):
    """The admitted clients."""

    total: int = 0
    by_tier: dict[str, TierUse] = {}


class SlowConsumers(msgspec.Struct, kw_only=True):
    """Clients that read more slowly than they are written to."""

    lagging: int = 0
    """At this moment."""
    closed: int = 0
    """Closed with 4008, since the start."""


class SourceDocument(msgspec.Struct, kw_only=True):
    """One source; ages are as of the answer."""

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
    """Events of its input that could not be published, since the start."""
    feed_age_seconds: float | None = None
    """How old the feed's last update is; None: the feed doesn't say."""
    unknown_types: dict[str, int] = {}
    """Events set aside because of an unknown type, by type, since the start."""


class HistoryDocument(msgspec.Struct, kw_only=True):
    """What history contains."""

    oldest_id: str | None = None
    newest_id: str | None = None
    events: int = 0
    is_counted: bool = True
    """False: a large history is still being counted, and ``events`` means nothing."""
    size_bytes: int = 0
    problem: str | None = None
    """Why it can't be read at the moment."""
    writing_problem: str | None = None
    """Why it can't be written, checkpointed or checked at the moment."""
    failures: int = 0
    """Commits that failed, since the start."""
    corrupt_ranges: int = 0
    """Ranges found since the start that no longer hold what was stored."""
    checked_at: float | None = None
    """Unix time at which the last complete check ended; None: there was none since the start."""
    damaged_files: list[str] = []
    """Damaged history files that were set aside; the service never removes one."""


class KeysDocument(msgspec.Struct, kw_only=True):
    """The state of key checking."""

    problem: str | None = None
    """Why keys can't be checked at the moment."""
    problem_seconds: float | None = None
    writing_problem: str | None = None
    """Why uses and refusals can't be written; keys can still be checked."""
    not_stored: list[int] = []
    """Keys revoked or expired in memory that the database could not store yet."""
    cached: int = 0
    """Keys whose answers are cached."""
    pending: int = 0
    """Questions that wait for the database."""
    queries: int = 0
    granted: int = 0
    refused: int = 0
    unavailable: int = 0
    recheck_error: str | None = None
    """Why the keys of live connections can't be read again."""


class Percentiles(msgspec.Struct, kw_only=True):
    """Percentiles of the samples of the last minute."""

    p50: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class LogDocument(msgspec.Struct, kw_only=True):
    """Where the process logs, and whether that works."""

    path: str | None = None
    """None: not a file that the process rotates."""
    lost_lines: int = 0
    problem: str | None = None
    max_bytes: int = 0
    opened_as: str | None = None
    """Where standard error led at the start, if not to a file of ours; if it has another name now, it was moved."""
    can_reopen: bool = False
    """SIGUSR2 opens it again by its name."""


class WorkerDocument(msgspec.Struct, kw_only=True):
    """A process that serves clients for the one that answers."""

    number: int
    pid: int | None = None
    """None: it is not running at the moment."""
    state: str = "gone"
    """``starting``, ``ready``, ``leaving``; ``silent``: its reports are overdue; ``gone``: it is not running."""
    connections: int = 0
    """Open connections, admitted or not, and those on their way to it."""
    lag_events: int = 0
    """Events that it had not received when it last reported."""
    waiting_bytes: int = 0
    """Bytes that it has not taken yet."""
    report_age_seconds: float = 0.0
    uptime_seconds: float = 0.0
    restarts: int = 0
    """How often it was started again since the start of the service."""
    recent_restarts: int = 0
    """The same within the last ten minutes."""
    last_end: str | None = None
    """Why it last ended."""
    memory_bytes: int = 0
    cpu_seconds: float = 0.0
    loop_lag_p99_ms: float = 0.0


class OtherNode(msgspec.Struct, kw_only=True):
    """Another node, as of its last report."""

    state: str = "alive"
    """``alive``, ``silent`` or ``gone``; more by ``swimctl nodes``."""
    connections: int = 0


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
    """From an event's id to its last write; None: there was no event in the last minute."""
    loop_lag_ms: Percentiles = msgspec.field(default_factory=Percentiles)
    memory_bytes: int = 0
    log: LogDocument = msgspec.field(default_factory=LogDocument)
    supervisor: str | None = None
    """What supervises the process: ``systemd``, ``supervisord``, ``container``; None: nothing known."""
    supervised_as: str | None = None
    """The supervisor's name for it: a unit, a program of supervisord."""
    has_terminal: bool = False
    """Whether it ends with its terminal."""
    program: str | None = None
    """The path of the program that was started."""
    executable: str | None = None
    """The Python that runs it."""
    arguments: list[str] = []
    """The program's arguments; credentials in addresses are hidden."""
    memory_settled_bytes: int | None = None
    """Resident memory ten seconds after the start; None: it is younger."""
    metrics_read_age_seconds: float | None = None
    """How long ago ``/metrics`` was last read; None: not since the start."""
    metrics_pace_seconds: float | None = None
    """The interval of the last few reads; None: there were too few."""
    workers: list[WorkerDocument] = []
    """The processes that serve the clients; empty: this one does."""
    node: str | None = None
    """This node's name among several; None: it is the only one."""
    other_nodes: dict[str, OtherNode] = {}
    nodes_problem: str | None = None
    """Why the other nodes can't be seen at the moment: this one admits no more than its last share."""
