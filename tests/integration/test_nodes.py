"""Three daemons on one Redis server: to a client they are one service."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from support.live_daemon import LiveDaemon, comes_true
from support.nodes import Nodes, running_nodes
from support.redis_server import RedisServer, redis_server
from support.wire_client import WireClient, dial, open_client


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def nodes(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with running_nodes(tmp_path_factory.mktemp("nodes"), server) as nodes:
        yield nodes


async def connected(url: str, key: str) -> tuple[WireClient, dict[str, object]]:
    client = await open_client(url, key)
    return client, await client.next()


async def test_events_of_each_node_reach_the_clients_of_every_other_in_one_order(nodes: Nodes) -> None:
    key = nodes.make_key().api_key
    clients = [(await connected(nodes[number].url, key))[0] for number in range(3)]
    for client in clients:
        await client.subscribe("flight.created")
    published: list[str] = []
    for number in range(12):
        published += await asyncio.to_thread(nodes[number % 3].put, ("flight.created", {"number": number}))
    received = [await client.events(12) for client in clients]
    assert published == sorted(published, key=lambda event_id: [int(part) for part in event_id.split("-")])
    for events in received:
        assert [event["id"] for event in events] == published
    assert received[0] == received[1] == received[2]
    await asyncio.gather(*(client.connection.close() for client in clients))


async def test_a_client_resumes_on_another_node(nodes: Nodes) -> None:
    key = nodes.make_key().api_key
    first, second, third = (nodes[number].put(("tmi.issued", {"number": number}))[0] for number in (0, 1, 2))
    for number in range(3):
        async with dial(nodes[number].url, key) as client:
            answer = await client.subscribe("tmi.issued", after=first)
            assert not answer.get("gap"), answer
            assert [event["id"] for event in await client.events(2)] == [second, third]


async def test_an_event_id_is_published_once_over_all_nodes(nodes: Nodes) -> None:
    row = {"type": "flight.created", "data": {}, "event_id": "the same everywhere"}
    answers = [nodes[number].call("publish", {"events": [row]})["published"][0] for number in (0, 1, 2)]
    assert [answer["duplicate"] for answer in answers] == [False, True, True]
    assert len({answer["id"] for answer in answers}) == 1


async def test_the_tier_is_full_on_every_node_at_once(nodes: Nodes) -> None:
    key = nodes.make_key("public").api_key
    held = []
    for number in range(5):
        client, answer = await connected(nodes[number % 3].url, key)
        assert answer["type"] == "connected", answer
        held.append(client)
    for number in range(3):
        client, answer = await connected(nodes[number].url, key)
        assert (answer.get("code"), (await client.closed())[0]) == ("CONNECTION_LIMIT", 4002)
    await held.pop().connection.close()

    async def finds_room() -> WireClient | None:
        client, answer = await connected(nodes[2].url, key)
        if answer["type"] == "connected":
            return client
        await client.closed()
        return None

    async with asyncio.timeout(10):
        while (late := await finds_room()) is None:
            await asyncio.sleep(0.05)
    await asyncio.gather(*(client.connection.close() for client in [*held, late]))


async def test_racing_clients_on_all_nodes_get_exactly_the_places_there_are(nodes: Nodes) -> None:
    key = nodes.make_key("public").api_key
    await comes_true(lambda: all(node.counted()["public"] == 0 for node in nodes.daemons))
    await asyncio.sleep(0.1)  # the last release is on its way to the server
    racers = await asyncio.gather(*(connected(nodes[number % 3].url, key) for number in range(60)))
    winners = [client for client, answer in racers if answer["type"] == "connected"]
    assert sum(answer.get("code") == "CONNECTION_LIMIT" for _, answer in racers) == 55
    assert len(winners) == 5
    await asyncio.gather(*(client.connection.close() for client, _ in racers))


async def test_a_key_revoked_on_one_node_is_closed_on_all_within_a_second(nodes: Nodes) -> None:
    issued = nodes.make_key("partner")
    clients = [(await connected(nodes[number].url, issued.api_key))[0] for number in range(3)]
    done = await asyncio.to_thread(nodes[1].swimctl, "keys", "revoke", str(issued.record.id), "--yes", "--json")
    assert done.returncode == 0, done.stderr
    answered = time.monotonic()
    codes = [await client.closed() for client in clients]
    assert [code for code, _ in codes] == [4001] * 3
    assert time.monotonic() - answered < 1  # what had not been closed by then was not told of either
    client, answer = await connected(nodes[2].url, issued.api_key)
    assert answer.get("code") == "AUTH_FAILED"
    await client.connection.close()


async def test_every_node_shows_all_nodes(nodes: Nodes) -> None:
    def found(number: int) -> bool:
        document = nodes[number].call("nodes")
        states = {node["name"]: node["state"] for node in document["nodes"]}
        probes = [node["probe_age_seconds"] for node in document["nodes"]]
        return states == dict.fromkeys(("node0", "node1", "node2"), "alive") and None not in probes

    for number in range(3):
        await comes_true(partial(found, number), what="every node's probe")
    document = nodes[2].call("nodes")
    assert len({(node["version"], node["configuration"]) for node in document["nodes"]}) == 1
    assert document["engine"]["appendonly"] == "yes"
    assert document["engine"]["maxmemory_policy"] == "noeviction"
    assert [node["name"] for node in document["nodes"] if node["is_here"]] == ["node2"]


# what goes wrong


async def test_clients_hear_of_a_gap_when_the_server_has_lost_what_a_node_has_seen(nodes: Nodes) -> None:
    key = nodes.make_key().api_key
    clients = [(await connected(nodes[number].url, key))[0] for number in range(3)]
    for client in clients:
        await client.subscribe("flight.created")
    first, seen = await asyncio.to_thread(nodes[0].put, ("flight.created", {}), ("flight.created", {}))
    for client in clients:
        assert [event["id"] for event in await client.events(2)] == [first, seen]
    tail = nodes[0].spawn("tail", "flight.created", "--json", "--after", first)
    assert tail.stdout is not None and tail.stderr is not None
    while json.loads(await asyncio.to_thread(tail.stdout.readline))["id"] != seen:
        pass
    await asyncio.to_thread(nodes.server.command, "FLUSHALL")
    for number, client in enumerate(clients):
        assert (await client.closed())[0] == 1012
        again, _ = await connected(nodes[number].url, key)
        assert (await again.subscribe("flight.created", after=seen))["gap"] is True
        await again.connection.close()
    async with asyncio.timeout(30):  # a command of this machine hears of it, too
        while "gap: history does not reach back" not in await asyncio.to_thread(tail.stderr.readline):
            assert tail.poll() is None


@pytest.mark.long
async def test_clients_of_a_killed_node_go_on_elsewhere_without_loss_or_repeat(
    server: RedisServer, tmp_path: Path
) -> None:
    with running_nodes(tmp_path, server, 2) as nodes:
        key = nodes.make_key().api_key
        urls = [nodes[0].url, nodes[1].url]
        client, _ = await connected(urls[0], key)
        await client.subscribe("flight.created")
        for number in range(20):
            await asyncio.to_thread(nodes[1].put, ("flight.created", {"number": number}))
        seen = await client.events(20)
        nodes[0].kill()
        for number in range(20, 30):
            await asyncio.to_thread(nodes[1].put, ("flight.created", {"number": number}))
        resumed, _ = await connected(urls[1], key)
        answer = await resumed.subscribe("flight.created", after=seen[-1]["id"])
        assert not answer.get("gap")
        numbers = [event["data"]["number"] for event in [*seen, *await resumed.events(10)]]
        assert numbers == list(range(30))
        nodes[0].start()
        back, _ = await connected(nodes[0].url, key)
        assert not (await back.subscribe("flight.created", after=seen[-1]["id"])).get("gap")
        assert [event["data"]["number"] for event in await back.events(10)] == list(range(20, 30))


@pytest.mark.long
async def test_clients_of_a_node_that_restarts_or_is_killed_find_their_slots_again_and_no_more(
    server: RedisServer, tmp_path: Path
) -> None:
    """A draining process's connections are moved, not counted twice; those of a dead node are free after a lease."""
    with running_nodes(tmp_path, server, 2) as nodes:
        key = nodes.make_key("public").api_key

        async def gets_in(number: int) -> WireClient | None:
            client, answer = await connected(nodes[number].url, key)
            if answer["type"] == "connected":
                return client
            await client.closed()
            return None

        async def got_in(number: int) -> WireClient:
            async with asyncio.timeout(60):
                while (client := await gets_in(number)) is None:
                    await asyncio.sleep(0.05)
            return client

        held = [await got_in(number % 2) for number in range(5)]
        await asyncio.to_thread(nodes[0].call, "restart", {})
        for number in (0, 2, 4):
            assert (await held[number].closed())[0] == 1012
        again = [await got_in(number % 2) for number in range(3)]
        assert await gets_in(0) is None
        assert await gets_in(1) is None
        os.kill(nodes[0].info.pid, signal.SIGKILL)
        on_second = [held[1], held[3], again[1]]
        back = [await got_in(1) for _ in range(2)]
        assert await gets_in(1) is None
        for client in [*on_second, *back]:
            await client.connection.close()


def test_a_shared_broker_beside_keys_of_this_home_alone_is_wrong_usage(server: RedisServer, tmp_path: Path) -> None:
    daemon = LiveDaemon(tmp_path, config=f'[broker]\nurl = "{server.url}"\n')
    done = daemon.swimctl("serve", "--port", "0")
    assert done.returncode == 2
    assert "key database is this home's own: set [database] url to one that every node uses" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_not_there_is_told_without_a_traceback(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://:geheim@127.0.0.1:{unused.getsockname()[1]}"
        config = f'[broker]\nurl = "{url}"\n[database]\nurl = "sqlite:///{tmp_path / "keys.db"}"\n'
        daemon = LiveDaemon(tmp_path / "home", config=config)
        done = daemon.swimctl("serve", "--port", "0")
    assert done.returncode == 1
    assert "can't be reached" in done.stderr
    assert "a node that has no history yet can't start without it" in done.stderr
    assert "Traceback" not in done.stderr
    assert "geheim" not in done.stderr


def test_a_start_names_the_right_that_the_servers_user_lacks(server: RedisServer, tmp_path: Path) -> None:
    server.command("ACL", "SETUSER", "reader", "on", ">geheim", "~{swim}:*", "+@all", "-xadd")
    login = 'username = "reader"\npassword = "geheim"\n'
    config = f'[broker]\nurl = "{server.url}"\n{login}[database]\nurl = "sqlite:///{tmp_path / "keys.db"}"\n'
    daemon = LiveDaemon(tmp_path / "home", config=config)
    daemon.config_path.chmod(0o600)
    done = daemon.swimctl("serve", "--port", "0")
    assert done.returncode == 1
    assert "does not let its user run XADD: it needs INFO, CONFIG GET, scripts" in done.stderr
    assert "Traceback" not in done.stderr
    assert "geheim" not in done.stderr
