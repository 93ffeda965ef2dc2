from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feed import AIRFIELDS
from swim_server.detection.airfields import Airfield, Airfields
from swim_server.detection.geodesy import destination, distance_nm


@pytest.mark.parametrize(("code", "field"), [("KATL", "KATL"), ("ATL", "KATL"), ("39N", "K39N"), ("K39N", "K39N")])
def test_a_field_is_found_by_any_of_its_codes(code: str, field: str) -> None:
    found = AIRFIELDS.get(code)
    assert found is not None
    assert found.code == field


@pytest.mark.parametrize("code", [None, "", "ZZZZ", "VHHX"])
def test_an_unknown_code_finds_nothing(code: str | None) -> None:
    assert AIRFIELDS.get(code) is None


def test_another_code_for_a_field_that_is_missing_is_ignored() -> None:
    assert Airfields([], {"ATL": "KATL"}).get("ATL") is None


def test_a_code_of_its_own_goes_before_another_field_s_other_code() -> None:
    fields = Airfields([Airfield("AAA", 1, 1, 0), Airfield("KAAA", 2, 2, 0)], {"AAA": "KAAA"})
    found = fields.get("AAA")
    assert found is not None
    assert found.latitude == 1


def test_length_counts_fields_not_codes() -> None:
    assert len(AIRFIELDS) == 8


def test_nearest_prefers_the_nearer_of_two() -> None:
    fields = Airfields([Airfield("NEAR", 50.0, 8.0, 0), Airfield("FAR", 50.05, 8.0, 0)])
    found = fields.nearest(50.01, 8.0, 10)
    assert found is not None
    assert found.code == "NEAR"


def test_nearest_finds_none_beyond_the_distance() -> None:
    assert AIRFIELDS.nearest(50.0333, 8.80, 5) is None


@settings(deadline=None)
@given(st.floats(-89.5, 89.5), st.floats(-180, 180), st.floats(0, 359), st.floats(0, 9.9))
def test_nearest_finds_a_field_in_any_direction_anywhere_on_earth(
    latitude: float, longitude: float, bearing: float, distance: float
) -> None:
    there = destination(latitude, longitude, bearing, distance)
    fields = Airfields([Airfield("XXXX", latitude, longitude, 0)])
    assert distance_nm(latitude, longitude, *there) <= 10
    assert fields.nearest(*there, 10) is not None
