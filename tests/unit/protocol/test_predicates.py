"""What each filter kind compares, field by field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from swim_server.protocol.predicates import (
    Box,
    firs_of,
    fits,
    has_airport,
    has_fir,
    off_block_ms_of,
    phase_of,
    place_of,
)

PACIFIC = Box(north=60, south=-60, east=-170, west=170)


@pytest.mark.parametrize(
    ("place", "inside"),
    [
        ((0, 175), True),
        ((0, -175), True),
        ((0, 170), True),
        ((0, -170), True),
        ((0, 180), True),
        ((0, -180), True),
        ((60, 175), True),
        ((0, 169.99), False),
        ((0, -169.99), False),
        ((0, 0), False),
        ((61, 175), False),
        ((0, 181), False),
        ((0, -181), False),
    ],
)
def test_box_whose_east_is_less_than_its_west_crosses_the_antimeridian(
    place: tuple[float, float], inside: bool
) -> None:
    assert PACIFIC.contains(*place) is inside


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-180, 180), st.floats(-180, 180))
def test_box_and_its_complement_in_longitude_cover_the_globe(lat: float, lon: float, one: float, other: float) -> None:
    assume(one != other)
    box, rest = Box(90, -90, one, other), Box(90, -90, other, one)
    assert box.contains(lat, lon) or rest.contains(lat, lon)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), 10**400, -(10**400)])
def test_box_never_contains_what_is_no_place_on_earth(number: float) -> None:
    for box in (PACIFIC, Box(90, -90, 180, -180)):
        assert not box.contains(number, 175)
        assert not box.contains(0, number)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"latitude": 1.5, "longitude": 2}, (1.5, 2)),
        ({"lat": 1.5, "lon": 2}, (1.5, 2)),
        ({"lat": None, "latitude": 1.5, "lon": 2}, (1.5, 2)),
        ({"lat": 0, "latitude": 1.5, "lon": 0.0, "longitude": 3}, (0, 0.0)),
        ({"latitude": 1.5}, None),
        ({"latitude": 1.5, "longitude": None}, None),
        ({"latitude": "1.5", "longitude": 2}, None),
        ({"latitude": True, "longitude": 2}, None),
        ({"latitude": [1.5], "longitude": 2}, None),
        ({}, None),
    ],
)
def test_place_is_read_from_either_pair_of_fields(data: dict[str, Any], place: tuple[float, float] | None) -> None:
    assert place_of(data) == place


@pytest.mark.parametrize(
    ("data", "firs"),
    [
        ({"current_fir": "egtt"}, ["EGTT"]),
        ({"current_artcc": "ZNY"}, ["ZNY"]),
        ({"traversed_firs": ["czqx", " EGGX "]}, ["CZQX", "EGGX"]),
        ({"traversed_firs": "CZQX, eggx,,LPPO"}, ["CZQX", "EGGX", "", "LPPO"]),
        ({"traversed_firs": [1, None, ["CZQX"], {"a": 1}]}, []),
        ({"traversed_firs": 7, "current_fir": 7}, []),
        ({"traversed_firs": {"CZQX": 1}}, []),
        ({"current_fir": "EGTT", "current_artcc": "ZNY", "traversed_firs": ["CZQX"]}, ["EGTT", "ZNY", "CZQX"]),
        ({"artcc": "ZNY", "facility": "ZNY"}, []),
    ],
)
def test_firs_are_the_current_one_the_traversed_ones_and_the_centre(data: dict[str, Any], firs: list[str]) -> None:
    assert firs_of(data) == firs


@pytest.mark.parametrize(
    ("data", "moment"),
    [
        ({"estimated_off_block_time": "2026-01-16T14:30:15Z"}, 1_768_573_815_000),
        ({"etd": "2026-01-16 14:30:15.1234567"}, 1_768_573_815_123),
        ({"estimated_off_block_time": None, "etd": "2026-01-16T14:30:15Z"}, 1_768_573_815_000),
        ({"estimated_off_block_time": "soon", "etd": "2026-01-16T14:30:15Z"}, 1_768_573_815_000),
        ({"estimated_off_block_time": "2026-01-16T14:30:15Z", "etd": "1999-01-01T00:00:00Z"}, 1_768_573_815_000),
        ({"etd": 1_768_573_815}, 1_768_573_815_000),
        ({"etd": "1430"}, None),
        ({"etd": ""}, None),
        ({"etd": True}, None),
        ({"etd": float("nan")}, None),
        ({"etd": ["2026-01-16T14:30:15Z"]}, None),
        ({}, None),
    ],
)
def test_off_block_time_is_the_first_of_two_fields_that_can_be_read(data: dict[str, Any], moment: int | None) -> None:
    assert off_block_ms_of(data) == moment


@pytest.mark.parametrize(
    ("data", "phase"),
    [
        ({"phase": " en_route"}, "EN_ROUTE"),
        ({"phase": ""}, None),
        ({"phase": None}, None),
        ({"phase": 5}, None),
        ({}, None),
    ],
)
def test_phase_that_is_empty_or_no_text_is_none(data: dict[str, Any], phase: str | None) -> None:
    assert phase_of(data) == phase


@pytest.mark.parametrize(
    ("code", "wanted", "expected"),
    [
        ("EGLL", {"EGLL"}, True),
        ("EG**", {"EGLL"}, True),
        ("EG**", {"EG"}, True),
        ("E***", {"KJFK", "EDDF"}, True),
        ("****", {"KJFK"}, True),
        ("*GLL", {"EGLL"}, True),
        ("EG**", {"LEMD", "AEGX"}, False),
        ("E.**", {"EGLL"}, False),
    ],
)
def test_pattern_of_an_event_stands_for_every_code_that_begins_so(code: str, wanted: set[str], expected: bool) -> None:
    assert fits(code, frozenset(wanted)) is expected


def test_event_that_concerns_many_is_found_by_any_of_them() -> None:
    data = {"airport": None, "dep": "LOWW", "airports": ["EG**", " lszh "], "firs": "EGTT, LS**"}
    for code in ("LOWW", "EGKK", "LSZH"):
        assert has_airport(frozenset({code}))(data)
    assert not has_airport(frozenset({"LSGG"}))(data)
    assert has_fir(frozenset({"LSAS"}))(data)
    assert not has_fir(frozenset({"EDGG"}))(data)
