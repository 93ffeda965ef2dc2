"""Event ids: their order, their text, their packed form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.protocol.event_id import MAX_MILLISECONDS, MAX_SEQUENCE, ZERO, EventId, InvalidEventId

ids = st.builds(EventId, st.integers(0, MAX_MILLISECONDS), st.integers(0, MAX_SEQUENCE))


@given(ids)
def test_text_of_any_id_parses_back_to_it(event_id: EventId) -> None:
    assert EventId.parse(str(event_id)) == event_id


@given(ids)
def test_packed_form_unpacks_to_the_same_id(event_id: EventId) -> None:
    assert EventId.from_integer(event_id.to_integer()) == event_id


@given(ids, ids)
def test_packed_form_keeps_the_order(one: EventId, other: EventId) -> None:
    assert (one < other) == (one.to_integer() < other.to_integer())


@given(ids)
def test_packed_form_fits_a_signed_64_bit_integer(event_id: EventId) -> None:
    assert 0 <= event_id.to_integer() < 2**63


@given(ids.filter(lambda event_id: event_id.milliseconds < MAX_MILLISECONDS), st.integers(0, MAX_MILLISECONDS))
def test_next_is_always_greater_whatever_the_clock_says(event_id: EventId, now_ms: int) -> None:
    following = event_id.next(now_ms)
    assert following > event_id
    assert EventId.from_integer(following.to_integer()) == following


def test_next_takes_the_clock_when_it_is_ahead() -> None:
    assert EventId(1000, 7).next(1001) == EventId(1001, 0)


def test_next_counts_on_when_the_clock_stands_or_went_back() -> None:
    assert EventId(1000, 7).next(1000) == EventId(1000, 8)
    assert EventId(1000, 7).next(3) == EventId(1000, 8)


def test_next_after_a_full_millisecond_borrows_the_following_one() -> None:
    assert EventId(1000, MAX_SEQUENCE).next(1000) == EventId(1001, 0)


def test_zero_is_before_every_id_that_a_clock_gives() -> None:
    assert ZERO.next(0) > ZERO


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "1-",
        "-1",
        "1",
        "1-2-3",
        "1 -2",
        " 1-2",
        "1-2\n",
        "+1-2",
        "-1-2",
        "1.0-2",
        "1e3-2",
        "٣-١",
        f"{MAX_MILLISECONDS + 1}-0",
        f"0-{MAX_SEQUENCE + 1}",
        "9" * 10_000 + "-0",
        None,
        17,
        pytest.param(10**5000, id="huge"),
        1.5,
        True,
        [],
        {},
        b"1-2",
    ],
)
def test_parse_anything_else_is_refused_with_a_short_text(text: object) -> None:
    with pytest.raises(InvalidEventId) as refusal:
        EventId.parse(text)
    assert "not an event id" in str(refusal.value)
    assert len(str(refusal.value)) < 150


@given(st.text())
def test_parse_any_text_gives_an_id_or_the_refusal(text: str) -> None:
    try:
        event_id = EventId.parse(text)
    except InvalidEventId:
        return
    assert EventId.parse(str(event_id)) == event_id
