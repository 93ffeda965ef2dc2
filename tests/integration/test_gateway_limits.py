"""Tier limits over real sockets: exact, even under races."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator

import pytest
from support.live_daemon import LiveDaemon, await_true, comes_true, live_daemon
from support.wire_client import WireClient, dial, open_client, try_to_connect

CONFIG = """
[tiers.partner]
connections = 8
connections_per_key = 3
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("daemon"), config=CONFIG) as daemon:
        yield daemon


@pytest.fixture(autouse=True)
def _everybody_left(daemon: LiveDaemon) -> Iterator[None]:
    yield
    await_true(lambda: not any(daemon.counted().values()), what="the end of the test's connections")


async def _fill(daemon: LiveDaemon, tier: str, count: int) -> list[WireClient]:
    key = daemon.api_key(tier)
    clients = [await open_client(daemon.url, key) for _ in range(count)]
    for client in clients:
        assert (await client.next())["type"] == "connected"
    return clients


def _abort(client: WireClient) -> None:
    """Break off as a machine does that loses its power: no close frame, a reset."""
    sock = client.connection.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.connection.transport.abort()


@pytest.mark.parametrize(("tier", "limit"), [("public", 5), ("developer", 50)])
async def test_one_more_than_the_limit_is_refused_until_somebody_leaves(
    daemon: LiveDaemon, tier: str, limit: int
) -> None:
    clients = await _fill(daemon, tier, limit)
    key = daemon.api_key(tier)
    over = await open_client(daemon.url, key)
    error = await over.next()
    assert error["code"] == "CONNECTION_LIMIT"
    assert {"tier": tier, "current": limit, "limit": limit}.items() <= error["data"].items()
    assert (await over.closed())[0] == 4002

    await clients.pop().connection.close()
    async with dial(daemon.url, key):
        assert await try_to_connect(daemon.url, key) == (["CONNECTION_LIMIT"], 4002)

    _abort(clients.pop())
    await asyncio.sleep(0.05)
    async with dial(daemon.url, key):
        assert daemon.counted()[tier] == limit - 1
    await asyncio.gather(*(client.connection.close() for client in clients))


async def test_limit_of_a_key_leaves_room_for_other_keys_of_the_tier(daemon: LiveDaemon) -> None:
    mine, other = daemon.api_key("partner"), daemon.api_key("partner")
    async with dial(daemon.url, mine), dial(daemon.url, mine), dial(daemon.url, mine):
        assert await try_to_connect(daemon.url, mine) == (["CONNECTION_LIMIT"], 4002)
        assert await try_to_connect(daemon.url, other) == (["connected"], None)


async def test_hundred_clients_race_for_five_places_again_and_again(daemon: LiveDaemon) -> None:
    key = daemon.api_key("public")
    for round_ in range(5):
        racers = await asyncio.gather(*(open_client(daemon.url, key) for _ in range(100)))
        answers = await asyncio.gather(*(client.next() for client in racers))
        winners = [client for client, answer in zip(racers, answers, strict=True) if answer["type"] == "connected"]
        assert len(winners) == 5, round_
        assert sum(answer.get("code") == "CONNECTION_LIMIT" for answer in answers) == 95
        assert daemon.counted()["public"] == 5
        for number, client in enumerate(winners):
            if number % 2:
                _abort(client)
        await asyncio.gather(*(client.connection.close() for client in racers))
        await comes_true(lambda: daemon.counted()["public"] == 0)


async def test_refused_clients_that_hang_about_take_no_place(daemon: LiveDaemon) -> None:
    clients = await _fill(daemon, "public", 5)
    key = daemon.api_key("public")
    lingering = [await open_client(daemon.url, key) for _ in range(20)]
    await clients.pop().connection.close()
    assert await try_to_connect(daemon.url, key) == (["connected"], None)
    await asyncio.gather(*(client.connection.close() for client in [*clients, *lingering]))
