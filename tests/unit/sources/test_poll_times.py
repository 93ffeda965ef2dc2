"""The interval at which a feed is polled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.sources.poll_times import PollTimes

START = 1_732_190_400.0


def follow(offset: float, looks: int = 12, *, late: float = 0.0, phase: float = 0.0) -> list[float]:
    """How old what each look finds is, of something made every 15 s and shown ``late`` seconds after its stamp."""
    times, asked_at, ages = PollTimes(15), START + phase, []
    for _ in range(looks):
        made = START + (asked_at - late - START) // 15 * 15
        ages.append(asked_at - made)
        asked_at = times.next_look(asked_at, made + offset, 0.5)
    return ages


@pytest.mark.parametrize("phase", [0.1, 3, 7, 12, 14.9])
def test_after_a_few_looks_they_come_soon_after_something_new(phase: float) -> None:
    assert all(age < 6 for age in follow(0, phase=phase)[3:])


@pytest.mark.parametrize("late", [2, 5, 9])
def test_what_is_shown_later_than_its_stamp_says_is_met_too(late: float) -> None:
    assert all(age < late + 5 for age in follow(0, looks=40, late=late)[12:])


@pytest.mark.parametrize("skew", [-6, -3, 3, 6])
def test_a_clock_that_is_wrong_is_lived_with(skew: float) -> None:
    assert all(age < 11 for age in follow(skew, looks=40)[12:])


@given(st.floats(-100, 100), st.floats(0, 1))
def test_no_look_comes_too_early_or_much_too_late(offset: float, spread: float) -> None:
    times, asked_at = PollTimes(15), START
    for _ in range(5):
        following = times.next_look(asked_at, asked_at + offset, spread)
        assert 15 <= following - asked_at < 30
        asked_at = following


@pytest.mark.parametrize("stamp", [None, 0.0, START - 1_000])
def test_without_a_usable_stamp_it_is_the_interval(stamp: float | None) -> None:
    assert PollTimes(15).next_look(START, stamp, 0.5) == START + 15
