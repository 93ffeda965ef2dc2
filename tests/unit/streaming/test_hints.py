"""Hints: what of a client's filters can match nothing known."""

from __future__ import annotations

import pytest
from support.virtual_clock import VirtualClock
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import encode
from swim_server.protocol.filters import EMPTY, merge
from swim_server.streaming.hints import MAX_HINTS, AirportCodes, Hints
from swim_server.streaming.recent import Recent

AIRPORTS = AirportCodes(frozenset({"KJFK", "EGLL", "EGKK"}), {"JFK": "KJFK", "LHR": "EGLL"})


@pytest.fixture
def hints() -> Hints:
    recent = Recent(ZERO)
    rows = [
        {"callsign": "BAW1", "dep": "EGLL", "arr": "XPVT", "current_artcc": "EGTT", "latitude": 51, "longitude": 0},
        {"callsign": 7, "dep": None},
    ]
    recent.append(encode("flight.positions", "", EventId(1, 0), {"count": 2, "positions": rows}))
    recent.append(encode("flight.positions", "", EventId(2, 0), {"positions": "a shape of its own"}))
    found = Hints(recent, clock=VirtualClock())
    found.airports = AIRPORTS
    return found


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"airports": ["JFK"]}, ["no airport JFK; KJFK?"]),
        ({"airports": ["KJFKX"]}, ["no airport KJFKX; KJFK?"]),
        ({"airports": ["QQQQ"]}, ["no airport QQQQ is known"]),
        ({"airports": ["KJFK", "egll"]}, []),
        ({"airports": ["XPVT"]}, []),
        ({"artccs": ["KZNY"]}, ["no centre KZNY; ZNY?"]),
        ({"artccs": ["KJFK"]}, ["no centre KJFK: it is an airport"]),
        ({"artccs": ["ZNY", "EGTT"]}, []),
        ({"firs": ["KZNY", "EGTT"]}, []),
        ({"callsign_prefix": ["DLH"]}, ["nobody flies with a callsign that begins with DLH just now"]),
        ({"callsign_prefix": ["BAW"]}, []),
        ({}, []),
    ],
)
def test_filter_that_can_match_nothing_known_is_hinted_at(hints: Hints, filters: object, expected: list[str]) -> None:
    assert hints.about(merge(EMPTY, filters)) == expected


def test_nothing_is_hinted_at_where_nothing_is_known() -> None:
    empty = Hints(Recent(ZERO), clock=VirtualClock())
    assert empty.about(merge(EMPTY, {"airports": ["JFK"], "callsign_prefix": ["DLH"]})) == []


def test_hints_are_few_however_many_filters_there_are(hints: Hints) -> None:
    assert len(hints.about(merge(EMPTY, {"airports": [f"Q{number:03}" for number in range(100)]}))) == MAX_HINTS
