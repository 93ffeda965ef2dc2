"""The ADL source through the real drivers of SQL Server: its statements, what it announces, and what goes wrong."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.adl_tables import AdlTables, sql_time
from support.odbc import DRIVERS, connection_string
from support.sources import Recorder, Running, eventually
from support.tds_server import Answer, Drop, Error, Reset, Silence, TdsServer
from support.tds_sqlite import SqliteStatements
from swim_server.config import AdlConfig, AdlDatabaseConfig
from swim_server.sources.adl.source import AdlSource

PATIENCE_SECONDS = 60


class Setup:
    """Tables behind a server that both drivers take for a SQL Server, and a source on it."""

    def __init__(self, driver: str, server: TdsServer, folder: Path) -> None:
        self.server = server
        self.tables = AdlTables(folder / "adl.db")
        self.publish = Recorder()
        self._odbc = connection_string(driver, server.port)
        self._state = folder / "state"

    def source(self) -> AdlSource:
        """As a start of the process makes it."""
        database = AdlDatabaseConfig(odbc=self._odbc, query_timeout_seconds=1, connect_timeout_seconds=2)
        return AdlSource(
            "adl",
            database="main",
            names=AdlConfig(flights=database, tmis=database),
            interval_seconds=0.05,
            state_folder=self._state,
        )

    def counted(self) -> Counter[tuple[str, Any]]:
        """What was announced, by type and number."""
        return Counter(
            (event.type, event.data.get("flight_uid", event.data.get("program_id")))
            for event in self.publish.events
            if event.type not in ("flight.positions", "flight.updated")
        )


@pytest.fixture(params=DRIVERS)
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setup]:
    with TdsServer(SqliteStatements(tmp_path / "adl.db")) as server:
        yield Setup(request.param, server, tmp_path)
        server.on_statement = lambda sql: None
        server.drop_all()


def is_well(source: AdlSource) -> bool:
    return all(source.looks().values()) and source.status.state == "running" and source.status.last_error is None


async def test_flights_and_initiatives_are_announced_once_over_restarts(setup: Setup) -> None:
    source = setup.source()
    async with Running(source, setup.publish):
        await eventually(lambda: is_well(source), PATIENCE_SECONDS)
    expected: Counter[tuple[str, Any]] = Counter()

    def changes() -> Iterator[tuple[str, int]]:
        tables = setup.tables
        tables.add_flight(7, "DAL7", seen=time.time())
        yield "flight.created", 7
        tables.set("adl_flight_times", 7, off_utc=sql_time(time.time() - 4))
        yield "flight.departed", 7
        tables.add_program(3, at=time.time())
        yield "tmi.issued", 3
        tables.set("adl_flight_times", 7, in_utc=sql_time(time.time() - 4))
        yield "flight.arrived", 7
        tables.set("tmi_programs", 3, status="CANCELLED")
        yield "tmi.released", 3
        tables.set("adl_flight_core", 7, is_active=0)
        yield "flight.deleted", 7

    for change in changes():
        expected[change] += 1
        async with Running(setup.source(), setup.publish):
            await eventually(lambda: setup.counted() == expected, PATIENCE_SECONDS)
    created = next(event.data for event in setup.publish.events if event.type == "flight.created")
    assert (created["flight_uid"], created["latitude"], created["heading_deg"]) == (7, 40.6413, 0)
    assert (created["dep"], created["current_artcc"]) == ("KJFK", "ZNY")


async def test_its_statements_are_those_of_t_sql_and_only_read(setup: Setup) -> None:
    setup.tables.add_flight(1, "DAL1", seen=time.time())
    source = setup.source()
    async with Running(source, setup.publish):
        await eventually(lambda: is_well(source), PATIENCE_SECONDS)
    asked = {" ".join(sql.split()) for sql in setup.server.sql if "adl_" in sql or "tmi_" in sql}
    assert all(sql.startswith("SELECT ") for sql in asked), asked
    assert any(re.search(r"FROM dbo\.adl_flight_core.* WHERE adl_flight_core\.is_active = 1$", sql) for sql in asked)
    assert any(re.search(r"upper\(rtrim\(tmi_programs\.status\)\) = (@P1|\?)$", sql) for sql in asked), asked
    assert not any("LIMIT" in sql or "true" in sql.lower() for sql in asked)


FAULTS: dict[str, tuple[Callable[[], Answer], str]] = {
    "deadlock": (lambda: Error(1205, "chosen as the deadlock victim", 13), "1205"),
    "moving": (lambda: Error(40613, "Database is not currently available", 17), "40613"),
    "dropped": (Drop, ""),
    "reset": (Reset, ""),
    "silent": (Silence, ""),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_a_fault_of_the_server_is_told_and_outlived_and_loses_nothing(setup: Setup, fault: str) -> None:
    answer, told = FAULTS[fault]
    source = setup.source()
    async with Running(source, setup.publish):
        await eventually(lambda: is_well(source), PATIENCE_SECONDS)
        setup.tables.add_flight(1, "DAL1", seen=time.time())
        setup.server.on_statement = lambda sql: answer() if "adl_flight_core" in sql else None
        await eventually(lambda: source.status.state == "degraded", PATIENCE_SECONDS)
        assert (source.status.last_error or "").startswith("flights can't be read: ")
        assert told in (source.status.last_error or "")
        setup.tables.add_program(4, at=time.time())  # the other connection goes on
        await eventually(lambda: setup.counted()["tmi.issued", 4] == 1, PATIENCE_SECONDS)
        setup.tables.set("adl_flight_times", 1, off_utc=sql_time(time.time()))
        setup.server.on_statement = lambda sql: None
        await eventually(lambda: is_well(source), PATIENCE_SECONDS)
        await eventually(lambda: ("flight.departed", 1) in setup.counted(), PATIENCE_SECONDS)
    assert all(count == 1 for count in setup.counted().values()), setup.counted()


@pytest.mark.parametrize("number", [18456, 40613, 4060])
async def test_a_login_that_is_refused_is_told_with_its_number_and_tried_again(setup: Setup, number: int) -> None:
    setup.server.on_login = lambda login: Error(number, "Login failed or moving.", 14)
    source = setup.source()
    async with Running(source, setup.publish):
        await eventually(lambda: str(number) in (source.status.last_error or ""), PATIENCE_SECONDS)
        assert source.status.state == "degraded"
        assert "s3cret" not in (source.status.last_error or "")
        setup.server.on_login = lambda login: None
        await eventually(lambda: is_well(source), PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("ALTER TABLE adl_flight_times DROP COLUMN off_utc", "column adl_flight_times.off_utc"),
        ("DROP TABLE tmi_programs", "table tmi_programs"),
    ],
    ids=["column", "table"],
)
async def test_what_is_taken_out_of_the_tables_is_named_and_others_go_on(
    setup: Setup, statement: str, named: str
) -> None:
    source = setup.source()
    async with Running(source, setup.publish):
        await eventually(lambda: is_well(source), PATIENCE_SECONDS)
        setup.tables.execute(statement)
        await eventually(lambda: named in (source.status.last_error or ""), PATIENCE_SECONDS)
        assert source.status.state == "degraded"
        setup.tables.add_flight(1, "DAL1", seen=time.time())
        await eventually(lambda: setup.counted()["flight.created", 1] == 1, PATIENCE_SECONDS)
