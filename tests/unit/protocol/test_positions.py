"""Splitting position batches: small enough for the smallest buffer, nothing lost, nothing repeated."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from swim_server.protocol.event_id import MAX_MILLISECONDS, MAX_SEQUENCE, EventId
from swim_server.protocol.events import NewEvent, stamp
from swim_server.protocol.positions import MAX_POSITIONS, NEVER_NULL, split

LAST_ID = EventId(MAX_MILLISECONDS, MAX_SEQUENCE)


def event_of(positions: list[Any], *, event_id: str | None = None, **others: Any) -> NewEvent:
    data = {"count": len(positions), "positions": positions, **others}
    return NewEvent(type="flight.positions", data=data, timestamp_ms=1_768_573_815_123, event_id=event_id)


def position(number: int, route: str = "") -> dict[str, Any]:
    place = {"callsign": f"BAW{number}", "flight_uid": number, "latitude": 51.5, "longitude": -0.1, "route": route}
    return {**place, **dict.fromkeys(NEVER_NULL, 0)}


def test_batch_within_the_limits_is_returned_as_it_is() -> None:
    event = event_of([position(n) for n in range(MAX_POSITIONS)])
    assert split(event) == [event]
    assert split(event)[0] is event


def test_batch_of_281_becomes_two_with_counts_of_their_own() -> None:
    positions = [position(n) for n in range(MAX_POSITIONS + 1)]
    parts = split(event_of(positions, source="vatsim"))
    assert [part.data["count"] for part in parts] == [280, 1]
    assert [item for part in parts for item in part.data["positions"]] == positions
    assert {part.timestamp_ms for part in parts} == {1_768_573_815_123}
    assert all(part.data["source"] == "vatsim" for part in parts)


def test_parts_get_event_ids_derived_from_the_batch() -> None:
    positions = [position(n) for n in range(600)]
    assert [part.event_id for part in split(event_of(positions, event_id="snap-7"))] == [
        "snap-7#1",
        "snap-7#2",
        "snap-7#3",
    ]
    assert [part.event_id for part in split(event_of(positions))] == [None, None, None]
    assert split(event_of(positions[:5], event_id="snap-7"))[0].event_id == "snap-7"


def test_long_positions_are_split_by_bytes_before_there_are_280() -> None:
    positions = [position(n, route="DCT " * 250) for n in range(200)]
    parts = split(event_of(positions))
    assert len(parts) == 4
    assert all(len(stamp(part, LAST_ID).wire) < 65_536 for part in parts)
    assert [item for part in parts for item in part.data["positions"]] == positions


def test_wrong_count_is_corrected() -> None:
    event = NewEvent(type="flight.positions", data={"positions": [position(1)], "count": 99})
    assert split(event)[0].data["count"] == 1
    assert split(NewEvent(type="flight.positions", data={"positions": [position(1)]}))[0].data["count"] == 1


def test_what_is_no_position_or_can_not_be_sent_is_left_out() -> None:
    giant = position(2, route="x" * 70_000)
    (part,) = split(event_of([None, "BAW", 5, position(1), giant, [position(3)]]))
    assert part.data == {"count": 1, "positions": [position(1)]}


def test_batch_of_nothing_stays_one_event() -> None:
    assert [part.data for part in split(event_of([]))] == [{"count": 0, "positions": []}]


def test_other_fields_too_long_to_repeat_are_left_out() -> None:
    (part,) = split(event_of([position(1)], notes="x" * 70_000))
    assert part.data == {"count": 1, "positions": [position(1)]}


@pytest.mark.parametrize(
    "event",
    [
        NewEvent(type="flight.departed", data={"positions": [1] * 500}),
        NewEvent(type="flight.positions", data={}),
        NewEvent(type="flight.positions", data={"positions": {"a": 1}}),
    ],
)
def test_anything_but_a_batch_is_returned_as_it_is(event: NewEvent) -> None:
    assert split(event)[0] is event


routes = st.integers(0, 3000).map(lambda length: "é" * length) | st.just("")


@settings(max_examples=40, deadline=None)
@given(st.lists(routes, max_size=120), st.integers(0, 400), st.text(st.characters(codec="utf-8"), max_size=30))
def test_parts_are_small_enough_and_hold_every_position_once_in_order(long: list[str], short: int, note: str) -> None:
    positions = [position(n, route) for n, route in enumerate(long + [""] * short)]
    parts = split(event_of(positions, event_id="snap", note=note))
    assert [item for part in parts for item in part.data["positions"]] == positions
    for part in parts:
        assert part.data["count"] == len(part.data["positions"]) <= MAX_POSITIONS
        assert len(stamp(part, LAST_ID).wire) < 65_536
    assert len({part.event_id for part in parts}) == len(parts)


@settings(max_examples=40, deadline=None)
@given(st.lists(routes, max_size=60), st.integers(0, 400))
def test_splitting_a_part_again_changes_nothing(long: list[str], short: int) -> None:
    positions = [position(n, route) for n, route in enumerate(long + [""] * short)]
    for part in split(event_of(positions)):
        assert split(part) == [part]


@pytest.mark.parametrize("field", NEVER_NULL)
@pytest.mark.parametrize("unknown", [None, "", "n/a", True, [], {}, ...])
def test_what_is_unknown_of_a_position_is_zero(field: str, unknown: object) -> None:
    """Former clients drop a whole batch in which one of these is null."""
    row = {name: value for name, value in {**position(1), field: unknown}.items() if value is not ...}
    (part,) = split(event_of([row, position(2)]))
    assert [each[field] for each in part.data["positions"]] == [0, 0]


def test_number_that_came_as_text_is_that_number() -> None:
    row = {**position(1), "altitude_ft": "33000", "vertical_rate_fpm": " -1200 ", "latitude": "40.6"}
    (part,) = split(event_of([row]))
    (found,) = part.data["positions"]
    assert (found["altitude_ft"], found["vertical_rate_fpm"], found["latitude"]) == (33_000, -1200, 40.6)


def test_where_it_is_is_never_made_up() -> None:
    (part,) = split(event_of([{"callsign": "BAW1", "latitude": None, "longitude": None}]))
    assert part.data["positions"][0]["latitude"] is None
