"""Answers for doctor: limits and paces, counts of connections, temporary keys and probe events."""

# Annotations are values here, not text that msgspec would have to compile and evaluate at each start.

from typing import Any

import msgspec


class TierPromise(msgspec.Struct, kw_only=True):
    """The limits of one tier as the process applies them."""

    connections: int
    connections_per_key: int | None = None
    messages_per_second: int
    current: int


class KindPromise(msgspec.Struct, kw_only=True):
    """How long history keeps one kind of event, and whether any of it is missing."""

    keep_seconds: float
    has_gap: bool | None = None
    """None: history can't be read."""


class HistoryPromise(msgspec.Struct, kw_only=True):
    """Retention as the process applies it."""

    max_bytes: int
    problem: str | None = None
    """Why history can't be read."""
    events: KindPromise
    positions: KindPromise


class SourcePace(msgspec.Struct, kw_only=True):
    """How often a source looks at its input."""

    name: str
    pace_seconds: float
    path: str | None = None


class Promises(msgspec.Struct, kw_only=True):
    """The answer to ``promises``: what the process commits itself to."""

    tiers: dict[str, TierPromise]
    history: HistoryPromise
    sources: list[SourcePace]
    heartbeat_seconds: float
    recheck_seconds: float
    now_ms: int


class Eviction(msgspec.Struct, kw_only=True):
    """A client that was closed because it could not keep up."""

    seconds_ago: float
    id: str
    key_id: int | None = None
    owner: str | None = None
    reason: str = ""


class KeyTally(msgspec.Struct, frozen=True, kw_only=True):
    """Connections of one key, admitted as of one tier."""

    key_id: int
    tier: str
    owner: str
    connections: int


class PeerTally(msgspec.Struct, frozen=True, kw_only=True):
    """Clients whose TCP connections come from one address: a proxy's, or their own."""

    address: str
    connections: int
    oldest_seconds: float
    """How long the oldest of them has lasted."""


class Laggard(msgspec.Struct, kw_only=True):
    """A client that reads more slowly than it is written to."""

    id: str
    key_id: int
    owner: str
    remote: str = ""
    buffered_bytes: int


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that ended without a close frame."""

    seconds_ago: float
    seconds: float
    """How long it lasted."""


class RecentRefusals(msgspec.Struct, frozen=True, kw_only=True):
    """Connections refused within the last ten minutes, for one reason, with one key."""

    reason: str
    key_id: int | None = None
    """None: no known key."""
    count: int


class Tally(msgspec.Struct, kw_only=True):
    """The answer to ``tally``: the connections of one moment, counted in several ways."""

    made: int
    gone: int
    public: int
    closing: int
    admitted: dict[str, int]
    listed: dict[str, int]
    is_handing_over: bool
    slow_consumers: int
    evictions: list[Eviction]
    keys: list[KeyTally] = []
    """Empty in a brief answer, like all fields below."""
    agents: dict[str, int] = {}
    lagging: list[Laggard] = []
    refused: list[RecentRefusals] = []
    """The most frequent ones."""
    without_channel: dict[str, int] = {}
    """Clients connected for a minute without a subscription, by the owner of their key."""
    peers: list[PeerTally] = []
    """The addresses with the most connections, the busiest first."""
    cuts: list[Cut] = []
    """The most recent connections that ended without a close frame."""


class ToldOf(msgspec.Struct, frozen=True, kw_only=True):
    """What one event of history says of an entry."""

    type: str
    timestamp: str
    at_ms: int
    data: dict[str, Any]


class SampledEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the state, and everything that history says of it."""

    kind: str
    key: str
    entry: dict[str, Any] | None = None
    """None: it is not in the state."""
    told: list[ToldOf]


class StateSample(msgspec.Struct, kw_only=True):
    """The answer to ``state_sample``: entries that are younger than the range of history that was read."""

    as_of: str | None = None
    """The last event that was read; None: the state is still being loaded."""
    entries: list[SampledEntry] = []


class ProbeKey(msgspec.Struct, frozen=True, kw_only=True):
    """A temporary key, and the number by which it is revoked."""

    id: int
    api_key: str


class ProbeKeys(msgspec.Struct, kw_only=True):
    """The answer to ``probe_keys``."""

    keys: list[ProbeKey]


class ProbeKeysEnded(msgspec.Struct, kw_only=True):
    """The answer to ``probe_keys_end``."""

    closed: int = 0
    """Number of connections."""


class ProbeAnnounced(msgspec.Struct, kw_only=True):
    """The answer to ``probe_refusal``."""

    announced: bool = True


class ProbeRow(msgspec.Struct, kw_only=True):
    """The answer to ``probe_row``."""

    database: str
    found: bool
    description: str | None = None


class ProbeConnection(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The answer to ``probe_connection``."""

    found: bool
    remote: str | None = None
    tier: str | None = None
    peer: str | None = None
    """Host and port of the TCP connection's other end, ``host port``: the client's own, or a proxy's."""


class ProbeStored(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to ``probe_event``: the probe is stored."""

    id: str
    now_ms: int
    """The process's clock just afterwards."""
