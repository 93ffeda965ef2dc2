"""Clients' addresses, and what is recorded about refused ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.gateway_rig import UNKNOWN, Log
from support.virtual_clock import VirtualClock
from swim_server.gateway.refusals import LOG_EVERY_SECONDS, MOST_LINES, REMEMBERED_ADDRESSES, Refusals


def _refusals(*trusted: str) -> Refusals:
    return Refusals(trusted, clock=VirtualClock(), log=Log())


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        (("192.0.2.1", 5), [], "192.0.2.1"),
        (("192.0.2.1", 5), ["198.51.100.9"], "192.0.2.1"),
        (("127.0.0.1", 5), [], "127.0.0.1"),
        (("127.0.0.1", 5), ["198.51.100.9"], "198.51.100.9"),
        (("127.0.0.1", 5), ["203.0.113.1, 198.51.100.9"], "198.51.100.9"),
        (("127.0.0.1", 5), ["203.0.113.1", "198.51.100.9"], "198.51.100.9"),
        (("127.0.0.1", 5), ["198.51.100.9, 127.0.0.1"], "198.51.100.9"),
        (("127.0.0.1", 5), ["127.0.0.1, 127.0.0.1"], "127.0.0.1"),
        (("::1", 5, 0, 0), ["198.51.100.9"], "198.51.100.9"),
        (("::ffff:127.0.0.1", 5, 0, 0), ["198.51.100.9"], "198.51.100.9"),
        (("::ffff:192.0.2.1", 5, 0, 0), [], "192.0.2.1"),
        (("127.0.0.1", 5), ["198.51.100.9:4711"], "198.51.100.9"),
        (("127.0.0.1", 5), ["[2001:db8::7]:4711"], "2001:db8::7"),
        (("127.0.0.1", 5), ['"[2001:db8::7]"'], "2001:db8::7"),
        (("127.0.0.1", 5), ["unknown"], "127.0.0.1"),
        (("127.0.0.1", 5), ["198.51.100.9, _hidden"], "127.0.0.1"),
        (("127.0.0.1", 5), [""], "127.0.0.1"),
        ("", [], "unknown"),
        (None, ["198.51.100.9"], "unknown"),
    ],
)
def test_address_is_what_trusted_proxies_say(peer: object, forwarded: list[str], expected: str) -> None:
    assert _refusals("127.0.0.1", "::1").address_of(peer, forwarded) == expected  # type: ignore[arg-type]  # a peer of any shape


def test_trusted_network_is_believed_over_several_hops() -> None:
    forwarded = ["203.0.113.66, 198.51.100.9, 10.1.1.1, 2001:db8::5"]
    assert _refusals("10.0.0.0/8", "2001:db8::/32").address_of(("10.9.9.9", 5), forwarded) == "198.51.100.9"


@given(st.lists(st.text()))
def test_whatever_is_forwarded_an_address_comes_out(forwarded: list[str]) -> None:
    assert _refusals("127.0.0.1").address_of(("127.0.0.1", 5), forwarded)


def test_refusals_of_one_address_are_logged_once_in_a_while_and_counted_all() -> None:
    clock, log = VirtualClock(), Log()
    refusals = Refusals((), clock=clock, log=log)
    for _ in range(7):
        refusals.failed("192.0.2.1", "guess", UNKNOWN)
    refusals.failed("192.0.2.2", "guess", UNKNOWN)
    assert [line["remote"] for line in log.of("refused")] == ["192.0.2.1", "192.0.2.2"]
    clock.seconds += LOG_EVERY_SECONDS
    refusals.failed("192.0.2.1", "guess", UNKNOWN)
    assert log.of("refused")[-1]["suppressed"] == 6
    assert refusals.counts == {"unknown": 9}


def test_a_key_never_stands_in_the_log() -> None:
    log = Log()
    Refusals((), clock=VirtualClock(), log=log).failed("192.0.2.1", "swim_dev_secret", UNKNOWN)
    assert "secret" not in repr(log.lines)


def test_different_guesses_are_held_back_longer_and_longer_then_turned_away() -> None:
    refusals = _refusals()
    held = [refusals.failed("192.0.2.1", f"guess {number}", UNKNOWN) for number in range(20)]
    assert held[:5] == [0.0] * 5
    assert held == sorted(held)
    assert held[-1] == 5
    assert refusals.retry_after("192.0.2.1") is not None
    assert refusals.retry_after("192.0.2.2") is None


def test_trusted_proxys_own_address_is_slowed_but_never_refused() -> None:
    """Who stands behind a proxy that names nobody can't be told apart: the good ones must not pay for the others."""
    refusals = _refusals("192.0.2.0/24")
    held = [refusals.failed("192.0.2.1", f"guess {number}", UNKNOWN) for number in range(100)]
    assert held[-1] == 5
    assert refusals.retry_after("192.0.2.1") is None


def test_memory_of_addresses_is_bounded() -> None:
    refusals = _refusals()
    for number in range(REMEMBERED_ADDRESSES + 100):
        refusals.note("limit", f"10.0.{number // 250}.{number % 250}")
    assert len(refusals._logged) == REMEMBERED_ADDRESSES


def test_ever_new_addresses_do_not_fill_the_log() -> None:
    clock, log = VirtualClock(), Log()
    refusals = Refusals((), clock=clock, log=log)
    for number in range(1_000):
        refusals.failed(f"10.0.{number // 250}.{number % 250}", "guess", UNKNOWN)
    assert len(log.of("refused")) == MOST_LINES
    clock.seconds += LOG_EVERY_SECONDS
    refusals.failed("192.0.2.1", "guess", UNKNOWN)
    assert [line["suppressed"] for line in log.of("refused")[MOST_LINES:]] == [1_000 - MOST_LINES, 0]


def test_addresses_of_one_ipv6_network_share_a_line() -> None:
    log = Log()
    refusals = Refusals((), clock=VirtualClock(), log=log)
    for number in range(20):
        refusals.failed(f"2001:db8::{number:x}", "guess", UNKNOWN)
    assert len(log.of("refused")) == 1
