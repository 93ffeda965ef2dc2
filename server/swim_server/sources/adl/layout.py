"""The ADL tables as this installation has them: names, missing parts, and the statements that read them.

Uses SQLAlchemy Core only, so that SQL Server, PostgreSQL and SQLite get the same statements. Knows nothing about
connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import (
    BindParameter,
    Connection,
    DateTime,
    Integer,
    Select,
    TableClause,
    Unicode,
    and_,
    bindparam,
    cast,
    column,
    false,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.dialects.mssql import DATETIME2
from sqlalchemy.sql.elements import ColumnElement

from swim_server.config import (
    AdlConfig,
    FlightCoreNames,
    FlightPlanNames,
    FlightPositionNames,
    FlightTimesNames,
    ProgramNames,
)
from swim_server.detection.adl_rows import FLIGHT_FIELDS, PROGRAM_FIELDS

CHUNK = 500
"""Maximum number of ids in one statement; SQL Server takes 2,100 parameters."""
DEFAULT_SCHEMA = "dbo"
"""The schema of a table on SQL Server whose name has none."""
OTHER_NAMES = {"created_at": ("created_at", "created_utc"), "updated_at": ("updated_at", "modified_utc")}
"""Columns that have other names in older installations."""

IsMissing = Callable[[Exception], bool]
"""Tells whether a driver's error means that a table or column doesn't exist."""
Moment = DateTime().with_variant(DATETIME2(), "mssql")
Names = FlightCoreNames | FlightPlanNames | FlightPositionNames | FlightTimesNames | ProgramNames


class AdlTable:
    """One table with its names in this installation, and the columns that exist."""

    def __init__(self, title: str, names: Names, dialect: str, found: Iterable[str] | None) -> None:
        """Describe a table; ``title`` is its documented name, ``found`` its columns, or None if it does not exist."""
        self.title = title
        self.exists = found is not None
        self._dialect = dialect
        self._written = str(names.table)
        lowered = {name.lower(): name for name in found or ()}
        self._columns = {field: _find(field, getattr(names, field), lowered) for field in _fields(names)}
        self._wanted = {field: getattr(names, field) or OTHER_NAMES[field][0] for field in self._columns}
        present = [name for name in self._columns.values() if name]
        self.clause = clause_of(self._written, dialect, present).alias(title)  # three-part column names are deprecated

    def missing(self) -> list[str]:
        """Name what is missing, by its name in this installation."""
        if not self.exists:
            return [f"table {self._written}"]
        return [f"column {self._written}.{self._wanted[field]}" for field, name in self._columns.items() if not name]

    def has(self, *fields: str) -> bool:
        """Tell whether all of these columns exist."""
        return self.exists and all(self._columns[field] for field in fields)

    def column(self, field: str) -> ColumnElement[Any]:
        """Return the column with this documented name, which must exist."""
        name = self._columns[field]
        assert name is not None, f"{self.title}.{field} is missing"
        return self.clause.c[name]

    def selected(self, field: str) -> ColumnElement[Any]:
        """Return a column under its documented name; null if it is missing."""
        return (self.column(field) if self.has(field) else null()).label(field)

    def flag(self, field: str) -> ColumnElement[bool]:
        """Return a condition that a BIT is set. In PostgreSQL it may be a boolean, which is not a number there."""
        column = self.column(field)
        return (cast(column, Integer) if self._dialect == "postgresql" else column) == literal_column("1")

    def owns(self, field: str) -> bool:
        """Tell whether this column is documented for this table."""
        return field in self._columns


class FlightLayout(msgspec.Struct, frozen=True):
    """The tables of flights."""

    core: AdlTable
    plan: AdlTable
    position: AdlTable
    times: AdlTable

    def missing(self) -> list[str]:
        """Name everything that is missing."""
        return [name for part in (self.core, self.plan, self.position, self.times) for name in part.missing()]

    @property
    def is_usable(self) -> bool:
        """Whether the columns that identify a flight exist."""
        return self.core.has("flight_uid", "callsign", "is_active")

    def active(self) -> Select[Any]:
        """Return the statement for every active flight."""
        return self._joined().where(self.core.flag("is_active"))

    def recent(self) -> Select[Any] | None:
        """Return the statement for inactive flights with activity since ``:since``; None if no column can tell."""
        since = bindparam("since", type_=Moment)
        conditions: list[ColumnElement[bool]] = []
        if self.core.has("last_seen_utc"):
            conditions.append(self.core.column("last_seen_utc") >= since)
        moments = [self.times.column(field) >= since for field in ("off_utc", "in_utc") if self._has_times(field)]
        if moments:
            moved = select(self.times.column("flight_uid")).where(or_(*moments))
            conditions.append(self.core.column("flight_uid").in_(moved))
        if not conditions:
            return None
        return self._joined().where(and_(not_(self.core.flag("is_active")), or_(*conditions)))

    def numbered(self) -> Select[Any]:
        """Return the statement for the flights ``:uids``."""
        uids: BindParameter[Any] = bindparam("uids", expanding=True)
        return self._joined().where(self.core.column("flight_uid").in_(uids))

    def _has_times(self, field: str) -> bool:
        return self.times.has("flight_uid", field)

    def _joined(self) -> Select[Any]:
        """Return a statement for all of ``FLIGHT_FIELDS``, in that order."""
        source: Any = self.core.clause
        present = [self.core]
        for part in (self.plan, self.position, self.times):
            if part.has("flight_uid"):
                source = source.outerjoin(part.clause, part.column("flight_uid") == self.core.column("flight_uid"))
                present.append(part)
        return select(*(_selected(field, present) for field in FLIGHT_FIELDS)).select_from(source)


class ProgramLayout(msgspec.Struct, frozen=True):
    """The table of traffic management initiatives."""

    programs: AdlTable

    def missing(self) -> list[str]:
        """Name everything that is missing."""
        return self.programs.missing()

    @property
    def is_usable(self) -> bool:
        """Whether the columns that an initiative needs exist."""
        return self.programs.has("program_id", "status")

    def active(self) -> Select[Any]:
        """Return the statement for every initiative that is ACTIVE."""
        status = func.upper(func.rtrim(self.programs.column("status")))
        is_active = status == bindparam("status", "ACTIVE", type_=Unicode(16))
        return self._all().where(is_active)

    def numbered(self) -> Select[Any]:
        """Return the statement for the initiatives ``:ids``."""
        ids: BindParameter[Any] = bindparam("ids", expanding=True)
        return self._all().where(self.programs.column("program_id").in_(ids))

    def _all(self) -> Select[Any]:
        """Return a statement for all of ``PROGRAM_FIELDS``, in that order."""
        return select(*(self.programs.selected(field) for field in PROGRAM_FIELDS))


def probe_flights(connection: Connection, names: AdlConfig, is_missing: IsMissing) -> FlightLayout:
    """Find out which tables and columns of flights exist."""
    return FlightLayout(
        _probe(connection, "adl_flight_core", names.adl_flight_core, is_missing),
        _probe(connection, "adl_flight_plan", names.adl_flight_plan, is_missing),
        _probe(connection, "adl_flight_position", names.adl_flight_position, is_missing),
        _probe(connection, "adl_flight_times", names.adl_flight_times, is_missing),
    )


def probe_programs(connection: Connection, names: AdlConfig, is_missing: IsMissing) -> ProgramLayout:
    """Find out whether the table of initiatives exists, and which columns it has."""
    return ProgramLayout(_probe(connection, "tmi_programs", names.tmi_programs, is_missing))


def _probe(connection: Connection, title: str, names: Names, is_missing: IsMissing) -> AdlTable:
    dialect = connection.dialect.name
    nothing = select(text("*")).select_from(clause_of(str(names.table), dialect, [])).where(false())
    try:
        with connection.execute(nothing) as result:
            found: list[str] | None = list(result.keys())
    except Exception as error:
        if not is_missing(error):
            raise
        connection.rollback()
        found = None
    return AdlTable(title, names, dialect, found)


def clause_of(written: str, dialect: str, columns: Sequence[str]) -> TableClause:
    """Return a table by its written name, ``schema.table`` or ``database.schema.table``, with these columns."""
    schema, _, name = written.rpartition(".")
    if not schema and dialect == "mssql":
        schema = DEFAULT_SCHEMA
    return table(name, *(column(each) for each in columns), schema=schema or None)


def moment_parameter(moment_ms: int) -> datetime:
    """Return a time in the form in which it is compared with columns: UTC, without a zone."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment_ms)).replace(tzinfo=None)


def _selected(field: str, parts: Sequence[AdlTable]) -> ColumnElement[Any]:
    """Return a column of the first table that has it."""
    return next((part.selected(field) for part in parts if part.owns(field)), null().label(field))


def _fields(names: Names) -> list[str]:
    return [field for field in names.__struct_fields__ if field != "table"]


def _find(field: str, configured: str | None, found: Mapping[str, str]) -> str | None:
    """Return the column's name as the table has it; None if it doesn't exist. SQL Server ignores case."""
    wanted = OTHER_NAMES[field] if configured is None else (configured,)
    return next((found[name.lower()] for name in wanted if name.lower() in found), None)
