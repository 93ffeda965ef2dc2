"""One event as one line, whatever it contains."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swimctl.render.event_row import STYLES, describe, describe_position, positions_of

WHEN = "2026-01-16T14:30:15.000Z"
FLIGHT = {
    "callsign": "DAL123", "dep": "KJFK", "arr": "EGLL", "altitude_ft": 35_012, "groundspeed_kts": 481,
    "current_artcc": "ZNY",
}  # fmt: skip


def line_of(type: str, **data: Any) -> str:
    return describe({"type": type, "timestamp": WHEN, "id": "1-0", "data": data}).to_line()


@pytest.mark.parametrize(
    ("type", "data", "cells"),
    [
        ("flight.departed", {**FLIGHT, "altitude_ft": 1200, "off_utc": "2026-01-16T14:29:50Z"},
         "DAL123\tKJFK\tEGLL\toff 14:29Z, 1,200 ft 481 kt ZNY"),
        ("flight.arrived", {**FLIGHT, "altitude_ft": 12, "in_utc": None}, "DAL123\tKJFK\tEGLL\t12 ft 481 kt ZNY"),
        ("flight.created", {**FLIGHT, "equipment": "B738/L", "route": "MERIT DCT"},
         "DAL123\tKJFK\tEGLL\tB738/L, FL350 481 kt ZNY, MERIT DCT"),
        ("flight.updated", {**FLIGHT, "changed": ["route", "arr"]},
         "DAL123\tKJFK\tEGLL\tchanged route, arr, FL350 481 kt ZNY"),
        ("flight.updated", {**FLIGHT, "changed": ["latitude", "longitude", "heading_deg"]},
         "DAL123\tKJFK\tEGLL\tconnected, FL350 481 kt ZNY"),
        ("flight.updated", {"callsign": "A", "changed": []}, "A\t-\t-\tchanged"),
        ("flight.deleted", FLIGHT, "DAL123\tKJFK\tEGLL\tgone, last FL350 481 kt ZNY"),
        ("flight.deleted", {"callsign": "A"}, "A\t-\t-\tgone"),
        ("flight.position", {**FLIGHT, "heading_deg": 90}, "DAL123\tKJFK\tEGLL\tFL350 481 kt ZNY, heading 90°"),
        ("flight.positions", {"count": 1234, "positions": []}, "-\t-\t-\t1,234 positions"),
        ("flight.positions", {"positions": [{}, {}, 3]}, "-\t-\t-\t2 positions"),
        ("tmi.issued", {"program_type": "GS", "airport": "KJFK", "start_time": "2026-01-16T14:30:00Z",
                        "end_time": "2026-01-16T15:30:00Z", "reason": "WEATHER", "status": "ACTIVE"},
         "GS\tKJFK\t-\t14:30–15:30Z, WEATHER, active"),
        ("tmi.released", {"program_type": "GS", "airport": "KJFK", "end_time": "2026-01-16T15:30:00Z"},
         "GS\tKJFK\t-\tuntil 15:30Z"),
        ("splits.activated", {"artcc": "ZNY", "config_name": "Night", "status": "active", "position_count": 3},
         "ZNY\tNight\t-\tactive, 3 positions"),
        ("system.notice", {"message": "maintenance at 18:00Z"}, "-\t-\t-\tmaintenance at 18:00Z"),
        ("system.heartbeat", {"connected_clients": 3, "uptime_seconds": 60}, "-\t-\t-\t3 clients, up 60 s"),
        ("cdm.edct", {"callsign": "A", "edct": "14:30", "none": None}, "A\t-\t-\tedct=14:30"),
        ("weather.sigmet", {}, "-\t-\t-\t-"),
    ],
)  # fmt: skip
def test_event_is_one_line_of_seven_cells(type: str, data: dict[str, Any], cells: str) -> None:
    assert line_of(type, **data) == f"{WHEN}\t{type}\t{cells}\t1-0"


def test_event_of_a_hostile_peer_moves_no_cursor_and_breaks_no_line() -> None:
    line = line_of("flight.departed", callsign="A\x1b[2J\nB\tC\x9b", dep="\u202eKJFK", arr="E" * 10_000)
    assert line.count("\t") == 6
    assert "\x1b" not in line and "\n" not in line and "\x9b" not in line and "\u202e" not in line
    assert len(line) < 600


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_fields = (
    "callsign", "dep", "arr", "altitude_ft", "groundspeed_kts", "heading_deg", "off_utc", "in_utc", "changed", "count",
    "positions", "program_type", "airport", "start_time", "end_time", "reason", "status", "message", "position_count",
    "equipment", "route",
)  # fmt: skip
_types = st.sampled_from([*STYLES, "splits.updated", "x.y", "flight."])


@given(
    st.sampled_from([*STYLES, "splits.updated", "x.y", "flight."]), st.dictionaries(st.sampled_from(_fields), _anything)
)
def test_event_with_absurd_data_is_still_one_line(type: str, data: dict[str, Any]) -> None:
    line = line_of(type, **data)
    assert line.count("\t") == 6
    assert line.replace("\t", " ").isprintable()


@given(_anything)
def test_message_that_is_no_event_is_still_one_line(data: Any) -> None:
    assert describe({"type": data, "timestamp": data, "id": data, "data": data}).to_line().count("\t") == 6


def test_route_of_a_flight_has_an_arrow_and_that_of_an_airport_none() -> None:
    assert describe({"type": "flight.departed", "data": {"dep": "KJFK"}}).route == "KJFK → -"
    assert describe({"type": "tmi.issued", "data": {"airport": "KJFK"}}).route == "KJFK"
    assert describe({"type": "system.notice", "data": {}}).route == "-"


def test_positions_of_a_batch_become_lines_of_their_own() -> None:
    event = {"type": "flight.positions", "timestamp": WHEN, "id": "1-0", "data": {"positions": [FLIGHT, None]}}
    (position,) = positions_of(event)
    assert describe_position(event, position).to_line().split("\t")[1:3] == ["flight.position", "DAL123"]
