from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feed import AIRFIELDS, FIELDS, NOON_MS, Network, beside, document, pilot, plan, prefile, snapshot, types
from swim_server.detection.detect import MAX_GAP_MS, MAX_OUT_OF_ORDER, MAX_TRUNCATED, detect
from swim_server.detection.feed import FeedPilot, FeedPlan, FeedPrefile, Snapshot
from swim_server.detection.feed_decoding import decode_snapshot
from swim_server.detection.network_state import EMPTY_STATE, Flight, GroundState, NetworkState
from swim_server.detection.regions import Place, Region, Regions

FLEET = [pilot(cid=number, callsign=f"TST{number}") for number in range(1, 101)]


def fleet(at: float, count: int = 100) -> Snapshot:
    return snapshot(at, [pilot(at, cid=number, callsign=f"TST{number}") for number in range(1, count + 1)])


# The first snapshot


def test_the_first_snapshot_sets_the_stage_and_announces_nothing() -> None:
    detection = detect(EMPTY_STATE, snapshot(0, FLEET, [prefile(cid=999)]), AIRFIELDS)
    assert (detection.events, detection.skipped) == ([], None)
    assert len(detection.network_state.flights) == 101
    assert (detection.network_state.update_ms, detection.network_state.born_ms) == (NOON_MS, NOON_MS)


def test_an_empty_first_snapshot_is_one_too_and_the_next_pilot_is_created() -> None:
    network = Network()
    assert network.see(0) == []
    assert types(network.see(15, [pilot(15)])) == ["created"]


def test_after_an_hour_of_silence_the_stage_is_set_anew() -> None:
    network = Network()
    network.see(0, [pilot(0), pilot(0, cid=2, callsign="GONE")])
    uid = network.network_state.flights["1000001 DLH1AB"].uid
    later = MAX_GAP_MS / 1000 + 1
    far_away = pilot(later, **beside("EDDF", 90), altitude=30_000, groundspeed=420)
    assert network.see(later, [far_away, pilot(later, cid=3)]) == []
    assert sorted(network.network_state.flights) == ["1000001 DLH1AB", "3 DLH1AB"]
    assert network.network_state.flights["1000001 DLH1AB"].uid == uid
    assert network.network_state.flights["1000001 DLH1AB"].ground_state is GroundState.AIRBORNE


def test_within_the_hour_what_happened_in_between_is_told() -> None:
    network = Network()
    network.see(0, [pilot(0), pilot(0, cid=2, callsign="GONE")])
    later = MAX_GAP_MS / 1000
    events = network.see(later, [pilot(later, **beside("EDDF", 90), altitude=30_000, groundspeed=420)])
    assert types(events) == ["departed"]


# Skipped snapshots


def test_the_same_snapshot_twice_is_repeated_and_brings_nothing() -> None:
    network = Network()
    network.take(fleet(0))
    network_state = network.network_state
    detection = network.take(fleet(0))
    assert (detection.events, detection.skipped, detection.network_state) == ([], "repeated", network_state)


def test_an_older_snapshot_is_out_of_order() -> None:
    network = Network()
    network.take(fleet(15))
    detection = network.take(fleet(0, count=50))
    assert (detection.events, detection.skipped) == ([], "out of order")
    assert network.take(fleet(30)).skipped is None
    assert types(network.events) == []


@pytest.mark.parametrize("count", [0, 1, 19])
def test_a_nearly_empty_list_of_pilots_is_truncated(count: int) -> None:
    network = Network()
    network.take(fleet(0))
    detection = network.take(fleet(15, count))
    assert (detection.events, detection.skipped) == ([], "truncated")
    assert network.take(fleet(30)).skipped is None
    assert types(network.events) == []


@pytest.mark.parametrize(("before", "after"), [(100, 20), (19, 0), (3, 0)])
def test_many_pilots_that_leave_at_once_are_believed_to_have_left(before: int, after: int) -> None:
    network = Network()
    network.take(fleet(0, before))
    assert network.take(fleet(15, after)).skipped is None
    assert types(network.take(fleet(30, after)).events) == ["deleted"] * (before - after)


def test_a_network_that_stays_nearly_empty_is_believed_in_the_end() -> None:
    network = Network()
    network.take(fleet(0))
    for number in range(MAX_TRUNCATED):
        assert network.take(fleet(15 + 15 * number, 2)).skipped == "truncated"
    assert network.take(fleet(15 + 15 * MAX_TRUNCATED, 2)).skipped is None
    assert types(network.take(fleet(30 + 15 * MAX_TRUNCATED, 2)).events) == ["deleted"] * 98


def test_a_truncated_snapshot_served_again_and_again_is_not_believed_more() -> None:
    network = Network()
    network.take(fleet(0))
    for _ in range(10):
        assert network.take(fleet(15, 2)).skipped == "truncated"


def test_one_snapshot_with_a_stamp_of_next_year_does_not_stop_detection_for_a_year() -> None:
    network = Network()
    network.take(fleet(365 * 86_400))
    skipped = [network.take(fleet(15 * number)).skipped for number in range(MAX_OUT_OF_ORDER + 2)]
    assert skipped == ["out of order"] * MAX_OUT_OF_ORDER + [None, None]
    assert network.events == []


# A pure function


def test_detection_changes_nothing_of_what_it_is_given() -> None:
    network_state = detect(EMPTY_STATE, fleet(0), AIRFIELDS).network_state
    later = snapshot(15, [pilot(15, cid=1, callsign="TST1", altitude=3000, groundspeed=200)], [prefile(10)])
    before = copy.deepcopy((network_state, later))
    first, second = detect(network_state, later, AIRFIELDS), detect(network_state, later, AIRFIELDS)
    assert (network_state, later) == before
    assert first == second


def test_flights_that_did_not_change_are_the_same_objects() -> None:
    network_state = detect(EMPTY_STATE, fleet(0), AIRFIELDS).network_state
    again = detect(
        network_state, msgspec.structs.replace(fleet(0), update_ms=NOON_MS + 15_000), AIRFIELDS
    ).network_state
    changed = [key for key, flight in again.flights.items() if flight is not network_state.flights[key]]
    moved = detect(again, msgspec.structs.replace(fleet(0), update_ms=NOON_MS + 30_000), AIRFIELDS).network_state
    assert changed == []
    assert all(flight is again.flights[key] for key, flight in moved.flights.items())


def test_the_stage_survives_json_and_msgpack() -> None:
    network_state = detect(EMPTY_STATE, snapshot(0, FLEET, [prefile()]), AIRFIELDS).network_state
    assert msgspec.json.decode(msgspec.json.encode(network_state), type=NetworkState) == network_state
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(network_state), type=NetworkState) == network_state


def test_a_stage_holds_little_of_a_flight_whatever_is_sent() -> None:
    monster = pilot(flight_plan=FeedPlan(*(["X" * 20_000] * 6)))
    network_state = detect(EMPTY_STATE, snapshot(0, [monster]), AIRFIELDS).network_state
    assert len(msgspec.json.encode(network_state)) < 6_000


class EverythingIsNewYork:
    """A boundaries lookup that finds the same centre everywhere."""

    def around(self, places: Iterable[Place]) -> Regions:
        return self

    def locate(self, latitude: float, longitude: float) -> Region:
        return Region("ZNY", "KZNY")


def test_the_centre_comes_from_the_regions_given() -> None:
    network_state = detect(EMPTY_STATE, snapshot(0), AIRFIELDS).network_state
    events = detect(
        network_state, snapshot(15, [pilot(15)], [prefile(cid=5)]), AIRFIELDS, regions=EverythingIsNewYork()
    ).events
    created, filed, batch = events
    assert created.data["current_artcc"] == "ZNY"
    assert filed.data["current_artcc"] is None
    assert batch.data["positions"][0]["current_artcc"] == "ZNY"


# Whatever may come

names = st.sampled_from(["DLH1", "BAW2", "N3", "Ü"])
codes = st.none() | st.sampled_from(["EDDF", "EDDM", "eddf", "", "ZZZZ", "ATL", "39N", "  "])
plans = st.none() | st.builds(
    FeedPlan,
    aircraft_short=st.sampled_from([None, "A320", "EC35", "", "C172"]),
    departure=codes,
    arrival=codes,
    route=st.none() | st.text(max_size=10),
)
times = (
    st.none() | st.text(max_size=12) | st.integers(-100_000, 100_000).map(lambda at: f"2024-11-21T12:00:{at % 60:02}Z")
)
near_field = st.sampled_from(FIELDS)


@st.composite
def wild_pilots(draw: st.DrawFn) -> FeedPilot:
    """A pilot as the decoder may give it: near an airfield or anywhere, with anything missing."""
    field = draw(near_field)
    offset = st.floats(-0.12, 0.12)
    return FeedPilot(
        cid=draw(st.integers(1, 3)),
        callsign=draw(names),
        latitude=draw(st.none() | st.floats(-90, 90) | offset.map(lambda by: field.latitude + by)),
        longitude=draw(st.none() | st.floats(-180, 180) | offset.map(lambda by: field.longitude + by)),
        altitude=draw(
            st.none() | st.floats(-2000, 150_000) | st.floats(-100, 900).map(lambda by: field.elevation_ft + by)
        ),
        groundspeed=draw(st.none() | st.floats(0, 5000) | st.floats(0, 200)),
        heading=draw(st.none() | st.floats(-360, 720)),
        flight_plan=draw(plans),
        logon_time=draw(times),
        last_updated=draw(times),
    )


wild_prefiles = st.builds(FeedPrefile, cid=st.integers(1, 3), callsign=names, flight_plan=plans, last_updated=times)
wild_snapshots = st.builds(
    Snapshot,
    update_ms=st.integers(NOON_MS, NOON_MS + 8_000_000),
    pilots=st.lists(wild_pilots(), max_size=6),
    prefiles=st.none() | st.lists(wild_prefiles, max_size=3),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(wild_snapshots, max_size=12))
def test_no_sequence_of_snapshots_raises_or_names_two_events_alike(snapshots: list[Snapshot]) -> None:
    network = Network()
    for seen in snapshots:
        network.take(seen)
    assert len({event.event_id for event in network.events}) == len(network.events)
    assert [number for number in numbers_in(msgspec.to_builtins(network.events)) if not math.isfinite(number)] == []


def numbers_in(value: object) -> Iterator[float]:
    """All numbers in plain values. A text may well be «NaN»."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from numbers_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from numbers_in(inner)


@settings(max_examples=100, deadline=None)
@given(wild_snapshots)
def test_a_snapshot_compared_with_itself_brings_nothing(seen: Snapshot) -> None:
    network_state = detect(EMPTY_STATE, seen, AIRFIELDS).network_state
    assert detect(network_state, seen, AIRFIELDS).events == []


@settings(max_examples=100, deadline=None)
@given(wild_snapshots)
def test_the_same_reports_under_a_later_stamp_bring_nothing(seen: Snapshot) -> None:
    """Reports with a readable time; one without a time counts as new each time."""
    timed = [
        msgspec.structs.replace(pilot, last_updated="2024-11-21T12:00:00Z", logon_time="2024-11-21T11:00:00Z")
        for pilot in {(pilot.cid, pilot.callsign): pilot for pilot in seen.pilots}.values()
    ]
    seen = msgspec.structs.replace(seen, pilots=timed, update_ms=NOON_MS + 1)
    network_state = detect(EMPTY_STATE, seen, AIRFIELDS).network_state
    assert detect(network_state, msgspec.structs.replace(seen, update_ms=NOON_MS + 15_001), AIRFIELDS).events == []


steps = st.tuples(st.integers(0, 200), st.integers(-60, 2000), st.floats(0, 4))


@settings(max_examples=200, deadline=None)
@given(st.lists(steps, min_size=2, max_size=25))
def test_departures_and_arrivals_of_a_flight_around_its_field_take_turns(track: list[tuple[int, int, float]]) -> None:
    """However an aircraft moves within 5 NM of a field that is both origin and destination, on and off alternate."""
    network = Network()
    for number, (kts, height, away) in enumerate(track):
        where = beside("EDDF", away / 10)
        aircraft = pilot(
            15 * number, **where, altitude=364 + height, groundspeed=kts, flight_plan=plan("EDDF", "EDDF", "C172")
        )
        network.see(15 * number, [aircraft])
    moved = [kind for kind in types(network.events) if kind in ("departed", "arrived")]
    assert all(one != other for one, other in pairwise(moved) if one == "departed")


def test_a_decoded_document_detects_like_the_snapshot_it_was_made_of() -> None:
    network_state = detect(EMPTY_STATE, snapshot(0), AIRFIELDS).network_state
    seen = snapshot(15, FLEET, [prefile()])
    assert detect(network_state, decode_snapshot(document(seen)), AIRFIELDS) == detect(network_state, seen, AIRFIELDS)


def test_numbers_of_flights_are_those_of_the_stage_not_of_the_sender() -> None:
    flight = detect(EMPTY_STATE, snapshot(0, [pilot(0)]), AIRFIELDS).network_state.flights["1000001 DLH1AB"]
    assert isinstance(flight, Flight)
    assert 0 < flight.uid < 2**53
