"""Settings of databases: where keys live, and the ADL tables with the names of their columns."""

# Annotations are values here, not text that msgspec would have to compile and evaluate at each start.

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from swim_server.config.setting_types import SqlName


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
