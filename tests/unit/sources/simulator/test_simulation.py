from __future__ import annotations

import msgspec
import pytest
from support.world import world
from swim_server.protocol.events import NewEvent
from swim_server.protocol.payloads import check_payload
from swim_server.protocol.timestamps import parse_ms
from swim_server.sources.simulator.simulation import FIRST_STOP_MS, Simulation, SimulationState
from swim_server.sources.simulator.traffic import SimulatedFlight

pytestmark = pytest.mark.unmeasured

REAL_MS = 1_768_573_815_123
SPEED = 30
MOVED = ("flight.departed", "flight.arrived")


def begun(flights: int = 80, seed: int = 1) -> Simulation:
    return Simulation.begin(world(), flights=flights, seed=seed, scope="test:", real_ms=REAL_MS, soon_ms=5_000 * SPEED)


def live(simulation: Simulation, seconds: int, began: int = 0) -> list[NewEvent]:
    """Let so many real seconds pass, one at a time."""
    events: list[NewEvent] = []
    for second in range(began + 1, began + seconds + 1):
        events += simulation.advance(1000 * SPEED, real_ms=REAL_MS + 1000 * second, speed=SPEED)
    return events


def test_what_is_detected_is_what_is_true() -> None:
    """Three simulated hours: each departure and arrival once, none missed, none invented."""
    simulation = begun()
    flights: dict[int, SimulatedFlight] = {}
    detected: list[tuple[str, str]] = []
    for second in range(1, 361):
        events = simulation.advance(1000 * SPEED, real_ms=REAL_MS + 1000 * second, speed=SPEED)
        flights |= {flight.serial: flight for flight in simulation.traffic.flights}
        detected += [(event.type, event.data["callsign"]) for event in events if event.type in MOVED]
    truth = [event for flight in flights.values() for event in flight.truth() if f"flight.{event.kind}" in MOVED]
    certain = [event for event in truth if REAL_MS < event.at_ms < simulation.now_ms - 120_000]
    possible = [event for event in truth if event.at_ms > REAL_MS - 60_000]
    assert len(set(detected)) == len(detected) > 80
    assert {(f"flight.{event.kind}", event.callsign) for event in certain} <= set(detected)
    assert set(detected) <= {(f"flight.{event.kind}", event.callsign) for event in possible}


def test_within_five_seconds_there_are_departures_and_arrivals() -> None:
    for seed in (1, 2):
        types = {event.type for event in live(begun(300, seed), 5)}
        assert {"flight.departed", "flight.arrived", "flight.positions"} <= types


def test_everything_that_can_happen_happens_within_minutes() -> None:
    events = live(begun(100), 180)
    assert {event.type for event in events} == {
        "flight.created",
        "flight.updated",
        "flight.departed",
        "flight.arrived",
        "flight.deleted",
        "flight.positions",
        "tmi.issued",
        "tmi.modified",
        "tmi.released",
    }


def test_the_first_moment_tells_no_thousand_flights() -> None:
    created = [event for event in live(begun(300), 1) if event.type == "flight.created"]
    assert len(created) < 10


def test_events_are_dated_to_the_real_time_they_happen_at() -> None:
    simulation = begun()
    for second in range(1, 121):
        now_ms = REAL_MS + 1000 * second
        for event in simulation.advance(1000 * SPEED, real_ms=now_ms, speed=SPEED):
            assert event.timestamp_ms is not None
            assert now_ms - 25_000 < event.timestamp_ms <= now_ms + 2_000
            for name in ("off_utc", "in_utc"):
                assert name not in event.data or parse_ms(event.data[name]) == event.timestamp_ms


def test_each_payload_is_what_the_protocol_says() -> None:
    for event in live(begun(), 120):
        check_payload(event.type, event.data)


def test_a_ground_stop_tells_its_whole_life_under_one_number() -> None:
    stops: dict[int, list[NewEvent]] = {}
    for event in live(begun(10), 400):
        if event.type.startswith("tmi."):
            stops.setdefault(event.data["program_id"], []).append(event)
    lives = [events for events in stops.values() if events[-1].type == "tmi.released"]
    assert len(lives) >= 5
    for events in lives:
        issued, released = events[0], events[-1]
        assert issued.type == "tmi.issued"
        assert set(issued.data) == {
            "program_id",
            "program_type",
            "airport",
            "start_time",
            "end_time",
            "reason",
            "status",
        }
        assert set(released.data) == {"program_id", "program_type", "airport", "status", "end_time"}
        assert (issued.data["program_type"], issued.data["status"]) == ("GS", "ACTIVE")
        assert released.data["status"] in ("COMPLETED", "CANCELLED")
        starts = {event.data["start_time"] for event in events[:-1]}
        assert len(starts) == 1
        assert parse_ms(starts.pop()) < parse_ms(released.data["end_time"])


def test_the_first_ground_stop_comes_soon() -> None:
    issued = [event for event in live(begun(5), FIRST_STOP_MS // 1000 // SPEED + 1) if event.type == "tmi.issued"]
    assert len(issued) == 1


def test_positions_come_once_a_tick_however_many_snapshots_are_compared() -> None:
    simulation = begun()
    events = simulation.advance(300_000, real_ms=REAL_MS + 1000, speed=300)
    assert sum(event.type == "flight.positions" for event in events) == 1


@pytest.mark.parametrize("speed", [0.5, 1, 1000, 100_000])
def test_any_speed_goes(speed: float) -> None:
    simulation = begun(20)
    for second in range(1, 10):
        simulation.advance(max(1, round(1000 * speed)), real_ms=REAL_MS + 1000 * second, speed=speed)
    assert len(simulation.traffic.flights) == 20


def test_no_two_events_have_the_same_name() -> None:
    names = [event.event_id for event in live(begun(40), 200)]
    assert len(set(names)) == len(names)


def test_from_a_saved_state_the_same_moments_give_the_same_events() -> None:
    simulation = begun()
    live(simulation, 30)
    saved = msgspec.json.decode(msgspec.json.encode(simulation.state()), type=SimulationState)
    again = Simulation(saved, world())
    assert live(again, 60, 30) == live(simulation, 60, 30)


def test_from_an_older_state_events_have_the_names_they_had() -> None:
    """Killed between two saves: the same moments are lived again, in other steps."""
    simulation = begun()
    live(simulation, 30)
    saved = simulation.state()
    names = {event.event_id for event in live(simulation, 60, 30) if event.type != "flight.positions"}
    again = Simulation(saved, world())
    lived_again: list[NewEvent] = []
    for step in range(45):
        lived_again += again.advance(40_000, real_ms=REAL_MS + 200_000 + 1333 * step, speed=SPEED)
    names_again = {event.event_id for event in lived_again if event.type != "flight.positions"}
    assert len(names & names_again) > 0.97 * len(names)
