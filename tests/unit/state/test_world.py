"""The state is exactly the fold of all events, whatever they contain."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from support.any_filters import Dice
from support.naive_state import FIRST_MS, HistoryDice, held, naive_fold, told
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import Event, NewEvent, stamp
from swim_server.state import folding, world
from swim_server.state.kinds import FLIGHTS, InvalidKind, declare
from swim_server.state.world import World


def written(world: dict[str, dict[Any, dict[str, Any]]]) -> list[str]:
    """Write it so that NaN, which equals nothing, is alike."""
    return sorted(
        f"{kind} {key!r} {sorted((field, repr(value)) for field, value in entry.items())}"
        for kind, entries in world.items()
        for key, entry in entries.items()
    )


def flight_event(event_type: str, number: int, **data: Any) -> Event:
    return stamp(NewEvent(type=event_type, data=data), EventId(FIRST_MS + number, 0))


@pytest.mark.parametrize("seed", range(40))
def test_world_equals_the_naive_fold_after_every_event(seed: int) -> None:
    dice, folded, history = HistoryDice(seed), World(), []
    for _ in range(120):
        event = dice.event()
        history.append(told(event))
        folded.fold(event)
        assert folded.as_of == event.id
    assert held(folded) == naive_fold(history)


@pytest.mark.parametrize("seed", range(10))
def test_absurd_data_folds_without_a_fault(seed: int) -> None:
    dice, folded, history = Dice(seed), World(), []
    for number in range(300):
        event_type, data = dice.event()
        event = Event(EventId(FIRST_MS + number, 0), event_type, stamp(
            NewEvent(type=event_type, data={}), EventId(FIRST_MS + number, 0)).wire, data)  # fmt: skip
        history.append((event_type, told(event)[1], data))
        folded.fold(event)
    assert written(held(folded)) == written(naive_fold(history))


def test_encoding_follows_each_change() -> None:
    dice, folded = HistoryDice(5), World()
    for _ in range(200):
        folded.fold(dice.event())
        for entries in folded.kinds.values():
            for key, entry in entries.by_key.items():
                assert json.loads(entries.encoded(key)) == entry


def test_flight_has_every_field_that_the_protocol_names() -> None:
    folded = World()
    folded.fold(flight_event("flight.positions", 1, positions=[{"flight_uid": 7, "callsign": "DAL7", "latitude": 1.5}]))
    flight = folded.flights.by_key[7]
    assert set(folding.FLIGHT_FIELDS) <= flight.keys()
    assert (flight["latitude"], flight["route"], flight["first_seen_at"]) == (1.5, None, flight["updated_at"])


def test_event_data_is_not_changed_by_what_follows() -> None:
    """Sources, groups and history share an event's data."""
    folded = World()
    created = flight_event("flight.created", 1, flight_uid=7, callsign="DAL7", dep="KJFK")
    folded.fold(created)
    folded.fold(flight_event("flight.updated", 2, flight_uid=7, dep="KLAX"))
    assert created.data == {"flight_uid": 7, "callsign": "DAL7", "dep": "KJFK"}
    assert folded.flights.by_key[7]["dep"] == "KLAX"


def test_departure_ends_what_was_known_of_the_arrival_before() -> None:
    folded = World()
    folded.fold(flight_event("flight.arrived", 1, flight_uid=7, in_utc="x", arrived_at="KJFK", diverted=False))
    folded.fold(flight_event("flight.departed", 2, flight_uid=7, off_utc="y"))
    flight = folded.flights.by_key[7]
    assert [flight[name] for name in ("off_utc", "in_utc", "arrived_at", "diverted")] == ["y", None, None, None]


def test_entries_and_their_fields_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "MAX_ENTRIES", 3)
    folded = World()
    for number in range(5):
        folded.fold(flight_event("flight.created", number, flight_uid=number, callsign="DAL1"))
        fields = {f"field_{number}_{each}": each for each in range(100)}
        folded.fold(flight_event("flight.updated", 100 + number, flight_uid=0, route=f"DCT {number}", **fields))
        folded.fold(flight_event("tmi.issued", 200 + number, program_id=1, **fields))
    assert (list(folded.flights.by_key), folded.flights.refused) == ([0, 1, 2], 2)
    assert len(folded.flights.by_key[0]) == folding.MAX_FIELDS
    assert folded.flights.by_key[0]["route"] == "DCT 4", "known fields go on changing"
    assert len(folded.kinds["tmis"].by_key[1]) == folding.MAX_FIELDS


def test_entries_have_a_bound_in_bytes_each_and_all_large_ones_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "MAX_LARGE_BYTES", 200_000)
    folded = World()
    tmis = folded.kinds["tmis"]
    for number in range(10):
        for part in range(3):
            fields = {f"text_{part}": "x" * 30_000}
            folded.fold(flight_event("tmi.issued", 10 * number + part, program_id=number, **fields))
    sizes = [len(tmis.encoded(key)) for key in tmis.by_key]
    assert max(sizes) <= world.MAX_ENTRY_BYTES
    assert sum(sizes) <= 200_000
    assert tmis.refused == 30 - sum(len(entry) - 3 for entry in tmis.by_key.values())
    folded.fold(flight_event("tmi.issued", 200, program_id=0, text_0="short", status="ACTIVE"))
    assert (tmis.by_key[0]["text_0"], tmis.by_key[0]["status"]) == ("short", "ACTIVE"), "what is short goes on"
    for number in range(10):
        folded.fold(flight_event("tmi.released", 300 + number, program_id=number))
    folded.fold(flight_event("tmi.issued", 400, program_id=99, text="x" * 60_000))
    assert 99 in tmis.by_key, "there is room again"
    rows = [{"flight_uid": 1, "callsign": "DAL1", "remarks": "x" * 60_000}]
    folded.fold(flight_event("flight.positions", 500, positions=rows))
    folded.fold(flight_event("flight.positions", 501, positions=[{**rows[0], "more": "x" * 30_000}]))
    assert "more" not in folded.flights.by_key[1]


def test_two_thousand_flights_need_at_most_four_mebibytes() -> None:
    route = "HAPIE5 YAHOO DCT WHALE N291A JOOPY DCT GOMUP NATB LIMRI XETBO DCT EVRIN UN523 LIPGO"
    wires = [
        flight_event(
            "flight.created", number, flight_uid=10**12 + number, callsign=f"DAL{number}", dep="KJFK", arr="EGLL",
            equipment="A339/H-SDE1E2E3FGHIJ2J3J4J5M1RWXYZ/LB1D1", route=f"{route} {number}",
            latitude=40.5 + number / 1000, longitude=-73.8 + number / 1000, altitude_ft=30_000 + number,
            groundspeed_kts=400 + number, heading_deg=number % 360, current_artcc="ZNY", current_fir="KZNY",
            current_sector=None, phase="ENROUTE",
        ).wire
        for number in range(2000)
    ]  # fmt: skip
    folded = World()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number, wire in enumerate(wires):
            folded.fold(Event(EventId(FIRST_MS + number, 0), "flight.created", wire))
        for key in folded.flights.by_key:
            folded.flights.encoded(key)
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert used <= 4 * 1024 * 1024


def test_flight_is_found_by_uid_and_by_callsign_the_one_heard_of_last_first() -> None:
    folded = World()
    folded.fold(flight_event("flight.created", 1, flight_uid=7, callsign="DAL1", dep="KJFK"))
    folded.fold(flight_event("flight.created", 2, flight_uid=8, callsign="DAL1", dep="KLAX"))
    folded.fold(flight_event("flight.updated", 3, flight_uid=7, callsign="DAL1"))
    by_uid, by_callsign = folded.find_flight("8"), folded.find_flight("dal1 ")
    assert by_uid is not None and by_callsign is not None
    assert (by_uid["dep"], by_callsign["dep"]) == ("KLAX", "KJFK")
    assert folded.find_flight("9") is None and folded.find_flight("AFR1") is None


def test_declared_kind_folds_by_all_its_key_fields() -> None:
    kind = declare("reports", "weather", ["station", "hour"], ["expired"])
    folded = World([FLIGHTS, kind])
    folded.fold(flight_event("weather.metar", 1, station="KJFK", hour=4, text="a"))
    folded.fold(flight_event("weather.taf", 2, station="KJFK", hour=5, text="b"))
    folded.fold(flight_event("weather.metar", 3, station="KJFK", text="no hour: of no entry"))
    folded.fold(flight_event("weather.expired", 4, station="KJFK", hour=4))
    (entry,) = folded.kinds["reports"].by_key.values()
    assert entry == {
        "station": "KJFK", "hour": 5, "text": "b",
        "first_seen_at": "2026-01-16T14:30:15.002Z", "updated_at": "2026-01-16T14:30:15.002Z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "key"), [("flights", ["a"]), ("two words", ["a"]), ("reports", [])], ids=["taken", "no name", "no key"]
)
def test_declared_kind_that_can_not_be_one_is_refused(name: str, key: list[str]) -> None:
    with pytest.raises(InvalidKind, match=f"in state.kinds.{name}: "):
        declare(name, "weather", key, [])
