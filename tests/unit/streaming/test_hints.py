"""Hints: filter values that match nothing known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.streaming_rig import StreamingRig
from support.virtual_clock import VirtualClock
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import encode
from swim_server.protocol.filters import EMPTY, merge
from swim_server.streaming.hints import MAX_HINTS, AirportCodes, Hints
from swim_server.streaming.recent import Recent

AIRPORTS = AirportCodes(
    frozenset({"KJFK", "EGLL", "EGKK"}), {"JFK": "KJFK", "LHR": "EGLL"}, frozenset({"EGTT", "KZNY", "LFFF"})
)


@pytest.fixture
def hints() -> Hints:
    recent = Recent(ZERO)
    rows = [
        {
            "callsign": "BAW1",
            "dep": "EGLL",
            "arr": "XPVT",
            "current_artcc": "EGTT",
            "current_fir": "XPFR",
            "latitude": 51,
            "longitude": 0,
        },
        {"callsign": 7, "dep": None},
    ]
    recent.append(encode("flight.positions", "", EventId(1, 0), {"count": 2, "positions": rows}))
    recent.append(encode("flight.positions", "", EventId(2, 0), {"positions": "a shape of its own"}))
    found = Hints(lambda: recent, clock=VirtualClock())
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
        ({"firs": ["KZNY", "EGTT", "ZNY", "XPFR"]}, []),
        ({"constrained_firs": ["EGLL"]}, ["no FIR EGLL: it is an airport"]),
        ({"firs": ["LFXF", "QQQQ"]}, ["no FIR LFXF; LFFF?", "no FIR QQQQ is known"]),
        ({"callsign_prefix": ["DLH"]}, ["no current flight has a callsign that begins with DLH"]),
        ({"callsign_prefix": ["BAW"]}, []),
        ({}, []),
    ],
)
def test_filter_that_can_match_nothing_known_is_hinted_at(hints: Hints, filters: object, expected: list[str]) -> None:
    assert hints.about(merge(EMPTY, filters)) == expected


def test_nothing_is_hinted_at_where_nothing_is_known() -> None:
    empty = Hints(lambda: Recent(ZERO), clock=VirtualClock())
    assert empty.about(merge(EMPTY, {"airports": ["JFK"], "callsign_prefix": ["DLH"]})) == []


def test_hints_are_few_however_many_filters_there_are(hints: Hints) -> None:
    assert len(hints.about(merge(EMPTY, {"airports": [f"Q{number:03}" for number in range(100)]}))) == MAX_HINTS


@pytest.mark.parametrize("slip", ["EGL", "EGLLL", "EGLX", "EGXL", "EGKL", "EGXLL"])
def test_airport_with_one_slip_is_hinted_at(hints: Hints, slip: str) -> None:
    (hint,) = hints.about(merge(EMPTY, {"airports": [slip]}))
    assert hint in {f"no airport {slip}; EGLL?", f"no airport {slip}; EGKK?"}


def test_callsigns_are_found_by_their_beginning(hints: Hints) -> None:
    found = hints.about(merge(EMPTY, {"callsign_prefix": ["A", "B", "BA", "BAW1", "BAW12", "C"]}))
    assert [hint.split("begins with ")[1] for hint in found] == ["A", "BAW12", "C"]


def test_hub_that_begins_after_stored_events_hints_at_what_it_delivers_then() -> None:
    rig = StreamingRig()
    rig.hub.begin_after(EventId(1, 0))
    rig.hub.deliver([encode("flight.positions", "", EventId(2, 0), {"positions": [{"callsign": "BAW1"}]})])
    found = rig.hub.hints.about(merge(EMPTY, {"callsign_prefix": ["BAW", "DLH"]}))
    assert found == ["no current flight has a callsign that begins with DLH"]


def test_hints_cost_little_however_many_filters_and_airports_there_are() -> None:
    """A client may list a thousand codes ten times a second: airports are looked up, not gone through."""

    class Counted(frozenset[str]):
        looks = 0

        def __contains__(self, code: object) -> bool:
            Counted.looks += 1
            return super().__contains__(code)

        def __iter__(self) -> Iterator[str]:
            raise AssertionError("airports are not gone through")

    hints = Hints(lambda: Recent(ZERO), clock=VirtualClock())
    hints.airports = AirportCodes(Counted({"KJFK", "EGLL"}), {})
    assert len(hints.about(merge(EMPTY, {"airports": [f"Q{number:03}" for number in range(1000)]}))) == MAX_HINTS
    assert Counted.looks < 300 * MAX_HINTS
