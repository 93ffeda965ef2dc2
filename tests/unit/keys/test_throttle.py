"""Failed attempts by address, and which address counts."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.keys.throttle import Attempts, client_address

HOME = "203.0.113.7"
GUESSES = count()


def fail(attempts: Attempts, times: int, address: str = HOME, now: float = 0) -> None:
    for _ in range(times):
        attempts.failed(address, now, f"guess {next(GUESSES)}")


def test_first_failures_cost_nothing_then_each_costs_twice_the_last() -> None:
    attempts = Attempts()
    penalties = []
    for number in range(11):
        penalties.append(attempts.penalty_seconds(HOME, 0))
        attempts.failed(HOME, 0, number)
    assert penalties == [0, 0, 0, 0, 0, 0, 0.25, 0.5, 1, 2, 4]
    assert attempts.penalty_seconds(HOME, 0) == 5


def test_many_failures_are_refused_until_they_have_melted() -> None:
    attempts = Attempts()
    fail(attempts, 19)
    assert attempts.retry_after(HOME, 0) is None
    fail(attempts, 6)
    assert attempts.retry_after(HOME, 0) == 50
    assert attempts.retry_after(HOME, 48.5) == 2
    assert attempts.retry_after(HOME, 51) is None


def test_refusal_never_lasts_longer_than_ten_minutes() -> None:
    attempts = Attempts()
    fail(attempts, 100_000)
    assert attempts.retry_after(HOME, 0) == 400


def test_guess_every_ten_seconds_is_never_refused() -> None:
    attempts = Attempts()
    for number in range(1_000):
        attempts.failed(HOME, number * 10.0, number)
    assert attempts.retry_after(HOME, 10_000) is None


def test_client_that_repeats_one_ended_key_every_second_harms_nobody() -> None:
    attempts = Attempts()
    for second in range(10_000):
        attempts.failed(HOME, float(second), "the same key")
    assert attempts.retry_after(HOME, 10_000) is None
    assert attempts.penalty_seconds(HOME, 10_000) == 0


def test_address_from_which_good_keys_come_has_more_room_for_an_hour() -> None:
    attempts = Attempts()
    attempts.succeeded(HOME, 0)
    fail(attempts, 60)
    assert attempts.retry_after(HOME, 0) is None
    fail(attempts, 60)
    assert attempts.retry_after(HOME, 0) is not None
    attempts.succeeded(HOME, 10_000)
    fail(attempts, 30, now=14_000)
    assert attempts.retry_after(HOME, 14_000) is not None


def test_other_addresses_are_not_harmed() -> None:
    attempts = Attempts()
    fail(attempts, 100)
    assert attempts.retry_after("203.0.113.8", 0) is None
    assert attempts.penalty_seconds("203.0.113.8", 0) == 0


def test_addresses_of_one_ipv6_network_count_together() -> None:
    attempts = Attempts()
    for number in range(25):
        attempts.failed(f"2001:db8:1:2::{number:x}", 0, number)
    assert attempts.retry_after("2001:db8:1:2:ffff::1", 0) is not None
    assert attempts.retry_after("2001:db8:1:3::1", 0) is None


def test_ipv4_address_mapped_into_ipv6_is_the_ipv4_address() -> None:
    attempts = Attempts()
    fail(attempts, 25)
    assert attempts.retry_after(f"::ffff:{HOME}", 0) is not None


def test_memory_is_bounded_and_the_longest_quiet_address_is_forgotten() -> None:
    attempts = Attempts(address_limit=100)
    fail(attempts, 25, "192.0.2.1")
    for number in range(99):
        attempts.failed(f"10.0.0.{number}", 0)
    attempts.failed("192.0.2.1", 0)
    for number in range(99):
        attempts.failed(f"10.0.1.{number}", 0)
    assert len(attempts) == 100
    assert attempts.retry_after("192.0.2.1", 0) is not None


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.integers(0, 3))))
def test_whatever_happens_an_address_is_free_again_after_long_silence(steps: list[tuple[float, bool, int]]) -> None:
    attempts, now = Attempts(), 0.0
    for pause, succeeds, mark in steps:
        now += pause
        if succeeds:
            attempts.succeeded(HOME, now)
        else:
            attempts.failed(HOME, now, mark)
    now += 3_600
    assert attempts.retry_after(HOME, now) is None
    assert attempts.penalty_seconds(HOME, now) == 0


PROXIES = ("127.0.0.1", "10.0.0.0/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1, 10.1.1.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("127.0.0.1", ['"[2001:db8::1]:4711"'], "2001:db8::1"),
        ("::ffff:127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1, unknown, 10.1.1.1"], "10.1.1.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["10.1.2.3%eth0"], "127.0.0.1"),
        ("127.0.0.1", ["fe80::1%eth0"], "fe80::1"),
        ("127.0.0.1", ["[fe80::1%eth0]:80"], "fe80::1"),
        ("127.0.0.1", ["198.51.100.1:http"], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1:"], "127.0.0.1"),
        ("127.0.0.1", ["[2001:db8::1]x"], "127.0.0.1"),
        ("127.0.0.1", ["[2001:db8::1"], "127.0.0.1"),
        ("127.0.0.1", ["2001:db8::1]:80"], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1 203.0.113.1"], "127.0.0.1"),
        ("127.0.0.1", ["[198.51.100.1]:80"], "198.51.100.1"),
        ("127.0.0.1", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
    ],
)
def test_forwarded_addresses_are_believed_from_the_right(peer: str, forwarded: list[str], expected: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == expected


@given(st.text(), st.lists(st.text()))
def test_any_header_gives_an_address(peer: str, forwarded: list[str]) -> None:
    assert isinstance(client_address(peer, forwarded, PROXIES), str)


def test_twelve_clients_whose_keys_have_ended_do_not_lock_their_address() -> None:
    """Behind a proxy that names no client, all of them are one address; each tries again every five seconds."""
    attempts = Attempts()
    for second in range(0, 3600, 5):
        for client in range(12):
            attempts.failed("192.0.2.1", second + client / 12, f"ended {client}")
    assert attempts.retry_after("192.0.2.1", 3600) is None


def test_bad_keys_that_are_remembered_are_bounded_over_all_addresses() -> None:
    attempts = Attempts(address_limit=2000)
    for address in range(1000):
        for key in range(120):
            attempts.failed(f"10.0.{address // 250}.{address % 250}", 0.0, key)
    marks = [len(score.marks) for score in attempts._scores.values()]
    assert sum(marks) <= 100_000
    assert marks[-1] == 120
