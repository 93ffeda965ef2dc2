from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from support.memory_broker import MemoryBroker
from support.virtual_clock import TimeIsUp, VirtualClock
from support.world import world
from swim_server.sources.simulator.source import SHORTEST_TICK_SECONDS, SimulatorSource


class Simulated:
    """A source, its broker and its time."""

    def __init__(self, until: float, *, broker: MemoryBroker | None = None, **options: Any) -> None:
        self.time = VirtualClock(seconds=0, until=until)
        self.broker = broker or MemoryBroker()
        self.source = SimulatorSource(
            "sim",
            airfields=world,
            clock=self.time,
            **{"flights": 60, **options},
        )

    async def live(self) -> list[str]:
        """Live until the time is up; give the types in the broker."""
        with contextlib.suppress(TimeIsUp):
            await self.source.run(self.broker.publish)
        return [event.type for event in self.broker.events]


async def test_at_default_speed_something_departs_and_arrives_within_five_seconds() -> None:
    types = await Simulated(5, flights=300).live()
    assert {"flight.departed", "flight.arrived"} <= set(types)


async def test_at_defaults_departures_and_arrivals_come_every_few_seconds() -> None:
    types = await Simulated(40, flights=300).live()
    assert 10 < types.count("flight.departed") < 60
    assert 10 < types.count("flight.arrived") < 60


async def test_ticks_are_a_second_apart_and_hold_one_batch_of_positions() -> None:
    simulated = Simulated(20)
    types = await simulated.live()
    assert simulated.time.slept[1:] == [SHORTEST_TICK_SECONDS] * (len(simulated.time.slept) - 1)
    assert types.count("flight.positions") == len(simulated.time.slept)


@pytest.mark.parametrize(("speed", "seconds"), [(1, 5), (5, 3), (30, 1), (500, 1)])
async def test_the_slower_the_world_the_longer_the_ticks(speed: float, seconds: float) -> None:
    simulated = Simulated(30, speed=speed, flights=5)
    await simulated.live()
    assert set(simulated.time.slept[1:]) == {seconds}


async def test_it_begins_with_the_same_flights_for_the_same_seed() -> None:
    worlds = [Simulated(3, seed=seed) for seed in (7, 7, 8)]
    for one in worlds:
        await one.live()
    first, second, third = ([event.wire for event in one.broker.events] for one in worlds)
    assert first == second
    assert first != third


async def test_the_status_tells_how_it_goes() -> None:
    simulated = Simulated(10)
    await simulated.live()
    status = simulated.source.status
    assert (status.kind, status.state, status.errors) == ("simulator", "running", 0)
    assert status.events == len(simulated.broker.events)
    assert status.last_event_monotonic is not None
    assert {"flights", "speed", "seed", "simulated_time", "ground_stops"} <= set(status.details)


async def test_started_again_with_its_state_the_same_flights_go_on(tmp_path: Path) -> None:
    state_path = tmp_path / "simulator.json"
    first = Simulated(30, state_path=state_path)
    await first.live()
    second = Simulated(30, state_path=state_path, broker=first.broker)
    second.time.wall_ms += 3_600_000
    await second.live()
    assert first.source.simulation is not None
    assert second.source.simulation is not None
    flights = [{flight.serial for flight in one.source.simulation.traffic.flights} for one in (first, second)]  # type: ignore[union-attr]  # asserted above, of each by name
    assert len(flights[0] & flights[1]) > 50
    created = [event.data["flight_uid"] for event in first.broker.events if event.type == "flight.created"]
    assert len(created) < 30
    assert len(set(created)) == len(created)


async def test_killed_without_a_last_save_no_event_comes_twice(tmp_path: Path) -> None:
    state_path = tmp_path / "simulator.json"
    broker = MemoryBroker()
    for life in range(4):
        simulated = Simulated(13, state_path=state_path, broker=broker)
        simulated.time.wall_ms += 20_000 * life
        if life < 3:

            async def kill(*_: object) -> None:
                """What a killed process does at its end."""

            running = asyncio.ensure_future(simulated.live())
            while simulated.time.elapsed < 12.2:
                await asyncio.sleep(0)
            simulated.source._save = kill  # type: ignore[method-assign,assignment]  # the process is killed there
            await running
        else:
            await simulated.live()
    moved = [
        (event.type, event.data["flight_uid"])
        for event in broker.events
        if event.type in ("flight.departed", "flight.arrived", "flight.created", "flight.deleted")
    ]
    assert len(moved) > 10
    assert len(set(moved)) == len(moved)


@pytest.mark.parametrize("other", [{"seed": 2}, {"flights": 61}])
async def test_with_another_seed_or_number_of_flights_a_new_world_begins(tmp_path: Path, other: dict[str, Any]) -> None:
    state_path = tmp_path / "simulator.json"
    await Simulated(10, state_path=state_path).live()
    second = Simulated(10, state_path=state_path, **other)
    second.time.wall_ms += 60_000
    await second.live()
    assert second.source.simulation is not None
    began_ms = second.source.simulation.state().network_state.born_ms
    assert began_ms is not None
    assert began_ms > second.time.wall_ms - 10_000 - 60_000


async def test_without_a_state_file_a_new_world_has_flights_of_other_numbers() -> None:
    first, second = Simulated(20), Simulated(20)
    second.time.wall_ms += 60_000
    uids = []
    for one in (first, second):
        await one.live()
        uids.append({event.data.get("flight_uid") for event in one.broker.events} - {None})
    assert uids[0]
    assert not uids[0] & uids[1]


async def test_a_broker_that_is_away_is_waited_for_and_no_event_is_lost() -> None:
    whole, interrupted = Simulated(20), Simulated(20)
    await whole.live()
    interrupted.broker.fail_next = True
    await interrupted.live()
    assert interrupted.source.status.errors == 1
    names = [{event.data.get("flight_uid") for event in one.broker.events} for one in (whole, interrupted)]
    assert names[0] - {None} <= names[1] | names[0]
    assert interrupted.source.status.last_error is None


async def test_a_broken_state_file_is_moved_aside_and_told(tmp_path: Path) -> None:
    state_path = tmp_path / "simulator.json"
    state_path.write_text("{}")
    simulated = Simulated(3, state_path=state_path)
    await simulated.live()
    assert simulated.source.status.errors == 1
    assert (tmp_path / "simulator.json.broken").exists()


async def test_cancelled_it_stops_promptly_and_saves(tmp_path: Path) -> None:
    state_path = tmp_path / "simulator.json"
    source = SimulatorSource("sim", flights=10, airfields=world, state_path=state_path)
    task = asyncio.create_task(source.run(MemoryBroker().publish))
    async with asyncio.timeout(5):
        while source.status.events == 0:
            await asyncio.sleep(0.005)
    state_path.unlink()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)
    assert state_path.exists()


@pytest.mark.parametrize("options", [{"speed": 0}, {"speed": float("inf")}, {"speed": float("nan")}, {"flights": 0}])
def test_settings_that_make_no_world_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs flights and a speed above 0"):
        SimulatorSource("sim", **options)
