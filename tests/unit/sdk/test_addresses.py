"""A client's turns over the addresses of a service of several nodes."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from swim_client import SWIMClient
from swim_client import sync as swim_sync
from swim_client.addresses import Addresses, split_urls
from swim_client.backoff import Backoff

A, B, C = "ws://a/ws", "ws://b/ws", "ws://c/ws"


def in_order(urls: list[str]) -> Addresses:
    return Addresses(urls, shuffle=lambda _: None)


def most() -> Backoff:
    return Backoff(1.0, 60.0, random=lambda: 1.0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (A, [A]),
        (f"{A},{B}", [A, B]),
        (f" {A} , {B},", [A, B]),
        ([A, B], [A, B]),
        ([A, f"{B},{C}"], [A, B, C]),
        (f"{A},{B},{A}", [A, B]),
        ("ws://a/ws?sides=1,2", ["ws://a/ws?sides=1,2"]),
        (f"{A},http://b/", [A, "http://b/"]),
        ([], []),
    ],
)
def test_commas_separate_addresses_and_stay_inside_them(given: str | list[str], expected: list[str]) -> None:
    assert split_urls(given) == expected


def test_every_address_is_tried_at_once_and_only_then_the_backoff_waits() -> None:
    addresses, backoff = in_order([A, B, C]), most()
    waits = []
    for _ in range(7):
        waits.append((addresses.current, addresses.failed(backoff, 0.0)))
    assert waits == [(A, 0), (B, 0), (C, 1), (A, 0), (B, 0), (C, 2), (A, 0)]


def test_a_single_address_waits_as_before() -> None:
    addresses, backoff = in_order([A]), most()
    assert [addresses.failed(backoff, 0.0) for _ in range(3)] == [1, 2, 4]
    assert addresses.failed(backoff, 0.0, told=0.0) == 1.0
    assert addresses.failed(backoff, 0.0, told=30.0) == 31.0
    assert addresses.failed(backoff, 100.0, least=20.0) == 20.0
    assert addresses.current == A


def test_after_a_connection_the_next_address_has_its_turn_unless_the_server_asks_back() -> None:
    addresses = in_order([A, B, C])
    addresses.ended(is_asked_back=True)
    assert addresses.current == A
    addresses.ended(is_asked_back=False)
    assert addresses.current == B


def test_a_connection_begins_a_new_round() -> None:
    addresses, backoff = in_order([A, B]), most()
    assert addresses.failed(backoff, 0.0) == 0
    addresses.ended(is_asked_back=False)
    assert (addresses.current, addresses.failed(backoff, 0.0), addresses.current) == (A, 0, B)


def test_an_address_that_asks_to_be_left_alone_is_passed_over_until_then() -> None:
    addresses, backoff = in_order([A, B, C]), most()
    addresses.failed(backoff, 0.0, told=60.0)
    turns = []
    for now in (1.0, 2.0, 3.0, 4.0, 61.0):
        turns.append(addresses.current)
        addresses.failed(backoff, now)
    assert turns == [B, C, B, C, B]
    assert addresses.current == C
    addresses.failed(backoff, 62.0)
    assert addresses.current == A


def test_where_all_ask_to_be_left_alone_the_first_to_be_free_is_waited_for() -> None:
    addresses, backoff = in_order([A, B]), most()
    assert addresses.failed(backoff, 0.0, told=60.0) == 0
    assert addresses.failed(backoff, 10.0, told=5.0) == 6.0  # and a little more, as many were told the same
    assert addresses.current == B


def test_is_last_tells_whether_another_one_would_be_tried_at_once() -> None:
    addresses, backoff = in_order([A, B]), most()
    assert not addresses.is_last(0.0)
    addresses.failed(backoff, 0.0)
    assert addresses.is_last(0.0)
    assert in_order([A]).is_last(0.0)


def test_clients_of_one_node_spread_over_the_others() -> None:
    chance = random.Random(17)
    follow: Counter[str] = Counter()
    for _ in range(600):
        addresses = Addresses([A, B, C], shuffle=chance.shuffle)
        if addresses.current == A:
            addresses.ended(is_asked_back=False)
            follow[addresses.current] += 1
    assert set(follow) == {B, C}
    assert min(follow.values()) > 70


@pytest.mark.parametrize("client_class", [SWIMClient, swim_sync.SWIMClient])
def test_a_client_takes_a_list_or_one_text(client_class: type[SWIMClient], monkeypatch: pytest.MonkeyPatch) -> None:
    assert client_class("key", [A, B]).urls == [A, B]
    client = client_class("key", f"{A},{B}")
    assert client.urls == [A, B]
    assert client.url in (A, B)
    monkeypatch.setenv("SWIM_URL", f"{B},{C}")
    assert client_class("key").urls == [B, C]
    assert client_class("key", unix_path="/run/swim.sock").urls == [B]


def test_what_is_no_address_is_named() -> None:
    with pytest.raises(ValueError, match="not a WebSocket address: 'http://b/'"):
        SWIMClient("key", [A, "http://b/"])
    with pytest.raises(ValueError, match="no address: the list is empty"):
        SWIMClient("key", [])
    with pytest.raises(ValueError, match="leave out the others"):
        SWIMClient("key", [A, B], unix_path="/run/swim.sock")
