"""Pauses after failures in a row."""

from __future__ import annotations

from support.virtual_clock import VirtualClock
from swim_server.concurrency.backoff import Backoff


def backoff(first_seconds: float, longest_seconds: float, luck: float) -> Backoff:
    clock = VirtualClock()
    clock.luck = luck
    return Backoff(first_seconds, longest_seconds, clock=clock)


def test_pauses_double_up_to_a_limit_and_begin_anew_after_a_success() -> None:
    pauses = backoff(1, 10, 0.5)
    assert [pauses.fail() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    pauses.succeed()
    assert pauses.fail() == 1


def test_pauses_are_spread_by_half_and_never_longer_than_the_limit() -> None:
    assert backoff(4, 100, 0.0).fail() == 2
    assert backoff(4, 100, 1.0).fail() == 6
    assert [backoff(1, 10, 1.0).fail() for _ in range(3)] == [1.5] * 3
    spread = backoff(8, 10, 1.0)
    assert [spread.fail() for _ in range(3)] == [10] * 3
