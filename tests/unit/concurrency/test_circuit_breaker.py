"""A failing dependency is left alone for a while, then tried by a single call."""

from __future__ import annotations

import pytest
from support.virtual_clock import VirtualClock
from swim_server.concurrency.circuit_breaker import CircuitBreaker


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def breaker(clock: VirtualClock) -> CircuitBreaker:
    return CircuitBreaker(first_open_seconds=1, longest_open_seconds=5, clock=clock)


def test_it_is_closed_until_a_failure_is_told(breaker: CircuitBreaker) -> None:
    assert not breaker.is_open
    assert breaker.begin_call() is False
    assert breaker.trip("away") is True
    assert (breaker.is_open, breaker.problem) == (True, "away")


def test_second_failure_while_it_is_open_changes_nothing(breaker: CircuitBreaker, clock: VirtualClock) -> None:
    breaker.trip("away")
    assert breaker.trip("away, too") is False
    assert breaker.problem == "away"
    clock.advance(1)
    assert not breaker.is_open


def test_it_stays_open_twice_as_long_after_each_failure_up_to_the_limit(
    breaker: CircuitBreaker, clock: VirtualClock
) -> None:
    for seconds in (1, 2, 4, 5, 5):
        assert breaker.trip("away")
        clock.advance(seconds - 0.01)
        assert breaker.is_open
        clock.advance(0.02)
        assert not breaker.is_open


def test_one_trial_at_a_time_is_let_through(breaker: CircuitBreaker, clock: VirtualClock) -> None:
    breaker.trip("away")
    clock.advance(1)
    assert breaker.begin_call() is True
    assert breaker.is_open
    breaker.end_trial()
    assert not breaker.is_open


def test_success_closes_it_and_makes_the_next_pause_the_first(breaker: CircuitBreaker, clock: VirtualClock) -> None:
    breaker.trip("away")
    clock.advance(1)
    breaker.trip("away")
    clock.advance(2)
    breaker.reset()
    assert (breaker.is_open, breaker.problem, breaker.problem_since) == (False, None, None)
    breaker.trip("away")
    clock.advance(1)
    assert not breaker.is_open


def test_trouble_is_dated_from_the_first_failure_in_a_row(breaker: CircuitBreaker, clock: VirtualClock) -> None:
    began = clock.seconds
    breaker.trip("away")
    clock.advance(2)
    breaker.trip("still away")
    assert breaker.problem_since == began
