"""Where aircraft were, as the map asks for it: one report at each of some moments of history."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.memory_broker import FIRST_MS, MemoryBroker
from support.virtual_clock import VirtualClock
from swim_server.brokers.broker import BrokerUnavailable
from swim_server.gateway.http.map.trails import ALL_POINTS, KEPT_SECONDS, ONE_POINTS, TrailReader
from swim_server.protocol.events import NewEvent

REPORTS = 100


def position(uid: int | None, report: int, callsign: str | None = None) -> dict[str, Any]:
    return {"flight_uid": uid, "callsign": callsign or f"BAW{uid}", "latitude": 50 + report / 1000, "longitude": -8.0}


@pytest.fixture
async def broker() -> MemoryBroker:
    """Reports of four aircraft, each report in two batches, a millisecond apart."""
    found = MemoryBroker()
    for report in range(REPORTS):
        batches = [[position(1, report), position(2, report)], [position(3, report), position(None, report, "KLM9")]]
        await found.publish([
            NewEvent(type="flight.positions", data={"count": 2, "positions": batch}) for batch in batches
        ])  # fmt: skip
    return found


@pytest.fixture
def clock() -> VirtualClock:
    clock = VirtualClock()
    clock.wall_ms = FIRST_MS + 2 * REPORTS
    return clock


def read(document: bytes) -> tuple[list[int], dict[Any, list[tuple[int, int, int]]]]:
    """Undo the differences: moments, and positions by key."""
    told = json.loads(document)
    trails = {}
    for key, *numbers in told["trails"]:
        at = (0, 0, 0)
        trails[key] = [
            at := (at[0] + a, at[1] + b, at[2] + c)
            for a, b, c in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
        ]
    return told["ages"], trails


async def test_trails_of_all_have_one_position_of_each_aircraft_at_each_moment(
    broker: MemoryBroker, clock: VirtualClock
) -> None:
    ages, trails = read(await TrailReader(broker, clock=clock).read(None, FIRST_MS))
    assert len(ages) == ALL_POINTS
    assert set(trails) == {1, 2, 3, "KLM9"}
    for points in trails.values():
        assert [index for index, _, _ in points] == list(range(ALL_POINTS))
        latitudes = [latitude for _, latitude, _ in points]
        assert latitudes == sorted(latitudes)
        assert latitudes[0] in (50_000, 50_001)
        assert latitudes[-1] >= 50_000 + REPORTS - 2 * REPORTS // ALL_POINTS


@pytest.mark.parametrize("key", [2, "KLM9"])
async def test_trail_of_one_aircraft_has_more_moments_and_nobody_else(
    broker: MemoryBroker, clock: VirtualClock, key: int | str
) -> None:
    ages, trails = read(await TrailReader(broker, clock=clock).read(key, FIRST_MS))
    assert len(ages) == ONE_POINTS
    assert set(trails) == {key}
    assert len(trails[key]) >= ONE_POINTS - 1


async def test_trail_goes_back_no_further_than_the_moment_that_was_asked_for(
    broker: MemoryBroker, clock: VirtualClock
) -> None:
    _, trails = read(await TrailReader(broker, clock=clock).read(1, FIRST_MS + REPORTS))
    assert trails[1][0][1] >= 50_000 + REPORTS // 2


async def test_document_is_kept_for_a_while_and_serves_everybody(broker: MemoryBroker, clock: VirtualClock) -> None:
    reader = TrailReader(broker, clock=clock)
    first = await reader.read(None, FIRST_MS)
    broker.fail_next = True
    assert await reader.read(None, FIRST_MS) is first
    clock.seconds += KEPT_SECONDS
    with pytest.raises(BrokerUnavailable):
        await reader.read(None, FIRST_MS)
    assert read(await reader.read(None, FIRST_MS))[1].keys() == {1, 2, 3, "KLM9"}


async def test_positions_of_another_shape_are_passed_over(clock: VirtualClock) -> None:
    broker = MemoryBroker()
    shapes: list[dict[str, Any]] = [
        {"positions": "none"}, {"positions": [{"flight_uid": 1}]},
        {"positions": [{"flight_uid": 1, "latitude": None, "longitude": 3}]},
    ]  # fmt: skip
    events = [NewEvent(type="flight.positions", data=data) for data in shapes]
    single = NewEvent(type="flight.position", data=position(7, 0))
    await broker.publish([*events, single])
    clock.wall_ms = FIRST_MS + 4
    _, trails = read(await TrailReader(broker, clock=clock).read(None, FIRST_MS - 1))
    assert trails == {7: [(3, 50_000, -8_000)]} or set(trails) == {7}
