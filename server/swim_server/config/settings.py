"""The configuration as typed values. How files, environment and options become these: ``load``.

Annotations carry the rules: a range stands in ``Meta``, everything else is named there and kept in ``rules``.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Duration = Annotated[str, Meta(extra={"rule": "duration"})]
"""A number with a unit: ``500ms``, ``30s``, ``15m``, ``24h``, ``7d``; a bare number means seconds."""
FilePath = Annotated[str, Meta(extra={"rule": "path"})]
"""Relative to the folder of the configuration file; in an option or variable, to the working directory."""
SourceName = Annotated[str, Meta(extra={"rule": "name"})]
FeedUrl = Annotated[str, Meta(extra={"rule": "feed_url"})]
SqlName = Annotated[str, Meta(extra={"rule": "sql_name"})]


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


class DatabaseConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[database]``: where keys live."""

    url: Annotated[str, Meta(extra={"rule": "database_url"})] | None = None
    """SQLAlchemy URL; default: ``sqlite:///$SWIM_HOME/swim.db``."""
    odbc: Annotated[str, Meta(extra={"rule": "odbc"})] | None = None
    """A raw ODBC connection string for SQL Server, instead of ``url``."""
    username: str | None = None
    password: Annotated[str, Meta(extra={"rule": "secret"})] | None = None
    """Prefer the environment, ``SWIM_DATABASE__PASSWORD``, or ``password_file`` to a configuration file."""
    password_file: Annotated[str, Meta(extra={"rule": "path"})] | None = None
    """A file whose first line is the password."""
    authentication: Literal["password", "managed-identity"] = "password"
    """``managed-identity``: use an access token of the Azure machine or app that the service runs on."""
    identity_client_id: str | None = None
    """Which identity to use if the machine has several."""
    connect_timeout_seconds: Annotated[float, Meta(gt=0)] = 5
    query_timeout_seconds: Annotated[float, Meta(gt=0)] = 5
    pool_size: Annotated[int, Meta(ge=1, le=100)] = 5
    """Size of the connection pool."""


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
    """``local``; or the Redis or Valkey server of several nodes: ``redis://``, ``rediss://``, ``unix://``."""
    username: str | None = None
    password: Annotated[str, Meta(extra={"rule": "secret"})] | None = None
    """Better in the environment, ``SWIM_BROKER__PASSWORD``, or in ``password_file``, than in a file of settings."""
    password_file: Annotated[str, Meta(extra={"rule": "path"})] | None = None
    """A file whose first line is the password."""
    prefix: SourceName = "swim"
    """Begins the names of all keys on the server: another installation on the same one needs another."""


class ClusterConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[cluster]``: this node among those that share a broker."""

    node: SourceName | None = None
    """Its name, another one on each node; None: the machine's name and a few characters of the home."""


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


class FileSourceConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="file"):
    """The provider's event file."""

    name: SourceName | None = None
    path: FilePath
    interval_seconds: Annotated[float, Meta(gt=0)] = 0.1
    """Polling interval where file system notification is unavailable."""


class RecordingSourceConfig(
    msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="recording"
):
    """A file of events as ``swimctl record`` writes it, or a folder of feed snapshots, ``*.json`` or ``*.json.gz``."""

    name: SourceName | None = None
    path: FilePath
    speed: Annotated[float, Meta(gt=0)] = 1
    loop: bool = True
    start: Annotated[str, Meta(extra={"rule": "seek"})] | None = None
    """Where to start: an event id, a time, or a duration from the beginning."""


class SimulatorSourceConfig(
    msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="simulator"
):
    """Endless simulated traffic between real airports."""

    name: SourceName | None = None
    flights: Annotated[int, Meta(ge=1, le=20_000)] = 300
    speed: Annotated[float, Meta(gt=0)] = 30
    """How many times faster than real time."""
    seed: int = 1


class DropSourceConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="drop"):
    """A folder into which providers move files of JSON lines."""

    name: SourceName | None = None
    path: FilePath
    interval_seconds: Annotated[float, Meta(gt=0)] = 0.5
    """Polling interval where file system notification is unavailable."""


class VatsimSourceConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="vatsim"):
    """The VATSIM data feed, version 3."""

    name: SourceName | None = None
    url: FeedUrl = "https://data.vatsim.net/v3/vatsim-data.json"
    interval_seconds: Annotated[float, Meta(gt=0)] = 15
    """The feed's own update interval, and the polling interval; less than 15 only for a feed on this machine."""


class EcfmpSourceConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="ecfmp"):
    """Flow measures of the European Collaboration and Flow Management Project."""

    name: SourceName | None = None
    url: FeedUrl = "https://ecfmp.vatsim.net/api/v1/flow-measure?deleted=1"
    interval_seconds: Annotated[float, Meta(gt=0)] = 60
    """Less than 60 only for a server on this machine."""


class AdlSourceConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="adl"):
    """Flights and traffic management initiatives from SQL tables."""

    name: SourceName | None = None
    database: SourceName
    """Which ``[adl.NAME]``."""
    interval_seconds: Annotated[float, Meta(gt=0)] = 15
    """How often the tables are updated, and read."""


SourceConfig = (
    FileSourceConfig
    | DropSourceConfig
    | RecordingSourceConfig
    | SimulatorSourceConfig
    | VatsimSourceConfig
    | EcfmpSourceConfig
    | AdlSourceConfig
)


class AdlDatabaseConfig(DatabaseConfig, forbid_unknown_fields=True, kw_only=True):
    """``[adl.NAME.flights]``, ``[adl.NAME.tmis]``: the connection to one database of tables."""

    url: Annotated[str, Meta(extra={"rule": "tables_database_url"})] | None = None
    """SQLAlchemy URL: ``mssql+pyodbc://…``, ``sqlite:///…``, ``postgresql+psycopg://…``."""
    connect_timeout_seconds: Annotated[float, Meta(gt=0)] = 15
    query_timeout_seconds: Annotated[float, Meta(gt=0)] = 30
    pool_size: Annotated[int, Meta(ge=1, le=100)] = 1


class FlightCoreNames(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[adl.NAME.adl_flight_core]``: names of the table and its columns."""

    table: SqlName = "adl_flight_core"
    """With its schema or database, if not the default one: ``dbo.adl_flight_core``."""
    flight_uid: SqlName = "flight_uid"
    callsign: SqlName = "callsign"
    is_active: SqlName = "is_active"
    first_seen_utc: SqlName = "first_seen_utc"
    last_seen_utc: SqlName = "last_seen_utc"
    current_artcc: SqlName = "current_artcc"


class FlightPlanNames(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[adl.NAME.adl_flight_plan]``."""

    table: SqlName = "adl_flight_plan"
    flight_uid: SqlName = "flight_uid"
    fp_dept_icao: SqlName = "fp_dept_icao"
    fp_dest_icao: SqlName = "fp_dest_icao"
    aircraft_equip: SqlName = "aircraft_equip"
    fp_route: SqlName = "fp_route"


class FlightPositionNames(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[adl.NAME.adl_flight_position]``."""

    table: SqlName = "adl_flight_position"
    flight_uid: SqlName = "flight_uid"
    lat: SqlName = "lat"
    lon: SqlName = "lon"
    altitude_ft: SqlName = "altitude_ft"
    groundspeed_kts: SqlName = "groundspeed_kts"
    vertical_rate_fpm: SqlName = "vertical_rate_fpm"
    heading_deg: SqlName = "heading_deg"


class FlightTimesNames(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[adl.NAME.adl_flight_times]``."""

    table: SqlName = "adl_flight_times"
    flight_uid: SqlName = "flight_uid"
    off_utc: SqlName = "off_utc"
    in_utc: SqlName = "in_utc"


class ProgramNames(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[adl.NAME.tmi_programs]``."""

    table: SqlName = "tmi_programs"
    program_id: SqlName = "program_id"
    program_type: SqlName = "program_type"
    ctl_element: SqlName = "ctl_element"
    start_utc: SqlName = "start_utc"
    end_utc: SqlName = "end_utc"
    status: SqlName = "status"
    impacting_condition: SqlName = "impacting_condition"
    cause_text: SqlName = "cause_text"
    created_at: SqlName | None = None
    """None: ``created_at`` if it exists, else ``created_utc``."""
    updated_at: SqlName | None = None
    """None: ``updated_at`` if it exists, else ``modified_utc``."""


class AdlConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``[adl.NAME]``: the tables that a source of kind ``adl`` reads, by connection; without one, that part is off."""

    flights: AdlDatabaseConfig = msgspec.field(default_factory=AdlDatabaseConfig)
    tmis: AdlDatabaseConfig = msgspec.field(default_factory=AdlDatabaseConfig)
    adl_flight_core: FlightCoreNames = msgspec.field(default_factory=FlightCoreNames)
    adl_flight_plan: FlightPlanNames = msgspec.field(default_factory=FlightPlanNames)
    adl_flight_position: FlightPositionNames = msgspec.field(default_factory=FlightPositionNames)
    adl_flight_times: FlightTimesNames = msgspec.field(default_factory=FlightTimesNames)
    tmi_programs: ProgramNames = msgspec.field(default_factory=ProgramNames)


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
    publish: PublishConfig = msgspec.field(default_factory=PublishConfig)
    logging: LoggingConfig = msgspec.field(default_factory=LoggingConfig)
    expect: ExpectConfig = msgspec.field(default_factory=ExpectConfig)
