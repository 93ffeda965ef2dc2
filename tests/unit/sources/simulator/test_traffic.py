from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from support.world import world
from swim_server.protocol.timestamps import parse_ms
from swim_server.sources.simulator.programs import MINUTE_MS, Programs, ProgramsState, make_ground_stop
from swim_server.sources.simulator.traffic import REPORT_EVERY_MS, Traffic, TrafficState
from swim_server.sources.simulator.world import NearestCentre

NOW_MS = 1_768_573_815_123


def begun(flights: int = 60, *, seed: int = 1, soon_ms: int = 0) -> Traffic:
    traffic = Traffic(world(), seed=seed)
    traffic.begin(flights, NOW_MS, soon_ms)
    return traffic


# Traffic


def test_the_same_seed_gives_the_same_traffic_and_another_one_another() -> None:
    assert begun().snapshot(NOW_MS) == begun().snapshot(NOW_MS)
    assert begun().snapshot(NOW_MS) != begun(seed=2).snapshot(NOW_MS)


def test_flights_begin_in_all_phases() -> None:
    pilots = begun(200).snapshot(NOW_MS).pilots
    assert len(pilots) > 150
    on_ground = sum((pilot.groundspeed or 0) < 40 for pilot in pilots)
    high = sum((pilot.altitude or 0) > 25_000 for pilot in pilots)
    assert on_ground > 5
    assert high > 80


@pytest.mark.parametrize("flights", [1, 2, 10, 300])
def test_some_take_off_and_some_land_soon_however_few_there_are(flights: int) -> None:
    soon_ms = 150_000
    traffic = begun(flights, soon_ms=soon_ms)
    offs = sum(NOW_MS < flight.off_ms < NOW_MS + soon_ms for flight in traffic.flights)
    ons = sum(NOW_MS < flight.on_ms < NOW_MS + soon_ms for flight in traffic.flights)
    assert offs >= 1
    assert ons >= 1 or flights == 1


def test_for_each_flight_that_ends_another_one_begins() -> None:
    traffic = begun()
    for hours in range(1, 30):
        traffic.advance(NOW_MS + hours * 3_600_000)
        assert len(traffic.flights) == 60
    assert max(flight.serial for flight in traffic.flights) > 150
    assert len({(flight.cid, flight.callsign) for flight in traffic.flights}) == 60


def test_it_goes_on_from_its_state_as_if_nothing_had_happened() -> None:
    traffic = begun()
    traffic.advance(NOW_MS + 3_600_000)
    state = msgspec.json.decode(msgspec.json.encode(traffic.state()), type=TrafficState)
    resumed = Traffic(world(), seed=1)
    resumed.resume(state)
    for hours in (1, 2, 5, 9):
        for one in (traffic, resumed):
            one.advance(NOW_MS + hours * 3_600_000)
        assert traffic.snapshot(NOW_MS + hours * 3_600_000) == resumed.snapshot(NOW_MS + hours * 3_600_000)


def test_a_flight_is_a_prefile_or_a_pilot_or_nothing() -> None:
    traffic = begun()
    for flight in traffic.flights:
        for at_ms in range(flight.begins_ms - 1, flight.ends_ms + 2, 600_000):
            is_listed = [flight.prefile(at_ms) is not None, flight.pilot(at_ms) is not None]
            assert sum(is_listed) == (flight.begins_ms <= at_ms < flight.ends_ms)


def test_reports_are_up_to_one_period_old_and_never_go_back() -> None:
    flight = next(flight for flight in begun().flights if not flight.is_withdrawn)
    before = 0
    for at_ms in range(flight.connects_ms, flight.ends_ms, 7_000):
        pilot = flight.pilot(at_ms)
        assert pilot is not None
        reported_ms = parse_ms(pilot.last_updated)
        assert before <= reported_ms <= at_ms < reported_ms + REPORT_EVERY_MS
        before = reported_ms


def test_callsigns_and_plans_look_like_real_ones() -> None:
    for flight in begun(300).flights:
        assert 4 <= len(flight.callsign) <= 7
        assert flight.callsign.isalnum()
        assert flight.plan.departure != flight.plan.arrival
        assert flight.plan.aircraft_short
        assert flight.plan.aircraft_short in (flight.plan.aircraft_faa or "")
        assert 1_000_000 <= flight.cid < 1_900_000


def test_airlines_do_not_fly_to_private_airports() -> None:
    private = {"KAPA", "KPDK", "KTEB", "KVNY", "LFPB"}
    for flight in begun(300).flights:
        assert not {flight.dep.code, flight.arr.code} & private or flight.callsign.startswith(("N", "LIFE"))


def test_the_truth_is_told_in_order() -> None:
    for flight in begun().flights:
        times = [event.at_ms for event in flight.truth()]
        assert times == sorted(times)
        kinds = Counter(event.kind for event in flight.truth())
        assert kinds["departed"] == kinds["arrived"] == len(flight.landings)


# Ground stops


def programs() -> Programs:
    return Programs(1, ProgramsState(NOW_MS, 1, NOW_MS + MINUTE_MS))


def test_a_ground_stop_is_issued_then_released_and_modified_in_between_if_at_all() -> None:
    running = programs()
    changes = [change for minute in range(60 * 24) for change in running.advance(NOW_MS + minute * MINUTE_MS)]
    by_stop: dict[int, list[str]] = {}
    for change in changes:
        by_stop.setdefault(change.stop.number, []).append(change.kind)
    assert len(by_stop) > 50
    finished = [kinds for kinds in by_stop.values() if "released" in kinds]
    assert {tuple(kinds) for kinds in finished} == {("issued", "released"), ("issued", "modified", "released")}


def test_changes_come_in_order_however_long_the_step() -> None:
    fine, coarse = programs(), programs()
    one_by_one = [change for minute in range(600) for change in fine.advance(NOW_MS + minute * MINUTE_MS)]
    assert coarse.advance(NOW_MS + 599 * MINUTE_MS) == one_by_one


def test_ground_stops_go_on_from_their_state() -> None:
    running = programs()
    running.advance(NOW_MS + 50 * MINUTE_MS)
    state = msgspec.json.decode(msgspec.json.encode(running.state()), type=ProgramsState)
    assert Programs(1, state).advance(NOW_MS + 400 * MINUTE_MS) == running.advance(NOW_MS + 400 * MINUTE_MS)


def test_a_ground_stop_ends_after_it_began_and_is_released_no_later_than_its_end() -> None:
    for number in range(200):
        stop = make_ground_stop(1, number, NOW_MS)
        assert NOW_MS < stop.planned_end_ms <= stop.end_ms
        assert (stop.modified_ms or NOW_MS) < stop.released_ms <= stop.end_ms


# Centres


@pytest.mark.parametrize(
    ("place", "artcc"),
    [
        ((40.64, -73.78), "ZNY"),
        ((33.64, -84.43), "ZTL"),
        ((37.62, -122.38), "ZOA"),
        ((39.86, -104.67), "ZDV"),
        ((43.68, -79.63), None),
        ((51.47, -0.46), None),
        ((19.44, -99.07), None),
    ],
)
def test_us_flights_have_a_centre_and_others_none(place: tuple[float, float], artcc: str | None) -> None:
    assert NearestCentre().locate(*place).artcc == artcc
