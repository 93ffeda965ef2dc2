"""The ADL source in a real daemon, against tables that a writer changes as the provider does, with late commits."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.adl_tables import AdlTables, sql_time
from support.daemon import Daemon

SEED = 20260119
CYCLES = 24
CYCLE_SECONDS = 0.4

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]


class Writer:
    """Refreshes the tables, and keeps what a reader has to announce."""

    def __init__(self, tables: AdlTables, seed: int) -> None:
        self.tables = tables
        self.expected: Counter[tuple[str, int]] = Counter()
        self._rng = random.Random(seed)
        self._next_uid = 1
        self._states: dict[int, str] = {}
        self._programs: dict[int, str] = {}

    def fill(self) -> None:
        """What is there before anybody looks, and is not announced."""
        for _ in range(20):
            self._create(announced=False)

    def cycle(self) -> None:
        """One refresh: some flights come, take off, come in, go; the times lie some seconds in the past."""
        now = time.time()
        with self.tables.connect() as connection:
            connection.execute("UPDATE adl_flight_core SET last_seen_utc = ? WHERE is_active = 1", (sql_time(now),))
        for _ in range(self._rng.randrange(3)):
            self._create(announced=True)
        for uid, state in list(self._states.items()):
            if self._rng.random() < 0.15:
                self._move_on(uid, state, now - self._rng.uniform(0, 5))
        self._change_programs(now)

    def _create(self, *, announced: bool) -> None:
        uid, self._next_uid = self._next_uid, self._next_uid + 1
        self.tables.add_flight(uid, f"N{uid}", seen=time.time())
        self._states[uid] = "ground"
        if announced:
            self.expected["flight.created", uid] += 1

    def _move_on(self, uid: int, state: str, moment: float) -> None:
        if state == "ground":
            self.tables.set("adl_flight_times", uid, off_utc=sql_time(moment))
            self.expected["flight.departed", uid] += 1
            self._states[uid] = "air"
        elif state == "air":
            self.tables.set("adl_flight_times", uid, in_utc=sql_time(moment))
            self.expected["flight.arrived", uid] += 1
            self._states[uid] = "in"
        else:
            self.tables.set("adl_flight_core", uid, is_active=0)
            self.expected["flight.deleted", uid] += 1
            del self._states[uid]

    def _change_programs(self, now: float) -> None:
        """Each state lasts longer than a reader is away: a state that nobody could see is nobody's fault."""
        if len(self._programs) < 8:
            number = len(self._programs) + 1
            self.tables.add_program(number, at=now, status="PROPOSED")
            self._programs[number] = "PROPOSED"

    def activate(self, number: int) -> None:
        self.tables.set("tmi_programs", number, status="ACTIVE", updated_at=sql_time(time.time() - 3))
        self.expected["tmi.issued", number] += 1

    def end(self, number: int, status: str) -> None:
        self.tables.set("tmi_programs", number, status=status, updated_at=sql_time(time.time() - 3))
        self.expected["tmi.released", number] += 1


def published(daemon: Daemon) -> Counter[tuple[str, int]]:
    done = daemon.swimctl("tail", "--last", "100000", "--no-follow", "--json", check=True)
    events: list[dict[str, Any]] = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    return Counter(
        (event["type"], event["data"].get("flight_uid", event["data"].get("program_id")))
        for event in events
        if event["type"] not in {"flight.positions", "flight.updated", "system.notice"}
    )


def wait_for(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come to be"
        time.sleep(0.05)


def source_status(daemon: Daemon) -> dict[str, Any]:
    (found,) = daemon.status()["sources"]
    return dict(found)


@pytest.fixture
def tables(tmp_path: Path) -> AdlTables:
    return AdlTables(tmp_path / "adl.db")


def daemon_on(tables: AdlTables, home: Path, more: str = "") -> Daemon:
    config = f"""
[[sources]]
kind = "adl"
database = "main"
interval_seconds = 0.2
[adl.main.flights]
url = "sqlite:///{tables.path}"
[adl.main.tmis]
url = "sqlite:///{tables.path}"
{more}"""
    return Daemon(home, config=config)


def test_each_event_comes_once_though_the_daemon_is_killed(tables: AdlTables, tmp_path: Path) -> None:
    rng = random.Random(SEED)
    writer = Writer(tables, SEED)
    writer.fill()
    daemon = daemon_on(tables, tmp_path / "home").start()
    try:
        wait_for(lambda: source_status(daemon)["details"].get("flights_rows") == 20)
        for cycle in range(CYCLES):
            writer.cycle()
            if cycle in {5, 6}:
                writer.activate(cycle - 4)
            if cycle == 15:
                writer.end(1, "COMPLETED")
            time.sleep(CYCLE_SECONDS * rng.uniform(0.2, 1))
            if cycle % 8 == 7:
                daemon.kill()
                writer.cycle()
                daemon.start()
        wait_for(lambda: published(daemon) == writer.expected)
    except AssertionError:
        found = published(daemon)
        assert found == writer.expected, (found - writer.expected, writer.expected - found)
        raise
    finally:
        daemon.kill()


def test_a_configured_column_that_is_missing_is_named_and_other_events_flow(tables: AdlTables, tmp_path: Path) -> None:
    daemon = daemon_on(tables, tmp_path / "home", '[adl.main.adl_flight_times]\noff_utc = "wheels_off"').start()
    try:
        wait_for(lambda: source_status(daemon)["state"] == "degraded")
        told = source_status(daemon)["last_error"]
        assert told == "missing in [adl] flights: column adl_flight_times.wheels_off"
        tables.add_flight(1, "N1", seen=time.time())
        wait_for(lambda: published(daemon) == {("flight.created", 1): 1})
        tables.execute("ALTER TABLE adl_flight_core DROP COLUMN current_artcc")
        wait_for(lambda: "adl_flight_core.current_artcc" in source_status(daemon)["last_error"])
        tables.set("adl_flight_times", 1, in_utc=sql_time(time.time()))
        wait_for(lambda: ("flight.arrived", 1) in published(daemon))
    finally:
        daemon.kill()
