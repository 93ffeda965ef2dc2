"""Connections not yet admitted are limited, and silent ones are dropped first."""

from __future__ import annotations

from typing import Any

import pytest
from support.gateway_rig import Client, Rig, upgrade_request


async def rig_with(**limits: Any) -> Rig:
    return await Rig(**limits).open()


def is_dropped(client: Client) -> bool:
    client.rig.turn()
    return client.is_gone


async def test_silent_connection_gives_way_to_one_that_comes_later() -> None:
    rig = await rig_with(max_arriving=3)
    old = [rig.client() for _ in range(3)]
    rig.advance(1.1)
    late = rig.client()
    assert [is_dropped(client) for client in old] == [True, False, False]
    assert late.send(upgrade_request()).types == ["connected"]
    await rig.close()


async def test_who_comes_last_is_dropped_where_nobody_was_silent_for_long() -> None:
    rig = await rig_with(max_arriving=3)
    early = [rig.client() for _ in range(3)]
    assert is_dropped(rig.client())
    assert [is_dropped(client) for client in early] == [False] * 3
    assert rig.context.arrivals.dropped == 1
    await rig.close()


async def test_connection_that_was_let_in_or_refused_counts_no_more() -> None:
    rig = await rig_with(max_arriving=2)
    clients = [rig.admitted() for _ in range(5)]
    refused = [rig.client().send(upgrade_request("/nowhere")) for _ in range(5)]
    assert [client.types for client in clients] == [["connected"]] * 5
    assert [client.status for client in refused] == [404] * 5
    assert len(rig.context.arrivals) == 0
    await rig.close()


async def test_one_address_has_fewer_places_than_all() -> None:
    rig = await rig_with(max_arriving_per_address=2)
    greedy = [rig.client(("198.51.100.1", number)) for number in range(5)]
    assert [is_dropped(client) for client in greedy] == [False, False, True, True, True]
    assert rig.client(("198.51.100.2", 1)).send(upgrade_request()).types == ["connected"]
    await rig.close()


async def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    rig = await rig_with(max_arriving_per_address=2)
    clients = [rig.client((f"2001:db8::{number}", 1, 0, 0)) for number in range(1, 4)]
    assert [is_dropped(client) for client in clients] == [False, False, True]
    await rig.close()


async def test_trusted_proxy_stands_for_many() -> None:
    rig = await rig_with(max_arriving_per_address=2)
    clients = [rig.client(("127.0.0.1", number)) for number in range(5)]
    assert [is_dropped(client) for client in clients] == [False] * 5
    await rig.close()


async def test_client_whose_key_is_looked_up_does_not_give_way_to_silence() -> None:
    rig = await rig_with(max_arriving=2)
    rig.authenticator.is_slow = True
    asking = await rig.client().send(upgrade_request()).settle()
    silent = rig.client()
    rig.advance(2)
    late = rig.client()
    assert [is_dropped(client) for client in (asking, silent, late)] == [False, True, False]
    rig.authenticator.answer_next()
    await asking.settle()
    assert asking.types == ["connected"]
    await rig.close()


@pytest.mark.parametrize("part", [b"GET / HTTP/1.1\r\nX: ", upgrade_request()], ids=["unfinished head", "early data"])
async def test_what_all_of_them_may_send_is_bounded(part: bytes) -> None:
    rig = await rig_with(max_arriving_bytes=30_000)
    rig.authenticator.is_slow = True
    clients = []
    for _ in range(5):
        client = await rig.client().send(part).settle()
        clients.append(client.send(b"x" * 9_000))
    dropped = [is_dropped(client) for client in clients]
    assert dropped[0] is False
    assert dropped.count(True) == 2
    await rig.close()


async def test_unfinished_head_is_no_longer_than_the_limit() -> None:
    rig = await rig_with(max_head_bytes=2000)
    client = rig.client().send(b"GET / HTTP/1.1\r\nX: " + b"x" * 2000)
    assert client.status == 431
    await rig.close()
