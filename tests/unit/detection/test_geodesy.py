from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from swim_server.detection.geodesy import bearing_deg, destination, distance_nm

latitudes = st.floats(-89, 89)
longitudes = st.floats(-180, 180)


def test_distance_between_known_airports_is_the_published_one() -> None:
    assert distance_nm(40.6398, -73.7789, 51.4706, -0.4619) == pytest.approx(2991, rel=0.003)  # KJFK - EGLL


def test_distance_across_the_antimeridian_is_short() -> None:
    assert distance_nm(0, 179.9, 0, -179.9) == pytest.approx(12, rel=0.01)


def test_distance_to_the_same_place_is_zero() -> None:
    assert distance_nm(51.5, -0.4, 51.5, -0.4) == 0


@settings(deadline=None)
@given(latitudes, longitudes, st.floats(0, 359), st.floats(0, 5000))
def test_destination_lies_at_the_distance_asked_for(
    latitude: float, longitude: float, bearing: float, distance: float
) -> None:
    there = destination(latitude, longitude, bearing, distance)
    assert -180 <= there[1] <= 180
    assert distance_nm(latitude, longitude, *there) == pytest.approx(distance, abs=0.01)


@pytest.mark.parametrize(("to", "bearing"), [((1, 0), 0), ((0, 1), 90), ((-1, 0), 180), ((0, -1), 270)])
def test_bearing_to_the_four_quarters(to: tuple[float, float], bearing: float) -> None:
    assert bearing_deg(0, 0, *to) == pytest.approx(bearing)
