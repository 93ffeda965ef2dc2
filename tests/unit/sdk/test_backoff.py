"""Waiting before reconnecting: backoff, jitter, and the server's advice."""

from __future__ import annotations

import random

import pytest
from swim_client.backoff import LONGEST_ADVICE_SECONDS, Backoff, retry_after, retry_ms


def test_waits_double_up_to_the_maximum_when_chance_gives_all() -> None:
    backoff = Backoff(1.0, 60.0, random=lambda: 1.0)
    assert [backoff.wait_seconds() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_waits_are_spread_over_the_whole_span() -> None:
    chance = random.Random(7)
    waits = []
    for _ in range(2000):
        backoff = Backoff(1.0, 60.0, random=chance.random)
        backoff.failures = 4
        waits.append(backoff.wait_seconds())
    assert min(waits) < 0.5
    assert max(waits) > 15.5
    assert 7 < sum(waits) / len(waits) < 9


def test_a_short_connection_does_not_let_the_waits_begin_anew() -> None:
    backoff = Backoff(1.0, 60.0, random=lambda: 1.0)
    backoff.wait_seconds()
    backoff.wait_seconds()
    backoff.ended(59.9)
    assert backoff.wait_seconds() == 4


def test_a_stable_minute_lets_the_waits_begin_anew() -> None:
    backoff = Backoff(1.0, 60.0, random=lambda: 1.0)
    backoff.wait_seconds()
    backoff.wait_seconds()
    backoff.ended(60.0)
    assert backoff.wait_seconds() == 1


def test_thousands_of_failures_do_not_overflow() -> None:
    backoff = Backoff(random=lambda: 1.0)
    backoff.failures = 1_000_000
    assert backoff.wait_seconds() == 60


def test_retry_after_is_waited_out_and_spread() -> None:
    backoff = Backoff(1.0, random=lambda: 0.5)
    assert backoff.wait_as_told_seconds(10) == 10.5
    assert backoff.wait_as_told_seconds(1e9) == LONGEST_ADVICE_SECONDS + 0.5
    assert backoff.failures == 0


@pytest.mark.parametrize(
    ("reason", "seconds"),
    [
        ("retry_ms=1500", 1.5),
        ("restarting; retry_ms=0", 0.0),
        ("retry_ms=250 please", 0.25),
        ("retry_ms=999999999", LONGEST_ADVICE_SECONDS),
        ("", None),
        ("retry_ms=", None),
        ("retry_ms=-5", None),
        ("retry_ms=12345678901234567890", None),
        ("noretry_ms=5", None),
        ("retry_ms=٣", None),
    ],
)
def test_retry_ms_is_read_from_a_close_reason(reason: str, seconds: float | None) -> None:
    assert retry_ms(reason) == seconds


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("Fri, 16 Jan 2026 14:30:45 GMT", 30.0),
        ("Fri, 16 Jan 2026 14:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-3", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now_seconds=1768573815.0) == seconds


def test_wait_after_an_admitted_session_is_short_and_lets_the_others_go_on() -> None:
    backoff = Backoff(1.0, 60.0, random=lambda: 1.0)
    for _ in range(4):
        backoff.wait_seconds()
    assert backoff.wait_after_session_seconds() == 1.0
    assert backoff.wait_seconds() == 32.0
