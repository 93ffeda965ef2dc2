"""The statements that read the ADL tables, as each database is asked; names and what is missing."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.dialects import mssql, postgresql, sqlite
from swim_server.config import FlightCoreNames, FlightPlanNames, FlightPositionNames, FlightTimesNames, ProgramNames
from swim_server.sources.adl.layout import AdlTable, FlightLayout, ProgramLayout

DIALECTS = {"mssql": mssql.dialect, "postgresql": postgresql.dialect, "sqlite": sqlite.dialect}
CORE = ("flight_uid", "callsign", "is_active", "first_seen_utc", "last_seen_utc", "current_artcc")
PLAN = ("flight_uid", "fp_dept_icao", "fp_dest_icao", "aircraft_equip", "fp_route")
POSITION = ("flight_uid", "lat", "lon", "altitude_ft", "groundspeed_kts", "vertical_rate_fpm", "heading_deg")
TIMES = ("flight_uid", "off_utc", "in_utc")
PROGRAMS = ("program_id", "program_type", "ctl_element", "start_utc", "end_utc", "status", "impacting_condition")


def flights(dialect: str, *, without: tuple[str, ...] = (), core: FlightCoreNames | None = None) -> FlightLayout:
    """A layout in which all columns are there but some."""

    def found(columns: tuple[str, ...]) -> list[str]:
        return [name for name in columns if name not in without]

    return FlightLayout(
        AdlTable("adl_flight_core", core or FlightCoreNames(), dialect, found((*CORE, "artcc code"))),
        AdlTable("adl_flight_plan", FlightPlanNames(), dialect, found(PLAN)),
        AdlTable("adl_flight_position", FlightPositionNames(), dialect, found(POSITION)),
        AdlTable("adl_flight_times", FlightTimesNames(), dialect, found(TIMES)),
    )


def programs(dialect: str, columns: tuple[str, ...]) -> ProgramLayout:
    return ProgramLayout(AdlTable("tmi_programs", ProgramNames(), dialect, columns))


def sql(statement: Any, dialect: str) -> str:
    return " ".join(str(statement.compile(dialect=DIALECTS[dialect]())).split())


JOINED = (
    "SELECT adl_flight_core.flight_uid AS flight_uid, adl_flight_core.callsign AS callsign, "
    "adl_flight_core.is_active AS is_active, adl_flight_core.first_seen_utc AS first_seen_utc, "
    "adl_flight_core.last_seen_utc AS last_seen_utc, adl_flight_core.current_artcc AS current_artcc, "
    "adl_flight_plan.fp_dept_icao AS fp_dept_icao, adl_flight_plan.fp_dest_icao AS fp_dest_icao, "
    "adl_flight_plan.aircraft_equip AS aircraft_equip, adl_flight_plan.fp_route AS fp_route, "
    "adl_flight_position.lat AS lat, adl_flight_position.lon AS lon, "
    "adl_flight_position.altitude_ft AS altitude_ft, adl_flight_position.groundspeed_kts AS groundspeed_kts, "
    "adl_flight_position.vertical_rate_fpm AS vertical_rate_fpm, "
    "adl_flight_position.heading_deg AS heading_deg, "
    "adl_flight_times.off_utc AS off_utc, adl_flight_times.in_utc AS in_utc "
    "FROM adl_flight_core AS adl_flight_core "
    "LEFT OUTER JOIN adl_flight_plan AS adl_flight_plan ON adl_flight_plan.flight_uid = adl_flight_core.flight_uid "
    "LEFT OUTER JOIN adl_flight_position AS adl_flight_position "
    "ON adl_flight_position.flight_uid = adl_flight_core.flight_uid "
    "LEFT OUTER JOIN adl_flight_times AS adl_flight_times ON adl_flight_times.flight_uid = adl_flight_core.flight_uid "
)


def test_active_flights_are_asked_for_alike_everywhere() -> None:
    for dialect in ("sqlite",):
        assert sql(flights(dialect).active(), dialect) == (JOINED + "WHERE adl_flight_core.is_active = 1")


def test_sql_server_is_asked_in_the_schema_dbo() -> None:
    written = sql(flights("mssql").active(), "mssql")
    assert "FROM dbo.adl_flight_core AS adl_flight_core LEFT OUTER JOIN dbo.adl_flight_plan AS" in written
    assert written.endswith("WHERE adl_flight_core.is_active = 1")


def test_recent_flights_are_compared_with_a_datetime2() -> None:
    recent = flights("mssql").recent()
    assert recent is not None
    compiled = recent.compile(dialect=mssql.dialect())
    assert repr(compiled.binds["since"].type.dialect_impl(mssql.dialect())).startswith("DATETIME2")
    assert "IN (SELECT adl_flight_times.flight_uid FROM dbo.adl_flight_times AS" in " ".join(str(compiled).split())


def test_what_is_missing_reads_as_null_and_is_named() -> None:
    layout = flights("sqlite", without=("off_utc", "lat"))
    assert layout.missing() == ["column adl_flight_position.lat", "column adl_flight_times.off_utc"]
    assert layout.is_usable
    written = sql(layout.active(), "sqlite")
    assert "NULL AS lat" in written
    assert "NULL AS off_utc" in written


def test_a_missing_table_reads_as_nulls_and_is_named() -> None:
    layout = FlightLayout(
        AdlTable("adl_flight_core", FlightCoreNames(), "sqlite", CORE),
        AdlTable("adl_flight_plan", FlightPlanNames(table="dbo.plans"), "sqlite", None),
        AdlTable("adl_flight_position", FlightPositionNames(), "sqlite", POSITION),
        AdlTable("adl_flight_times", FlightTimesNames(), "sqlite", TIMES),
    )
    assert layout.missing() == ["table dbo.plans"]
    assert "NULL AS fp_route" in sql(layout.active(), "sqlite")


@pytest.mark.parametrize("needed", ["flight_uid", "callsign", "is_active"])
def test_without_one_of_these_no_flight_can_be_detected(needed: str) -> None:
    assert not flights("sqlite", without=(needed,)).is_usable


def test_configured_names_are_used_and_quoted_where_they_must_be() -> None:
    names = FlightCoreNames(table="VATSIM_ADL.dbo.adl_flight_core", current_artcc="artcc code")
    written = sql(flights("mssql", core=names).active(), "mssql")
    assert "FROM [VATSIM_ADL].dbo.adl_flight_core AS adl_flight_core" in written
    assert ".[artcc code] AS current_artcc" in written


def test_names_are_found_whatever_their_case() -> None:
    table = AdlTable("adl_flight_times", FlightTimesNames(), "mssql", ["Flight_UID", "OFF_UTC", "in_utc"])
    assert table.missing() == []


def test_older_names_of_stamps_are_found_and_a_configured_one_goes_first() -> None:
    older = (*PROGRAMS, "cause_text", "created_utc", "modified_utc")
    assert programs("sqlite", older).missing() == []
    assert "modified_utc AS updated_at" in sql(programs("sqlite", older).active(), "sqlite")
    table = AdlTable("tmi_programs", ProgramNames(updated_at="touched"), "sqlite", older)
    assert table.missing() == ["column tmi_programs.touched"]


def test_states_are_compared_without_case_and_padding_as_unicode() -> None:
    written = sql(programs("mssql", (*PROGRAMS, "cause_text", "created_at", "updated_at")).active(), "mssql")
    assert written.endswith("WHERE upper(rtrim(tmi_programs.status)) = :status")


def test_numbers_are_asked_for_in_one_list() -> None:
    assert "flight_uid IN (__[POSTCOMPILE_uids])" in sql(flights("sqlite").numbered(), "sqlite")
