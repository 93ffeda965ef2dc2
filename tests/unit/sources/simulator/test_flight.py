from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.world import world
from swim_server.detection.airfields import Airfield
from swim_server.detection.geodesy import distance_nm
from swim_server.sources.simulator.flight import Flown, Leg, Track, level_leg
from swim_server.sources.simulator.itinerary import DoesNotFit, Manoeuvre, lay_out
from swim_server.sources.simulator.world import TYPES, airport_codes


def test_a_track_is_walked_point_by_point() -> None:
    track = Track([(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
    assert track.length_nm == pytest.approx(120, rel=0.01)
    assert track.at(0) == pytest.approx((0, 0, 90))
    assert track.at(90) == pytest.approx((0.5, 1.0, 0), abs=0.01)
    assert track.at(1000)[:2] == pytest.approx((1.0, 1.0))


def test_a_leg_leads_as_far_as_its_mean_speed_for_its_time() -> None:
    assert Leg(60, 0, 120, 0, 0).distance_nm == 1
    assert level_leg(10, 300, 0).distance_nm == pytest.approx(10)


def test_before_the_beginning_and_after_the_end_the_aircraft_stands_there() -> None:
    flown = Flown(Track([(0.0, 0.0), (0.0, 1.0)]), [Leg(60, 0, 60, 100, 200)])
    assert flown.at(-5) == flown.at(0)
    assert flown.at(99) == flown.at(60)
    assert (flown.at(0).altitude_ft, flown.at(60).altitude_ft) == (100, 200)


codes = st.sampled_from(airport_codes())
manoeuvres = st.sampled_from(["none", "rejected take-off", "go-around", "touch-and-go"])


def field(code: str) -> Airfield:
    found = world().get(code)
    assert found is not None
    return found


@settings(max_examples=80, deadline=None)
@given(codes, codes, st.sampled_from(sorted(TYPES)), manoeuvres, st.integers(0, 10_000))
def test_any_flight_that_fits_goes_from_gate_to_gate_without_a_jump(
    dep: str, arr: str, type_code: str, manoeuvre: Manoeuvre, seed: int
) -> None:
    origin, target, aircraft = field(dep), field(arr), TYPES[type_code]
    if not 15 < distance_nm(origin.latitude, origin.longitude, target.latitude, target.longitude) < 9_000:
        return
    try:
        itinerary = lay_out(origin, target, aircraft, Random(seed), manoeuvre)
    except DoesNotFit:
        return
    flown = itinerary.flown
    assert 0 < itinerary.off_seconds < itinerary.on_seconds < flown.seconds
    first, last = flown.at(0), flown.at(flown.seconds)
    assert distance_nm(first.latitude, first.longitude, origin.latitude, origin.longitude) < 1
    assert distance_nm(last.latitude, last.longitude, target.latitude, target.longitude) < 1
    assert (first.groundspeed_kts, last.groundspeed_kts) == (0, 0)
    assert (first.altitude_ft, last.altitude_ft) == (round(origin.elevation_ft), round(target.elevation_ft))
    before = first
    step = max(15.0, flown.seconds / 300)
    for number in range(1, int(flown.seconds / step)):
        now = flown.at(number * step)
        moved = distance_nm(before.latitude, before.longitude, now.latitude, now.longitude)
        assert (
            moved <= max(now.groundspeed_kts, before.groundspeed_kts, aircraft.cruise_kts / 2) * step / 3600 * 1.6 + 0.1
        )
        assert 0 <= now.groundspeed_kts < 520
        assert -100 < now.altitude_ft < 60_000
        before = now


@pytest.mark.parametrize("manoeuvre", ["none", "rejected take-off", "go-around", "touch-and-go"])
def test_true_times_are_when_the_height_begins_and_ends(manoeuvre: Manoeuvre) -> None:
    itinerary = lay_out(field("EGLL"), field("LFPG"), TYPES["A320"], Random(1), manoeuvre)
    low, high = round(field("EGLL").elevation_ft), round(field("LFPG").elevation_ft)
    flown = itinerary.flown
    assert flown.at(itinerary.off_seconds).altitude_ft == low
    assert flown.at(itinerary.off_seconds + 15).altitude_ft > low + 300
    assert flown.at(itinerary.on_seconds).altitude_ft == high
    assert flown.at(itinerary.on_seconds - 15).altitude_ft > high + 100
    assert flown.at(itinerary.on_seconds + 45).groundspeed_kts <= 20


def test_a_flight_that_is_too_short_for_the_type_does_not_fit() -> None:
    with pytest.raises(DoesNotFit):
        lay_out(field("EGLL"), field("EGLC"), TYPES["A388"], Random(1))


def test_a_helicopter_rises_before_it_moves() -> None:
    itinerary = lay_out(field("KJFK"), field("KEWR"), TYPES["EC45"], Random(1))
    lifting = itinerary.flown.at(itinerary.off_seconds + 15)
    assert lifting.groundspeed_kts == 0
    assert lifting.altitude_ft > field("KJFK").elevation_ft + 60
