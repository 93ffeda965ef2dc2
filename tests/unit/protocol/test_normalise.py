"""What former providers write, converted to the wire format."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.protocol.normalise import normalise, with_north_as_zero
from swim_server.protocol.payloads import check_payload

FORMER = {
    "callsign": "DAL5",
    "flight_uid": "1234567",
    "latitude": "40.6413000",
    "longitude": "-73.7781000",
    "altitude_ft": "35000",
    "groundspeed_kts": 450,
    "heading_deg": 360,
    "current_artcc": 17,
}


def test_numbers_that_came_as_text_become_numbers() -> None:
    mended = normalise("flight.created", FORMER)
    check_payload("flight.created", mended)
    assert mended == {
        "callsign": "DAL5",
        "flight_uid": 1234567,
        "latitude": 40.6413,
        "longitude": -73.7781,
        "altitude_ft": 35000,
        "groundspeed_kts": 450,
        "heading_deg": 0,
        "current_artcc": None,
    }


def test_each_position_of_a_batch_is_mended() -> None:
    mended = normalise("flight.positions", {"count": 1, "positions": [FORMER]})
    check_payload("flight.positions", mended)


def test_other_families_and_good_data_stay_the_same_objects() -> None:
    data = {"airport": "17"}
    assert normalise("tmi.issued", data) is data
    good = {"callsign": "N1", "own": "5"}
    assert normalise("flight.created", good) is good


@pytest.mark.parametrize(
    ("written", "wire"),
    [
        ("", None),
        ("  ", None),
        ("2026-11-22T10:00:00+02:00", "2026-11-22T08:00:00.000Z"),
        ("2026-11-22 10:00:00", "2026-11-22T10:00:00.000Z"),
        ("2026-11-22T10:00:00.000Z", "2026-11-22T10:00:00.000Z"),
        ("soon", "soon"),
        (None, None),
        (5, 5),
    ],
)
def test_times_are_written_as_the_wire_has_them(written: Any, wire: Any) -> None:
    assert normalise("tmi.issued", {"start_time": written}) == {"start_time": wire}
    assert normalise("flight.departed", {"off_utc": written}) == {"off_utc": wire}


def test_number_of_a_program_that_came_as_text_is_a_number() -> None:
    assert normalise("tmi.issued", {"program_id": "7"}) == {"program_id": 7}


@pytest.mark.parametrize("value", ["", "x", "nan", "1e400", "9" * 30, True, None, [], {}])
def test_what_can_not_be_mended_stays(value: Any) -> None:
    assert normalise("flight.created", {"altitude_ft": value}) == {"altitude_ft": value}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from([*FORMER, "positions"]), json_values))
def test_no_data_raises(data: dict[str, Any]) -> None:
    normalise("flight.positions", data)


@pytest.mark.parametrize("event_type", ["flight.position", "tmi.issued", "splits.updated", "weather.sigmet"])
def test_numbers_as_text_are_read_as_numbers_whatever_the_type(event_type: str) -> None:
    data = {"lat": "40.6", "lon": " -73.8", "position_count": "3", "callsign": "123", "remarks": "7"}
    assert with_north_as_zero(event_type, data) == {**data, "lat": 40.6, "lon": -73.8, "position_count": 3}


def test_numbers_of_a_batch_are_read_and_so_is_its_count() -> None:
    data = {"count": "2", "positions": [{"latitude": "1.5", "heading_deg": "360"}, {"latitude": 2.5}]}
    read = with_north_as_zero("flight.positions", data)
    assert read == {"count": 2, "positions": [{"latitude": 1.5, "heading_deg": 0}, {"latitude": 2.5}]}


def test_data_without_numbers_as_text_is_not_copied() -> None:
    data = {"count": 1, "positions": [{"latitude": 1.5}], "note": "x"}
    assert with_north_as_zero("flight.positions", data) is data
    assert with_north_as_zero("flight.position", {"lat": "north"}) == {"lat": "north"}
