"""Typed events: attributes, dict, and tolerance for whatever a server sends."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_client.events import (
    ConnectionInfo,
    ErrorMessage,
    Event,
    FlightEvent,
    HeartbeatEvent,
    Position,
    PositionBatch,
    SplitsEvent,
    TMIEvent,
    decode,
    matches,
    parse_time,
)

DEPARTED = {
    "type": "flight.departed",
    "timestamp": "2026-01-16T14:30:15.123Z",
    "id": "1768573815123-0",
    "data": {"callsign": "AAL1", "flight_uid": 17, "dep": "KJFK", "arr": None, "off_utc": "x", "sector": 9},
}


def test_a_flight_event_has_typed_fields() -> None:
    event = decode(DEPARTED)
    assert isinstance(event, FlightEvent)
    assert (event.callsign, event.flight_uid, event.dep, event.arr) == ("AAL1", 17, "KJFK", None)
    assert (event.type, event.timestamp, event.id) == ("flight.departed", DEPARTED["timestamp"], DEPARTED["id"])
    assert event.route is None
    assert event.changed == []


def test_it_is_its_data_as_a_dict() -> None:
    event = decode(DEPARTED)
    assert event == DEPARTED["data"]
    assert event["callsign"] == "AAL1"
    assert event.get("nothing", "?") == "?"
    assert "route" not in event
    assert json.loads(json.dumps(event)) == DEPARTED["data"]
    assert type(event.data) is dict
    assert event.raw is DEPARTED


def test_fields_that_no_class_names_are_attributes_too() -> None:
    assert decode(DEPARTED).sector == 9
    assert decode({"type": "aman.sequence", "data": {"runway": "27L"}}).runway == "27L"
    with pytest.raises(AttributeError, match="no field 'nothing'"):
        _ = decode(DEPARTED).nothing


def test_it_can_be_copied_and_pickled() -> None:
    event = decode(DEPARTED)
    for twin in (copy.deepcopy(event), copy.copy(event), pickle.loads(pickle.dumps(event))):
        assert twin == event
        assert twin.callsign == "AAL1"
        assert twin.id == event.id


def test_one_made_by_hand_is_a_dict_as_well() -> None:
    assert FlightEvent(callsign="DAL2", dep="KATL")["callsign"] == "DAL2"
    assert FlightEvent.from_dict({"callsign": "DAL2"}) == {"callsign": "DAL2"}


def test_a_batch_has_positions_whose_unknown_numbers_are_zero() -> None:
    row = {"callsign": "A", "latitude": 40.5, "longitude": "-73.2", "altitude_ft": 35000.0, "vertical_rate_fpm": None}
    batch = decode({"type": "flight.positions", "data": {"count": 2, "positions": [row, {}, 7, None]}})
    assert isinstance(batch, PositionBatch)
    assert batch.count == 2
    first, second = batch.positions
    assert isinstance(first, Position)
    assert (first.latitude, first.longitude, first.altitude_ft) == (40.5, -73.2, 35000)
    assert first.vertical_rate_fpm == 0
    assert first["vertical_rate_fpm"] is None
    assert second.callsign == ""
    assert batch.positions is batch.positions


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("tmi.issued", {"program_id": 5, "airport": "KJFK"}, TMIEvent),
        ("splits.updated", {"artcc": "ZNY"}, SplitsEvent),
        ("system.heartbeat", {"connected_clients": 3, "sources": {"feed": 1.5}}, HeartbeatEvent),
        ("connected", {"client_id": "client_1"}, ConnectionInfo),
        ("aman.updated", {}, Event),
        ("made.up.type", {}, Event),
    ],
)
def test_each_type_has_its_class(kind: str, data: dict[str, Any], expected: type[Event]) -> None:
    event = decode({"type": kind, "data": data})
    assert type(event) is expected
    assert all(getattr(event, name) == value for name, value in data.items())


def test_the_former_servers_greeting_lacks_what_is_new() -> None:
    info = decode({"type": "connected", "data": {"client_id": "c", "server_time": "t", "version": "1.0.0"}})
    assert isinstance(info, ConnectionInfo)
    assert info.resume is False
    assert info.tier is None


@pytest.mark.parametrize(
    "message",
    [
        {"type": "error", "code": "X", "message": "why", "data": {"code": "X", "message": "why"}},
        {"type": "error", "code": "X", "message": "why"},
        {"type": "error", "data": {"code": "X", "message": "why"}},
    ],
)
def test_an_errors_code_and_text_are_found_in_either_place(message: dict[str, Any]) -> None:
    error = decode(message)
    assert isinstance(error, ErrorMessage)
    assert (error.code, error.message) == (error.get("code"), error.get("message")) == ("X", "why")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["callsign", "positions", "latitude", "count", "changed", "program_id", "type", "sources", "code"]
)


@given(
    kind=st.sampled_from(["flight.positions", "flight.position", "tmi.issued", "error", "connected", "gap", "x.y", ""]),
    data=json_values | st.dictionaries(names, json_values, max_size=4),
    rest=st.dictionaries(st.sampled_from(["id", "timestamp", "code", "message"]), json_values, max_size=3),
)
def test_no_json_object_makes_it_raise(kind: str, data: Any, rest: dict[str, Any]) -> None:
    event = decode({"type": kind, "data": data, **rest})
    assert isinstance(event.timestamp, str)
    assert isinstance(repr(event), str)
    _ = event.time
    if isinstance(event, PositionBatch):
        assert all(isinstance(position.latitude, float) for position in event.positions)


@pytest.mark.parametrize(
    ("pattern", "kind", "expected"),
    [
        ("flight.departed", "flight.departed", True),
        ("flight.departed", "flight.arrived", False),
        ("flight.*", "flight.departed", True),
        ("flight.*", "flights.departed", False),
        ("ctp.*", "ctp.slots.optimized", True),
        ("flight.*", "flight", False),
        ("*", "tmi.issued", True),
        ("*", "connected", False),
        ("connected", "connected", True),
    ],
)
def test_patterns_take_in_what_the_protocol_says(pattern: str, kind: str, expected: bool) -> None:
    assert matches(pattern, kind) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-16T14:30:15Z", "2026-01-16T14:30:15+00:00"),
        ("2026-01-16T14:30:15.123Z", "2026-01-16T14:30:15.123000+00:00"),
        ("2026-01-16T14:30:15.1234567Z", "2026-01-16T14:30:15.123456+00:00"),
        ("2026-01-16T16:30:15.5+02:00", "2026-01-16T16:30:15.500000+02:00"),
        ("2026-01-16T14:30:15", "2026-01-16T14:30:15+00:00"),
        ("", None),
        ("yesterday", None),
    ],
)
def test_a_timestamp_becomes_an_aware_datetime(text: str, expected: str | None) -> None:
    moment = parse_time(text)
    assert (moment.isoformat() if moment else None) == expected
