"""The ADL tables in a SQLite file, and a writer that changes them as the provider does."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from swim_server.config import AdlConfig, AdlDatabaseConfig

SCHEMA = """
CREATE TABLE adl_flight_core (flight_uid INTEGER PRIMARY KEY, callsign TEXT, is_active INTEGER NOT NULL DEFAULT 1,
    first_seen_utc TEXT, last_seen_utc TEXT, current_artcc TEXT, current_artcc_id INTEGER);
CREATE TABLE adl_flight_plan (flight_uid INTEGER PRIMARY KEY, fp_dept_icao TEXT, fp_dest_icao TEXT,
    aircraft_equip TEXT, fp_route TEXT);
CREATE TABLE adl_flight_position (flight_uid INTEGER PRIMARY KEY, lat DECIMAL, lon DECIMAL, altitude_ft INTEGER,
    groundspeed_kts INTEGER, vertical_rate_fpm INTEGER, heading_deg INTEGER,
    position_updated_utc TEXT);
CREATE TABLE adl_flight_times (flight_uid INTEGER PRIMARY KEY, off_utc TEXT, in_utc TEXT);
CREATE TABLE tmi_programs (program_id INTEGER PRIMARY KEY, program_type TEXT, ctl_element TEXT, start_utc TEXT,
    end_utc TEXT, status TEXT, impacting_condition TEXT, cause_text TEXT, created_at TEXT, updated_at TEXT);
"""


def sql_time(moment: float) -> str:
    """Format a time as DATETIME2(0) shows it: whole seconds."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")


class AdlTables:
    """One file with all tables. Every call is its own transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.connect() as connection:
            connection.execute("PRAGMA journal_mode=WAL").close()
            connection.executescript(SCHEMA)

    def connect(self) -> sqlite3.Connection:
        """Open a connection that closes at the end of its ``with``."""
        return sqlite3.connect(self.path, timeout=10, factory=_Closing)

    def execute(self, statement: str, *parameters: Any) -> None:
        """Execute one statement and commit."""
        with self.connect() as connection:
            connection.execute(statement, parameters)

    def add_flight(self, uid: int, callsign: str, *, seen: float, **values: Any) -> None:
        """Insert a flight with plan, position and times, as far as values are given."""
        with self.connect() as connection:
            core = {"first_seen_utc": sql_time(seen), "last_seen_utc": sql_time(seen), "current_artcc": "ZNY       "}
            _insert(connection, "adl_flight_core", uid, {"callsign": callsign} | core | values)
            plan = {"fp_dept_icao": "KJFK", "fp_dest_icao": "KBOS", "aircraft_equip": "H/B77W/L", "fp_route": "DCT"}
            _insert(connection, "adl_flight_plan", uid, plan | values)
            if values.get("lat", 40.6) is not None:
                position = {"lat": 40.6413, "lon": -73.7781, "altitude_ft": 13, "groundspeed_kts": 0}
                stamp = {"vertical_rate_fpm": 0, "heading_deg": 360, "position_updated_utc": sql_time(seen)}
                _insert(connection, "adl_flight_position", uid, position | stamp | values)
            _insert(connection, "adl_flight_times", uid, {"off_utc": None, "in_utc": None} | values)

    def set(self, table: str, key: int, **values: Any) -> None:
        """Change a row."""
        column = "program_id" if table == "tmi_programs" else "flight_uid"
        assignments = ", ".join(f"{name} = ?" for name in values)
        self.execute(f"UPDATE {table} SET {assignments} WHERE {column} = ?", *values.values(), key)

    def add_program(self, program_id: int, status: str = "ACTIVE", *, at: float, **values: Any) -> None:
        """Insert an initiative."""
        row = {
            "program_id": program_id,
            "program_type": "GS",
            "ctl_element": "KJFK",
            "start_utc": sql_time(at),
            "end_utc": sql_time(at + 3600),
            "status": status,
            "impacting_condition": "WEATHER",
            "cause_text": "Thunderstorms",
            "created_at": sql_time(at),
            "updated_at": sql_time(at),
        } | values
        with self.connect() as connection:
            connection.execute(
                f"INSERT INTO tmi_programs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
            )

    def config(self, **parts: Any) -> AdlConfig:
        """Return the configuration of a source on these tables."""
        database = AdlDatabaseConfig(url=f"sqlite:///{self.path}", query_timeout_seconds=2)
        return AdlConfig(**{"flights": database, "tmis": database, **parts})


class _Closing(sqlite3.Connection):
    def __exit__(self, *arguments: Any) -> Any:
        try:
            return super().__exit__(*arguments)
        finally:
            self.close()


def _insert(connection: sqlite3.Connection, table: str, uid: int, values: Mapping[str, Any]) -> None:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    row = {"flight_uid": uid} | {name: value for name, value in values.items() if name in columns}
    connection.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
    )
