"""The configuration as typed values. ``load`` builds them from files, environment and options."""

# Annotations are values here, not text that msgspec would have to compile and evaluate at each start.

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from swim_server.config.database_settings import AdlConfig, DatabaseConfig
from swim_server.config.setting_types import Count, Duration, FilePath, Port, SourceName
from swim_server.config.source_settings import SourceConfig

MAX_WORKERS = 64


class ServerConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[server]``: where clients connect."""

    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Port = 8090
    """0 picks a free port."""
    public_url: Annotated[str, Meta(extra={"rule": "websocket_url"})] | None = None
    """The address that clients use if there is a proxy: ``wss://swim.example.org/api/swim/v1/ws``."""
    allowed_origins: list[Annotated[str, Meta(extra={"rule": "browser_origin"})]] = []
    """Browser origins that may connect; empty: any (the key is the access control)."""
    trusted_proxies: list[Annotated[str, Meta(extra={"rule": "network"})]] = msgspec.field(
        default_factory=lambda: ["127.0.0.1", "::1"]
    )
    """Addresses or networks whose ``X-Forwarded-For`` is trusted."""
    heartbeat_seconds: Annotated[float, Meta(gt=0)] = 30
    max_message_bytes: Count = 65_536
    handshake_timeout_seconds: Annotated[float, Meta(gt=0)] = 10
    close_timeout_seconds: Annotated[float, Meta(gt=0)] = 5
    max_buffer_bytes: Count = 1_048_576
    """Buffer for a client that reads slowly; beyond it the client is closed with 4008."""
    max_waiting_bytes: Count = 65_536
    """Requests of one client that await an answer; beyond it reading from the client pauses."""
    max_turn_frames: Count = 32
    """Frames of one client handled in one turn of the event loop; the rest waits for the next turns."""
    max_turn_bytes: Count = 65_536
    """The same in decompressed bytes."""
    abuse_factor: Annotated[int, Meta(ge=2)] = 20
    """A client that exceeds its rate this many times, in frames of any kind, is closed at once with 4002."""
    max_head_bytes: Annotated[int, Meta(ge=1024)] = 16_384
    """Largest head of an HTTP request."""
    max_arriving: Count = 8192
    """Connections not yet admitted, in total; silent ones are closed first."""
    max_arriving_per_address: Count = 1024
    """The same per address, except for trusted proxies."""
    max_arriving_bytes: Count = 33_554_432
    """Total bytes buffered for connections not yet admitted."""
    descriptor_reserve: Count = 200
    """File descriptors kept free for everything but connections; at most a quarter of all."""
    max_connection_hours: Annotated[float, Meta(ge=0)] = 0
    """Clients connected for longer are asked to reconnect, spread over a tenth of this time; 0: never."""
    workers: Annotated[int, Meta(ge=1, le=MAX_WORKERS)] | Literal["auto"] = 1
    """Processes that serve WebSocket clients; 1: the only process does. ``auto``: as many as there are processors."""
    tls_certificate: FilePath | None = None
    """TLS without a proxy: a PEM file with the certificate and its chain. Reloaded when it changes."""
    tls_key: FilePath | None = None
    """The private key, PEM, without a passphrase."""


class AuthConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[auth]``: how keys are checked."""

    cache_seconds: Annotated[float, Meta(ge=0)] = 300
    negative_cache_seconds: Annotated[float, Meta(ge=0)] = 5
    stale_grace_seconds: Annotated[float, Meta(ge=0)] = 3600
    recheck_seconds: Annotated[float, Meta(gt=0)] = 30


class TierConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[tiers.NAME]``: what the keys of a tier may do."""

    connections: Annotated[int, Meta(ge=1)]
    """Maximum concurrent connections of all keys of the tier together."""
    connections_per_key: Count | None = None
    messages_per_second: Count = 10
    requests_per_minute: Count = 60
    """HTTP requests per minute of one key."""


class TiersConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[tiers]``: the four that exist."""

    public: TierConfig = msgspec.field(default_factory=lambda: TierConfig(connections=5))
    developer: TierConfig = msgspec.field(default_factory=lambda: TierConfig(connections=50, requests_per_minute=300))
    partner: TierConfig = msgspec.field(default_factory=lambda: TierConfig(connections=500, requests_per_minute=3_000))
    system: TierConfig = msgspec.field(
        default_factory=lambda: TierConfig(connections=10_000, requests_per_minute=30_000)
    )


class HistoryConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[history]``: how far back clients can resume."""

    keep: Duration = "24h"
    keep_positions: Duration = "15m"
    max_bytes: Count = 2_147_483_648
    synchronous: Literal["normal", "full"] = "normal"
    """Both survive a killed process; ``full`` also survives a power cut, at one fsync per commit."""


class BrokerConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[broker]``: who stores and orders events."""

    url: Annotated[str, Meta(extra={"rule": "broker_url"})] = "local"
    """``local``; or the Redis or Valkey server of several nodes: ``redis://``, ``rediss://``, ``unix://``; or sentinels
    that name it: ``redis+sentinel://[user:password@]host:port,…/master``, with the login for the sentinels."""
    username: str | None = None
    password: Annotated[str, Meta(extra={"rule": "secret"})] | None = None
    """Better in the environment, ``SWIM_BROKER__PASSWORD``, or in ``password_file``, than in a configuration file."""
    password_file: Annotated[str, Meta(extra={"rule": "path"})] | None = None
    """A file whose first line is the password."""
    prefix: SourceName = "swim"
    """Prefix of all keys on the server: each installation on it needs its own."""


class ClusterConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[cluster]``: this node among those that share a broker."""

    node: SourceName | None = None
    """Its name, unique among the nodes; None: the machine's name and a few characters of the home."""
    remote_restart: bool = False
    """Whether ``swimctl restart --all`` on another node may restart this one, with the code on its own disk."""


class ChannelsConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[channels]``: families and types in addition to the built-in ones, e.g. ``weather = ["sigmet", "metar"]``."""

    families: dict[str, list[str]] = {}


class StateKindConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[state.kinds.NAME]``: entries formed by the events of a family, sent to clients that ask for state."""

    family: Annotated[str, Meta(min_length=1)]
    key: Annotated[list[str], Meta(min_length=1)]
    """The data fields that identify an entry."""
    ends: list[str] = []
    """Event types that end an entry, with or without the family."""


class StateConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[state]``: the current state of flights, initiatives and other entries."""

    max_age: Duration = "24h"
    """A flight without events for this long is deleted, with an event."""
    kinds: dict[str, StateKindConfig] = {}


class PagesConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[pages]``: the pages served to browsers."""

    enabled: bool = True
    """The live map ``/map``, for whoever has a key, and ``/ops``, for the operator."""
    status: bool = False
    """``/status``, for everybody: whether the service is up, and how old its data is; nothing else."""


class DetectionConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[detection]``: what the feed's snapshots are compared with."""

    boundaries: FilePath | None = None
    """GeoJSON of the VATSpy data project, ``.gz`` or not. None: centre and FIR of a flight are null."""


class PublishKeyConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[publish.keys.ID]``: what one key may publish."""

    channels: list[str] = []
    """Types and families; empty: all."""


class PublishConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[publish]``: limits of the ``publish`` action, and who may publish what."""

    events_per_second: Count = 100
    """Per connection. Published events do not count as messages of the tier."""
    max_event_bytes: Annotated[int, Meta(ge=1, le=1_048_576)] = 65_535
    """Largest message. The effective maximum is 65535, the longest event that clients can be sent."""
    keys: dict[str, PublishKeyConfig] = {}
    """By the key's id, as ``swimctl keys list`` shows it."""


class LoggingConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[logging]``."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
    file: FilePath | None = None
    """None: standard error in the foreground, ``$SWIM_HOME/swim.log`` when detached."""
    max_bytes: Annotated[int, Meta(ge=0)] = 52_428_800
    """Rotate the file before it exceeds this size; 0: never, for instance with logrotate."""
    keep_files: Annotated[int, Meta(ge=0, le=1000)] = 5
    """How many rotated files are kept: ``swim.log.1`` is the newest."""


class ExpectedCount(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Minimum and maximum number of connections; None: no bound."""

    min: Annotated[int, Meta(ge=0)] | None = None
    max: Annotated[int, Meta(ge=0)] | None = None


class ExpectConnectionsConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[expect.connections]``: who should be connected, by tier and by the owner of the key."""

    public: ExpectedCount | None = None
    developer: ExpectedCount | None = None
    partner: ExpectedCount | None = None
    system: ExpectedCount | None = None
    owner: dict[str, ExpectedCount] = {}


class ExpectConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[expect]``: what ``swimctl doctor`` expects to find."""

    version: str | None = None
    commit: str | None = None
    event_within: Duration | None = None
    """The service is not ready unless at least one source has published within this time."""
    connections: ExpectConnectionsConfig = msgspec.field(default_factory=ExpectConnectionsConfig)


class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The whole configuration."""

    server: ServerConfig = msgspec.field(default_factory=ServerConfig)
    auth: AuthConfig = msgspec.field(default_factory=AuthConfig)
    database: DatabaseConfig = msgspec.field(default_factory=DatabaseConfig)
    tiers: TiersConfig = msgspec.field(default_factory=TiersConfig)
    history: HistoryConfig = msgspec.field(default_factory=HistoryConfig)
    broker: BrokerConfig = msgspec.field(default_factory=BrokerConfig)
    cluster: ClusterConfig = msgspec.field(default_factory=ClusterConfig)
    channels: ChannelsConfig = msgspec.field(default_factory=ChannelsConfig)
    state: StateConfig = msgspec.field(default_factory=StateConfig)
    sources: list[SourceConfig] = []
    adl: dict[str, AdlConfig] = {}
    """By the name that a source refers to."""
    detection: DetectionConfig = msgspec.field(default_factory=DetectionConfig)
    pages: PagesConfig = msgspec.field(default_factory=PagesConfig)
    publish: PublishConfig = msgspec.field(default_factory=PublishConfig)
    logging: LoggingConfig = msgspec.field(default_factory=LoggingConfig)
    expect: ExpectConfig = msgspec.field(default_factory=ExpectConfig)


SOURCES = ("sources", "adl", "detection")
LOGGING = ("level", "format", "max_bytes", "keep_files")
RELOADABLE = ("tiers", "auth.recheck_seconds", *(f"logging.{name}" for name in LOGGING), "expect", "publish", *SOURCES)
"""Settings, by the beginning of their dotted names, that take effect at once. All others need a restart."""
