"""Flights that don't end at their first filed destination: simulated, and detected as they were."""

from __future__ import annotations

from random import Random
from typing import get_args

import pytest
from support.feed import NOON_MS, Network
from support.world import world
from swim_server.detection.airfields import Airfield
from swim_server.detection.feed import Snapshot
from swim_server.sources.simulator.journey import Course
from swim_server.sources.simulator.routes import Route
from swim_server.sources.simulator.traffic import SimulatedFlight
from swim_server.sources.simulator.world import AIRLINES, TYPES

STEP_MS = 15_000
COURSES = get_args(Course)


def field(code: str) -> Airfield:
    found = world().get(code)
    assert found is not None
    return found


def flight(course: Course, aircraft: str = "A320", seed: int = 1) -> SimulatedFlight:
    ends = ("EDDF", "EDDM", "EDDS") if aircraft != "EC45" else ("EGLL", "EGLF", "EGHH")
    dep, arr, other = map(field, ends)
    route = Route(AIRLINES[0], TYPES[aircraft], dep, arr)
    return SimulatedFlight(1, NOON_MS, route, Random(f"{course}:{seed}"), "none", course, other)


def watch(invented: SimulatedFlight) -> Network:
    """Let the network see it from before its beginning until after its end."""
    network = Network(world())
    for at_ms in range(NOON_MS - 2 * STEP_MS, invented.ends_ms + 3 * STEP_MS, STEP_MS):
        pilot, prefile = invented.pilot(at_ms), invented.prefile(at_ms)
        network.take(Snapshot(at_ms, [pilot] if pilot else [], [prefile] if prefile else []))
    return network


@pytest.mark.parametrize("aircraft", ["A320", "EC45"])
@pytest.mark.parametrize("course", COURSES)
def test_detection_tells_each_leg_as_it_was(course: Course, aircraft: str) -> None:
    invented = flight(course, aircraft)
    network = watch(invented)
    told = [event for event in network.events if event.type in {"flight.departed", "flight.arrived"}]
    assert invented.landings
    kinds = [kind for _ in invented.landings for kind in ("flight.departed", "flight.arrived")]
    assert [event.type for event in told] == kinds
    arrivals = [(event.data["arrived_at"], event.data["diverted"]) for event in told[1::2]]
    assert arrivals == [(landing.at.code, landing.is_diverted) for landing in invented.landings]
    for event, landing in zip(told[::2], invented.landings, strict=True):
        assert 0 <= (event.timestamp_ms or 0) - landing.off_ms <= 60_000
    for event, landing in zip(told[1::2], invented.landings, strict=True):
        assert -30_000 <= (event.timestamp_ms or 0) - landing.on_ms <= 120_000


@pytest.mark.parametrize("course", COURSES)
def test_phases_follow_the_legs(course: Course) -> None:
    invented = flight(course)
    rows = [
        (row["phase"], event.timestamp_ms or 0)
        for event in watch(invented).events
        if event.type == "flight.positions"
        for row in event.data["positions"]
    ]
    for landing in invented.landings:
        before = [phase for phase, at_ms in rows if landing.off_ms - 60_000 <= at_ms <= landing.off_ms]
        after = [phase for phase, at_ms in rows if landing.on_ms + 60_000 <= at_ms <= landing.on_ms + 120_000]
        assert before and set(before) <= {"PREFLIGHT", "DEPARTING"}
        assert after and set(after) <= {"LANDED", "ARRIVED"}


def test_a_journey_stands_where_it_landed_until_it_goes_on() -> None:
    invented = flight("turnaround")
    first, second = invented.landings
    places = {
        (pilot.latitude, pilot.longitude)
        for at_ms in range(second.off_ms - 900_000, second.off_ms - 600_000, STEP_MS)
        if (pilot := invented.pilot(at_ms)) is not None and pilot.groundspeed == 0
    }
    assert len(places) <= 1
    assert first.on_ms < second.off_ms


@pytest.mark.parametrize(("course", "plans"), [("changed in flight", 2), ("turnaround", 2), ("diversion", 1)])
def test_plans_are_filed_as_the_course_has_it(course: Course, plans: int) -> None:
    invented = flight(course)
    ends = {
        (plan.departure, plan.arrival)
        for at_ms in range(invented.connects_ms, invented.ends_ms, STEP_MS)
        if (plan := invented.plan_at(at_ms))
    }
    assert len(ends) == plans
