"""An entry that no source reports any more is ended by an event, never silently."""

from __future__ import annotations

from typing import Any

from support.naive_state import FIRST_MS
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import NewEvent, stamp
from swim_server.protocol.payloads import check_payload
from swim_server.protocol.timestamps import format_ms
from swim_server.state.ageing import MAX_AT_ONCE, aged_out
from swim_server.state.world import World

HOUR_MS = 3_600_000


def fold(world: World, at_ms: int, event_type: str, **data: Any) -> None:
    world.fold(stamp(NewEvent(type=event_type, data=data), EventId(FIRST_MS + at_ms, 0)))


def test_flight_of_a_dead_source_is_deleted_by_an_event_that_filters_can_judge() -> None:
    world = World()
    fold(world, 0, "flight.created", flight_uid=7, callsign="DAL7", dep="KJFK", arr="KLAX", route="DCT")
    fold(world, 10, "flight.created", flight_uid=8, callsign="DAL8", latitude=1.5, longitude=2.5)
    fold(world, HOUR_MS, "flight.position", flight_uid=8, current_artcc="ZNY")
    (event,) = aged_out(world, FIRST_MS + HOUR_MS + 1, HOUR_MS)
    check_payload(event.type, event.data)
    assert event.type == "flight.deleted"
    assert {name: event.data[name] for name in ("flight_uid", "callsign", "dep", "arr", "latitude")} == {
        "flight_uid": 7, "callsign": "DAL7", "dep": "KJFK", "arr": "KLAX", "latitude": None,
    }  # fmt: skip
    world.fold(stamp(event, EventId(FIRST_MS + HOUR_MS + 2, 0)))
    assert list(world.flights.by_key) == [8]
    assert aged_out(world, FIRST_MS + HOUR_MS + 3, HOUR_MS) == []


def test_initiative_goes_on_until_its_end_however_long_nobody_tells_of_it() -> None:
    world = World()
    end = format_ms(FIRST_MS + 5 * HOUR_MS)
    fold(world, 0, "tmi.issued", program_id=1, program_type="GDP", airport="KJFK", end_time=end)
    fold(world, 0, "tmi.issued", program_id=2, program_type="GS", airport="KLAX", end_time=None)
    fold(world, 0, "aman.sequence", airport="KJFK", sequence=[])
    fold(world, 0, "splits.activated", config_id=3, artcc="ZNY")
    due = aged_out(world, FIRST_MS + 2 * HOUR_MS, HOUR_MS)
    assert [(event.type, event.data.get("program_id"), event.data.get("config_id")) for event in due] == [
        ("tmi.released", 2, None), ("splits.deactivated", None, 3),
    ]  # fmt: skip
    due = aged_out(world, FIRST_MS + 6 * HOUR_MS, HOUR_MS)
    assert {event.data.get("program_id") for event in due if event.type == "tmi.released"} == {1, 2}


def test_same_entry_is_not_ended_twice_by_two_looks() -> None:
    world = World()
    for number in range(MAX_AT_ONCE + 5):
        fold(world, number, "flight.created", flight_uid=number, callsign="DAL1")
    first, second = (aged_out(world, FIRST_MS + 2 * HOUR_MS, HOUR_MS) for _ in range(2))
    assert len(first) == MAX_AT_ONCE
    assert [event.event_id for event in first] == [event.event_id for event in second]
    assert len({event.event_id for event in first}) == MAX_AT_ONCE
