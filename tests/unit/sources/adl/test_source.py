"""The ADL source on tables that a writer changes: each thing that happens is announced once."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.adl_tables import AdlTables, sql_time
from support.sources import Recorder, Running, eventually
from support.virtual_clock import VirtualClock
from swim_server.config import AdlDatabaseConfig, FlightCoreNames
from swim_server.sources.adl.source import AdlSource
from swim_server.sources.source import SourceStatus

NOW = 1_768_573_815.0
"""2026-01-16T14:30:15Z."""


class Turns:
    """Lets a source look when the test says so."""

    def __init__(self, folder: Path) -> None:
        self.tables = AdlTables(folder / "adl.db")
        self.state = folder / "state"
        self.publish = Recorder()
        self.clock = VirtualClock()
        self.clock.wall_ms = NOW * 1000
        self.clock.sleep = _until_cancelled  # type: ignore[method-assign]  # the test sleeps in its place
        self.source = self._new(self.tables.config())

    def _new(self, names: Any) -> AdlSource:
        return AdlSource(
            "adl",
            database="main",
            names=names,
            interval_seconds=15,
            state_folder=self.state,
            clock=self.clock,
        )

    @property
    def now(self) -> float:
        return self.clock.wall_ms / 1000

    def restart(self, **parts: Any) -> None:
        """As another process would go on."""
        self.source = self._new(self.tables.config(**parts))

    async def look(self, *, after: float = 15.0) -> list[tuple[str, Any]]:
        """Let time pass and the source look once; what that brought, positions apart."""
        self.clock.advance(after)
        before = len(self.publish.events)
        counts = dict(self.source.looks())
        async with Running(self.source, self.publish):
            await eventually(lambda: all(now > counts[title] for title, now in self.source.looks().items()))
        return [
            (event.type, event.data.get("flight_uid", event.data.get("program_id")))
            for event in self.publish.events[before:]
            if event.type != "flight.positions"
        ]

    @property
    def status(self) -> SourceStatus:
        return self.source.status

    def refresh(self, *uids: int) -> None:
        """The writer's cycle."""
        for uid in uids:
            self.tables.set("adl_flight_core", uid, last_seen_utc=sql_time(self.now))


async def _until_cancelled(_: float) -> None:
    import asyncio

    await asyncio.Event().wait()


Look = Callable[[], Awaitable[list[tuple[str, Any]]]]


@pytest.fixture
def turns(tmp_path: Path) -> Turns:
    return Turns(tmp_path)


async def test_the_first_look_announces_nothing(turns: Turns) -> None:
    turns.tables.add_flight(1, "AAL1", seen=NOW, off_utc=sql_time(NOW - 600))
    turns.tables.add_program(7, at=NOW)
    assert await turns.look() == []
    assert await turns.look() == []


async def test_a_flight_is_created_departs_arrives_and_is_deleted_each_once(turns: Turns) -> None:
    await turns.look()
    turns.tables.add_flight(5, "DAL5 ", seen=turns.now)
    assert await turns.look() == [("flight.created", 5)]
    created = turns.publish.events[0].data
    assert created == {
        "callsign": "DAL5",
        "flight_uid": 5,
        "dep": "KJFK",
        "arr": "KBOS",
        "equipment": "H/B77W/L",
        "route": "DCT",
        "latitude": 40.6413,
        "longitude": -73.7781,
        "altitude_ft": 13,
        "groundspeed_kts": 0,
        "heading_deg": 0,
        "current_artcc": "ZNY",
        "current_fir": None,
        "phase": "PREFLIGHT",
    }
    turns.tables.set("adl_flight_times", 5, off_utc=sql_time(turns.now - 3))
    turns.tables.set("adl_flight_position", 5, altitude_ft=2000, vertical_rate_fpm=1800, groundspeed_kts=180)
    assert await turns.look() == [("flight.departed", 5)]
    (departed,) = [event.data for event in turns.publish.events if event.type == "flight.departed"]
    assert departed["phase"] == "CLIMBING"
    assert departed["off_utc"] == "2026-01-16T14:30:42.000Z"
    turns.tables.set("adl_flight_times", 5, in_utc=sql_time(turns.now))
    assert await turns.look() == [("flight.arrived", 5)]
    arrived = turns.publish.events[-1].data
    assert arrived["phase"] == "ARRIVED"
    assert (arrived["arrived_at"], arrived["diverted"]) == (None, None), "it was last seen in the air"
    turns.tables.set("adl_flight_core", 5, is_active=0)
    assert await turns.look() == [("flight.deleted", 5)]
    assert await turns.look() == []


@pytest.mark.parametrize(
    ("destination", "place", "arrived_at", "is_diverted"),
    [
        ("KBOS", (42.3643, -71.0052), "KBOS", False),
        ("KBOS", (40.6413, -73.7781), "KJFK", True),
        ("KBOS", (40.6925, -74.1687), "KEWR", True),
        ("KBOS", (36.0, -60.0), None, True),
        ("ZZZZ", (40.6925, -74.1687), "KEWR", None),
        (None, (36.0, -60.0), None, None),
        ("KBOS", (None, None), None, None),
    ],
    ids=["there", "back", "elsewhere", "nowhere", "unlisted plan", "no plan", "no position"],
)
async def test_arrival_says_where_the_flight_is_and_whether_it_had_filed_that(
    turns: Turns,
    destination: str | None,
    place: tuple[float | None, float | None],
    arrived_at: str | None,
    is_diverted: bool | None,
) -> None:
    turns.tables.add_flight(5, "DAL5", seen=NOW, lat=place[0], lon=place[1])
    turns.tables.set("adl_flight_plan", 5, fp_dest_icao=destination)
    turns.tables.set("adl_flight_times", 5, off_utc=sql_time(NOW - 3600))
    await turns.look()
    turns.tables.set("adl_flight_times", 5, in_utc=sql_time(turns.now))
    assert await turns.look() == [("flight.arrived", 5)]
    arrived = turns.publish.events[-1].data
    assert (arrived["arr"], arrived["arrived_at"], arrived["diverted"]) == (destination, arrived_at, is_diverted)


async def test_arrival_where_the_plan_begins_is_a_return_only_of_a_flight_that_took_off(turns: Turns) -> None:
    turns.tables.add_flight(5, "DAL5", seen=NOW)
    await turns.look()
    turns.tables.set("adl_flight_times", 5, in_utc=sql_time(turns.now))
    assert await turns.look() == [("flight.arrived", 5)]
    arrived = turns.publish.events[-1].data
    assert (arrived["arrived_at"], arrived["diverted"]) == ("KJFK", None)


async def test_a_flight_in_empty_tables_is_news(turns: Turns) -> None:
    await turns.look()
    assert turns.status.details["flights_rows"] == 0
    turns.tables.add_flight(1, "AAL1", seen=turns.now)
    assert await turns.look() == [("flight.created", 1)]


async def test_a_prefile_has_no_position_and_is_updated_when_its_pilot_connects(turns: Turns) -> None:
    turns.tables.add_flight(1, "AAL1", seen=NOW)
    await turns.look()
    turns.tables.add_flight(2, "BAW2", seen=turns.now, lat=None)
    assert await turns.look() == [("flight.created", 2)]
    assert turns.publish.events[-1].data["latitude"] is None
    turns.tables.execute("INSERT INTO adl_flight_position (flight_uid, lat, lon) VALUES (2, 51.47, -0.45)")
    assert await turns.look() == [("flight.updated", 2)]
    assert turns.publish.events[-2].data["changed"] == ["latitude", "longitude"]


async def test_rows_of_plan_and_position_may_be_missing_or_null(turns: Turns) -> None:
    await turns.look()
    turns.tables.execute("INSERT INTO adl_flight_core (flight_uid, callsign) VALUES (3, 'N3')")
    turns.tables.add_flight(4, "N4", seen=turns.now, fp_dept_icao=None, fp_dest_icao="    ", fp_route=None)
    assert await turns.look() == [("flight.created", 3), ("flight.created", 4)]
    assert turns.publish.events[0].data["dep"] is None
    assert turns.publish.events[1].data["arr"] is None


async def test_positions_are_numbers_and_come_when_they_have_changed(turns: Turns) -> None:
    turns.tables.add_flight(1, "AAL1", seen=NOW)
    await turns.look()
    turns.tables.set("adl_flight_position", 1, lat="40.7000000", lon="-73.5000000", vertical_rate_fpm=1500)
    await turns.look()
    (batch,) = turns.publish.events
    assert batch.data["positions"][0]["latitude"] == 40.7
    assert batch.data["positions"][0]["vertical_rate_fpm"] == 1500
    await turns.look()
    assert len(turns.publish.events) == 1


async def test_what_is_committed_late_with_a_time_in_the_past_is_news_all_the_same(turns: Turns) -> None:
    turns.tables.add_flight(1, "AAL1", seen=NOW)
    await turns.look()
    for _ in range(4):
        turns.refresh(1)
        assert await turns.look() == []
    turns.tables.set("adl_flight_times", 1, off_utc=sql_time(NOW + 5))
    assert await turns.look() == [("flight.departed", 1)]


async def test_times_of_the_same_second_are_told_apart_by_flight(turns: Turns) -> None:
    for uid in (1, 2, 3):
        turns.tables.add_flight(uid, f"N{uid}", seen=NOW)
    await turns.look()
    turns.tables.set("adl_flight_times", 1, off_utc=sql_time(turns.now))
    assert await turns.look() == [("flight.departed", 1)]
    turns.tables.set("adl_flight_times", 2, off_utc=sql_time(turns.now - 15))
    turns.tables.set("adl_flight_times", 3, off_utc=sql_time(turns.now - 15))
    assert await turns.look() == [("flight.departed", 2), ("flight.departed", 3)]


async def test_a_flight_that_arrives_as_it_becomes_inactive_does_both(turns: Turns) -> None:
    turns.tables.add_flight(1, "AAL1", seen=NOW, off_utc=sql_time(NOW - 60))
    await turns.look()
    turns.tables.set("adl_flight_times", 1, in_utc=sql_time(turns.now))
    turns.tables.set("adl_flight_core", 1, is_active=0)
    assert await turns.look() == [("flight.arrived", 1), ("flight.deleted", 1)]


async def test_a_flight_whose_row_is_gone_is_deleted(turns: Turns) -> None:
    turns.tables.add_flight(1, "AAL1", seen=NOW)
    await turns.look()
    turns.tables.execute("DELETE FROM adl_flight_core WHERE flight_uid = 1")
    assert await turns.look() == [("flight.deleted", 1)]
    assert await turns.look() == []


async def test_a_flight_that_comes_back_is_created_again_and_takes_off_no_second_time(turns: Turns) -> None:
    turns.tables.add_flight(1, "AAL1", seen=NOW, off_utc=sql_time(NOW - 60))
    await turns.look()
    turns.tables.set("adl_flight_core", 1, is_active=0)
    assert await turns.look() == [("flight.deleted", 1)]
    turns.tables.set("adl_flight_core", 1, is_active=1)
    assert await turns.look() == [("flight.created", 1)]
    turns.tables.set("adl_flight_core", 1, is_active=0)
    assert await turns.look() == [("flight.deleted", 1)]


async def test_what_happened_while_nobody_looked_is_announced_after_a_restart_and_nothing_twice(turns: Turns) -> None:
    for uid in (1, 2):
        turns.tables.add_flight(uid, f"N{uid}", seen=NOW)
    turns.tables.add_program(7, at=NOW, status="PROPOSED")
    await turns.look()
    turns.tables.set("adl_flight_times", 1, off_utc=sql_time(turns.now))
    turns.tables.set("tmi_programs", 7, status="ACTIVE")
    assert sorted(await turns.look()) == [("flight.departed", 1), ("tmi.issued", 7)]
    turns.tables.set("adl_flight_core", 2, is_active=0)
    turns.tables.add_flight(3, "N3", seen=turns.now + 100)
    turns.tables.add_flight(4, "N4", seen=turns.now + 100, is_active=0)
    turns.restart()
    assert sorted(await turns.look(after=900)) == [
        ("flight.created", 3),
        ("flight.created", 4),
        ("flight.deleted", 2),
        ("flight.deleted", 4),
    ]
    assert await turns.look() == []


async def test_killed_before_the_memory_was_saved_nothing_is_repeated(turns: Turns) -> None:
    turns.tables.add_flight(1, "AAL1", seen=NOW)
    await turns.look()
    saved = {path: path.read_bytes() for path in turns.state.iterdir()}
    turns.tables.add_flight(2, "BAW2", seen=turns.now)
    turns.tables.set("adl_flight_times", 1, off_utc=sql_time(turns.now))
    turns.tables.add_program(7, at=turns.now)
    assert len(await turns.look()) == 3
    for path, content in saved.items():
        path.write_bytes(content)
    turns.restart()
    assert await turns.look() == []


async def test_initiatives_are_issued_modified_and_released_as_their_states_say(turns: Turns) -> None:
    turns.tables.add_program(7, at=NOW, status="PROPOSED")
    await turns.look()
    turns.tables.set("tmi_programs", 7, status="MODELING")
    assert await turns.look() == []
    turns.tables.set("tmi_programs", 7, status="ACTIVE", updated_at=sql_time(turns.now))
    assert await turns.look() == [("tmi.issued", 7)]
    issued = turns.publish.events[-1]
    assert issued.data == {
        "program_id": 7,
        "program_type": "GS",
        "airport": "KJFK",
        "start_time": "2026-01-16T14:30:15.000Z",
        "end_time": "2026-01-16T15:30:15.000Z",
        "reason": "WEATHER: Thunderstorms",
        "status": "ACTIVE",
    }
    turns.tables.set("tmi_programs", 7, end_utc=sql_time(NOW + 7200))
    assert await turns.look() == [("tmi.modified", 7)]
    turns.tables.set("tmi_programs", 7, status="COMPLETED")
    assert await turns.look() == [("tmi.released", 7)]
    assert turns.publish.events[-1].data == {
        "program_id": 7,
        "program_type": "GS",
        "airport": "KJFK",
        "status": "COMPLETED",
        "end_time": "2026-01-16T16:30:15.000Z",
    }
    assert await turns.look() == []


async def test_a_missing_column_is_named_and_other_detections_go_on(turns: Turns) -> None:
    turns.tables.add_flight(1, "AAL1", seen=NOW)
    await turns.look()
    turns.tables.execute("ALTER TABLE adl_flight_times DROP COLUMN off_utc")
    turns.tables.add_flight(2, "BAW2", seen=turns.now)
    turns.tables.set("adl_flight_times", 1, in_utc=sql_time(turns.now))
    assert await turns.look() == [("flight.created", 2), ("flight.arrived", 1)]
    assert turns.status.state == "degraded"
    assert turns.status.last_error == "missing in [adl] flights: column adl_flight_times.off_utc"
    turns.tables.execute("ALTER TABLE adl_flight_times ADD COLUMN off_utc TEXT")
    turns.restart()
    await turns.look()
    assert (turns.status.state, turns.status.last_error) == ("running", None)


async def test_a_column_that_the_configuration_names_and_that_is_not_there_is_told_at_start(turns: Turns) -> None:
    turns.restart(adl_flight_core=FlightCoreNames(current_artcc="artcc_code"))
    turns.tables.add_flight(1, "AAL1", seen=NOW)
    await turns.look()
    assert turns.status.last_error == "missing in [adl] flights: column adl_flight_core.artcc_code"
    turns.tables.add_flight(2, "BAW2", seen=turns.now)
    assert await turns.look() == [("flight.created", 2)]


async def test_without_the_table_of_initiatives_flights_go_on(turns: Turns) -> None:
    turns.tables.execute("DROP TABLE tmi_programs")
    await turns.look()
    turns.tables.add_flight(1, "AAL1", seen=turns.now)
    assert await turns.look() == [("flight.created", 1)]
    assert turns.status.last_error == "no initiative can be detected without: table tmi_programs"


async def test_older_installations_name_the_stamps_otherwise(turns: Turns) -> None:
    turns.tables.execute("ALTER TABLE tmi_programs RENAME COLUMN created_at TO created_utc")
    turns.tables.execute("ALTER TABLE tmi_programs RENAME COLUMN updated_at TO modified_utc")
    await turns.look()
    turns.tables.execute(
        "INSERT INTO tmi_programs (program_id, status, modified_utc) VALUES (9, 'ACTIVE', ?)", sql_time(turns.now)
    )
    stamp = round(turns.now * 1000)
    assert await turns.look() == [("tmi.issued", 9)]
    assert turns.publish.events[-1].timestamp_ms == stamp
    assert turns.status.state == "running"


async def test_one_connection_that_fails_does_not_hinder_the_other(turns: Turns, tmp_path: Path) -> None:
    turns.restart(tmis=AdlDatabaseConfig(url=f"sqlite:///{tmp_path / 'missing.db'}"))
    await turns.look()
    turns.tables.add_flight(1, "AAL1", seen=turns.now)
    assert await turns.look() == [("flight.created", 1)]
    assert turns.status.state == "degraded"
    assert turns.status.last_error == "tmis can't be read: unable to open database file"
    assert not (tmp_path / "missing.db").exists()


async def test_the_tables_are_never_written_to(turns: Turns) -> None:
    started = time.time()
    await turns.look()
    with turns.tables.connect() as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone() == (5,)
    assert time.time() - started < 10
