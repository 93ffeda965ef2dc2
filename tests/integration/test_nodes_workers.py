"""Two daemons on one Redis server, each with two worker processes: four places to connect to, one service."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.live_daemon import LiveDaemon, await_true, comes_true
from support.nodes import Nodes, running_nodes
from support.redis_server import RedisServer, redis_server
from support.wire_client import WireClient, dial, open_client, try_to_connect
from swim_server.daemon.nodes.clients import GIVEN_UP
from swim_server.keys.audit import Actor
from swim_server.keys.store import IssuedKey

CONFIG = "[server]\nworkers = 2\n[auth]\nrecheck_seconds = 3600\n"
"""No key is looked at again just because time has passed."""


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def nodes(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with running_nodes(tmp_path_factory.mktemp("nodes"), server, 2, config=CONFIG) as nodes:
        yield nodes


@pytest.fixture(autouse=True)
def _everybody_left(nodes: Nodes) -> Iterator[None]:
    yield
    await_true(lambda: not any(sum(shares(daemon)) for daemon in nodes.daemons), what="the end of all connections")


def workers(daemon: LiveDaemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.call("status")["workers"]
    return found


def shares(daemon: LiveDaemon) -> list[int]:
    return [worker["connections"] for worker in workers(daemon)]


def all_nodes(daemon: LiveDaemon) -> dict[str, int]:
    """Return the connections that count against each tier's limit."""
    by_tier = daemon.call("status")["connections"]["by_tier"]
    return {tier: counts["all_nodes"] for tier, counts in by_tier.items()}


def is_replaced(daemon: LiveDaemon, number: int, pid: int) -> bool:
    now = workers(daemon)[number]
    return bool(now["state"] == "ready" and now["pid"] != pid)


async def connected(url: str, key: str) -> WireClient:
    client = await open_client(url, key)
    assert (await client.next())["type"] == "connected", client.received
    return client


@asynccontextmanager
async def on_every_worker(nodes: Nodes, issued: IssuedKey, each: int = 1) -> AsyncIterator[list[WireClient]]:
    """Connect to every worker of every node: those of the first node come first."""
    found: list[WireClient] = []
    try:
        for daemon in nodes.daemons:
            for _ in range(2 * each):
                found.append(await connected(daemon.url, issued.api_key))
            assert await asyncio.to_thread(shares, daemon) == [each, each]
        yield found
    finally:
        await asyncio.gather(*(client.connection.close() for client in found))


async def publish_twice(nodes: Nodes) -> str:
    """Publish one event through a worker of each node; return its id."""
    key = nodes.make_key("system").api_key
    answers = []
    for daemon in nodes.daemons:
        async with dial(daemon.url, key) as client:
            words = {"channel": "tmi.issued", "data": {"program_id": 1}, "event_id": "from a worker"}
            answers.append(await client.ask("publish", **words))
    assert [answer["type"] for answer in answers] == ["publish_ack"] * 2, answers
    assert [(answer["accepted"], answer["duplicates"]) for answer in answers] == [(1, 0), (0, 1)]
    assert answers[0]["id"] == answers[1]["id"]
    return str(answers[0]["id"])


async def test_events_of_each_node_reach_the_clients_of_all_workers_in_one_order(nodes: Nodes) -> None:
    async with on_every_worker(nodes, nodes.make_key("system")) as clients:
        for client in clients:
            await client.subscribe("tmi.issued")
        published: list[str] = []
        for number in range(8):
            published += await asyncio.to_thread(nodes[number % 2].put, ("tmi.issued", {"number": number}))
        published.append(await publish_twice(nodes))
        for client in clients:
            assert [event["id"] for event in await client.events(9)] == published
        for client in clients:
            answer = await client.subscribe("tmi.issued", after=published[0])
            assert answer["resumed"] and not answer["gap"], answer
            assert [event["id"] for event in await client.events(8)] == published[1:]


async def test_what_is_published_on_one_node_is_tailed_on_the_other(nodes: Nodes) -> None:
    tailing = nodes[1].spawn("tail", "tmi.issued", "--count", "1", "--json")

    def is_followed() -> bool:
        found = nodes[1].call("connections", {"tier": "local"})["connections"]
        return any("tmi.issued" in each["channels"] for each in found)

    await comes_true(is_followed, what="the tail")
    done = await asyncio.to_thread(nodes[0].swimctl, "publish", "tmi.issued", "--data", "{}", "--force", check=True)
    output, errors = await asyncio.to_thread(tailing.communicate, timeout=30)
    assert json.loads(output)["id"] == done.stdout.strip(), errors


def make_public_key(nodes: Nodes) -> IssuedKey:
    """Create a key of a tier whose places are all free."""
    await_true(
        lambda: not any(all_nodes(daemon)["public"] for daemon in nodes.daemons), what="the release of all places"
    )
    return nodes.make_key("public")


async def test_five_public_clients_over_four_workers_fill_the_tier(nodes: Nodes) -> None:
    key = (await asyncio.to_thread(make_public_key, nodes)).api_key
    held = [await connected(nodes[number % 2].url, key) for number in range(5)]
    for daemon in nodes.daemons:
        for _ in range(2):
            assert await try_to_connect(daemon.url, key) == (["CONNECTION_LIMIT"], 4002)
    await held.pop(1).connection.close()  # of the second node
    async with asyncio.timeout(30):
        while (await try_to_connect(nodes[0].url, key))[0] != ["connected"]:
            await asyncio.sleep(0.05)
    await asyncio.gather(*(client.connection.close() for client in held))


async def test_clients_that_race_for_five_places_of_four_workers_get_exactly_these(nodes: Nodes) -> None:
    key = (await asyncio.to_thread(make_public_key, nodes)).api_key
    racers = await asyncio.gather(*(open_client(nodes[number % 2].url, key) for number in range(40)))
    firsts = [await racer.next() for racer in racers]
    assert sum(first["type"] == "connected" for first in firsts) == 5
    assert sum(first.get("code") == "CONNECTION_LIMIT" for first in firsts) == 35
    await asyncio.gather(*(racer.connection.close() for racer in racers))


async def test_revoked_key_is_closed_in_all_workers_of_all_nodes_within_a_second(nodes: Nodes) -> None:
    issued = nodes.make_key("partner")
    async with on_every_worker(nodes, issued) as clients:
        done = await asyncio.to_thread(nodes[1].swimctl, "keys", "revoke", str(issued.record.id), "--yes", "--json")
        answered = time.monotonic()
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["closed_connections"] == 4, done.stdout
        assert {(await client.closed())[0] for client in clients} == {4001}
        assert time.monotonic() - answered < 1  # what had not been closed by then was not told of either
    for daemon in nodes.daemons:
        assert await try_to_connect(daemon.url, issued.api_key) == (["AUTH_FAILED"], 4001)


async def test_each_node_shows_all_and_narrows_to_one_with_its_workers(nodes: Nodes) -> None:
    issued = nodes.make_key("partner")
    async with on_every_worker(nodes, issued) as clients:
        ids = [client.received[0]["data"]["client_id"] for client in clients]
        done = await asyncio.to_thread(nodes[1].swimctl, "connections", "list", "--json", check=True)
        assert [each["node"] for each in json.loads(done.stdout)].count("node0") == 2
        words = ("connections", "list", "--node", "node0", "--json")
        done = await asyncio.to_thread(nodes[1].swimctl, *words, check=True)
        found = json.loads(done.stdout)
        assert {(each["id"], each["worker"]) for each in found} == {(ids[0], 1), (ids[1], 2)}
        done = await asyncio.to_thread(nodes[1].swimctl, "status", "--node", "node0", "--json", check=True)
        status = json.loads(done.stdout)
        assert (status["node"], status["connections"]["total"]) == ("node0", 2)
        assert [each["connections"] for each in status["workers"]] == [1, 1]

        def are_counted() -> bool:
            listed = nodes[1].call("nodes")["nodes"]
            return all_nodes(nodes[1])["partner"] == 4 and [each["connections"] for each in listed] == [2, 2]

        await comes_true(are_counted, what="the reports of both nodes")
        (event_id,) = await asyncio.to_thread(nodes[0].put, ("flight.created", {"n": 1}))
        words = ("explain", event_id, "--connection", ids[1], "--json")
        done = await asyncio.to_thread(nodes[1].swimctl, *words, check=True)
        assert json.loads(done.stdout)["outcome"] == "not_subscribed"
        await asyncio.to_thread(nodes[1].swimctl, "connections", "close", ids[1], "--yes", check=True)
        assert (await clients[1].closed())[0] == 1012


async def test_a_killed_worker_gives_its_places_back_and_disturbs_nobody(nodes: Nodes) -> None:
    key = (await asyncio.to_thread(make_public_key, nodes)).api_key
    held = [await connected(nodes[number % 2].url, key) for number in range(5)]
    for client in held:
        await client.subscribe("flight.created")
    (seen,) = await asyncio.to_thread(nodes[1].put, ("flight.created", {}))
    for client in held:
        assert [event["id"] for event in await client.events(1)] == [seen]
    victim = workers(nodes[0])[0]
    os.kill(victim["pid"], signal.SIGKILL)
    gone = [held[0], held[4]]  # each worker got every other client of its node
    assert {(await client.closed())[0] for client in gone} == {None}
    (missed,) = await asyncio.to_thread(nodes[1].put, ("flight.created", {}))
    for client in held[1:4]:
        assert [event["id"] for event in await client.events(1)] == [missed]
    for _ in gone:
        async with asyncio.timeout(30):
            while (await (late := await open_client(nodes[1].url, key)).next())["type"] != "connected":
                await late.connection.close()
        assert not (await late.subscribe("flight.created", after=seen))["gap"]
        assert [event["id"] for event in await late.events(1)] == [missed]
        held.append(late)
    assert await try_to_connect(nodes[1].url, key) == (["CONNECTION_LIMIT"], 4002)
    await asyncio.gather(*(client.connection.close() for client in held))
    await comes_true(partial(is_replaced, nodes[0], 0, victim["pid"]), what="the next worker")


async def test_clients_of_workers_hear_of_a_gap_when_the_server_has_lost_events(nodes: Nodes) -> None:
    issued = nodes.make_key()
    async with on_every_worker(nodes, issued) as clients:
        for client in clients:
            await client.subscribe("flight.created")
        (seen,) = await asyncio.to_thread(nodes[0].put, ("flight.created", {}))
        for client in clients:
            assert [event["id"] for event in await client.events(1)] == [seen]
        await asyncio.to_thread(nodes.server.command, "FLUSHALL")
        assert {(await client.closed())[0] for client in clients} == {1012}
    async with on_every_worker(nodes, issued) as clients:
        for client in clients:
            assert (await client.subscribe("flight.created", after=seen))["gap"] is True


async def test_clients_of_workers_stay_and_resume_while_the_server_is_killed_and_started_again(nodes: Nodes) -> None:
    issued = nodes.make_key()
    async with on_every_worker(nodes, issued) as clients:
        for client in clients:
            await client.subscribe("flight.created")
        first, second = await asyncio.to_thread(nodes[0].put, ("flight.created", {}), ("flight.created", {}))
        for client in clients:
            assert [event["id"] for event in await client.events(2)] == [first, second]
        nodes.server.kill()
        try:
            for client in clients:  # from the copy that each node has
                assert not (await client.subscribe("flight.created", after=first))["gap"]
                assert [event["id"] for event in await client.events(1)] == [second]
        finally:
            await asyncio.to_thread(nodes.server.start)
        (third,) = await asyncio.to_thread(nodes[1].put, ("flight.created", {}))
        for client in clients:
            assert [event["id"] for event in await client.events(1)] == [third]


async def test_a_key_that_is_revoked_while_the_server_is_away_is_closed_once_it_is_back(
    nodes: Nodes,
) -> None:
    issued = nodes.make_key()
    async with on_every_worker(nodes, issued) as clients:
        nodes.server.kill()
        try:
            nodes.store.revoke(issued.record.id, None, Actor("test", "test"))  # and nobody can be told
        finally:
            await asyncio.to_thread(nodes.server.start)
        assert {(await client.closed())[0] for client in clients} == {4001}


# what takes longer


@pytest.mark.long
async def test_a_node_that_was_away_has_its_workers_give_up_places_that_others_have_used(nodes: Nodes) -> None:
    key = (await asyncio.to_thread(make_public_key, nodes)).api_key
    held = [await connected(nodes[0].url, key) for _ in range(4)]
    nodes[0].signal(signal.SIGSTOP)
    try:
        others: list[WireClient] = []
        async with asyncio.timeout(60):
            while len(others) < 4:  # one at once, three once the lease of the stopped node has ended
                client = await open_client(nodes[1].url, key)
                if (await client.next())["type"] == "connected":
                    others.append(client)
                else:
                    await client.closed()
                    await asyncio.sleep(0.2)
    finally:
        nodes[0].signal(signal.SIGCONT)
    given_up = [asyncio.create_task(client.closed()) for client in held]
    await comes_true(lambda: all_nodes(nodes[1])["public"] == 5, what="the limit being kept again")
    await comes_true(lambda: sum(task.done() for task in given_up) == 3, what="three that give up their places")
    for task in given_up:
        if task.done():
            assert task.result() == (1012, GIVEN_UP)
    for client in [*held, *others]:
        await client.connection.close()
    await asyncio.gather(*given_up)


@pytest.mark.long
async def test_a_restarted_node_hands_over_to_new_workers_and_its_clients_resume(nodes: Nodes) -> None:
    issued = await asyncio.to_thread(make_public_key, nodes)
    before = workers(nodes[0])
    held = [await connected(nodes[number % 2].url, issued.api_key) for number in range(5)]
    for client in held:
        await client.subscribe("flight.created")
    (first,) = await asyncio.to_thread(nodes[1].put, ("flight.created", {}))
    done = await asyncio.to_thread(nodes[0].swimctl, "restart", timeout=120)
    assert done.returncode == 0, done.stderr
    (second,) = await asyncio.to_thread(nodes[1].put, ("flight.created", {}))
    for client in (held[0], held[2], held[4]):
        assert (await client.closed())[0] == 1012
    back = []
    for _ in range(3):
        async with asyncio.timeout(60):
            while (await (late := await open_client(nodes[0].url, issued.api_key)).next())["type"] != "connected":
                await late.connection.close()
        assert not (await late.subscribe("flight.created", after=first))["gap"]
        assert [event["id"] for event in await late.events(1)] == [second]
        back.append(late)
    assert await try_to_connect(nodes[1].url, issued.api_key) == (["CONNECTION_LIMIT"], 4002)
    for client in (held[1], held[3]):
        assert [event["id"] for event in await client.events(2)] == [first, second]
    assert {each["pid"] for each in workers(nodes[0])}.isdisjoint(each["pid"] for each in before)
    await asyncio.gather(*(client.connection.close() for client in [*held, *back]))


@pytest.mark.long
async def test_a_killed_node_leaves_no_worker_and_its_clients_go_on_elsewhere(
    server: RedisServer, tmp_path: Path
) -> None:
    with running_nodes(tmp_path, server, 2, config=CONFIG) as nodes:
        issued = nodes.make_key()
        pids = [each["pid"] for each in workers(nodes[0])]
        async with on_every_worker(nodes, issued) as clients:
            for client in clients:
                await client.subscribe("flight.created")
            (first,) = await asyncio.to_thread(nodes[1].put, ("flight.created", {}))
            for client in clients:
                await client.events(1)
            nodes[0].kill()
            assert {(await client.closed())[0] for client in clients[:2]} <= {1012, None}
            (second,) = await asyncio.to_thread(nodes[1].put, ("flight.created", {}))
            for client in clients[2:]:
                assert [event["id"] for event in await client.events(1)] == [second]
            for _ in range(2):
                async with dial(nodes[1].url, issued.api_key) as client:
                    assert not (await client.subscribe("flight.created", after=first))["gap"]
                    assert [event["id"] for event in await client.events(1)] == [second]
        await comes_true(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), what="the workers' end")


@pytest.mark.long
def test_all_nodes_with_their_workers_are_restarted_one_after_the_other(server: RedisServer, tmp_path: Path) -> None:
    with running_nodes(tmp_path, server, 2, config=f"remote_restart = true\n{CONFIG}") as nodes:
        await_true(lambda: len(nodes[0].call("nodes")["nodes"]) == 2)
        before = {each["pid"] for daemon in nodes.daemons for each in workers(daemon)}
        done = nodes[1].swimctl("restart", "--all", timeout=200)
        assert done.returncode == 0, done.stderr + nodes[0].everything_logged
        after = [each for daemon in nodes.daemons for each in workers(daemon)]
        assert len(after) == 4 and before.isdisjoint(each["pid"] for each in after)
        assert {each["state"] for each in after} == {"ready"}


@pytest.mark.long
async def test_doctor_finds_nothing_wrong_with_nodes_of_workers(nodes: Nodes) -> None:
    def found() -> dict[str, str]:
        done = nodes[0].swimctl("doctor", "--json", timeout=200)
        checks = json.loads(done.stdout)["checks"]
        return {each["id"]: each["observed"] for each in checks if each["status"] in ("fail", "unknown")}

    areas = ("process.", "connections.", "front.", "stream.", "nodes.", "tiers.", "keys.")
    await comes_true(lambda: not [id for id in found() if id.startswith(areas)], seconds=120, what="a clean bill")


@pytest.mark.long
async def test_workers_of_a_node_that_started_without_the_server_serve_once_it_is_there(nodes: Nodes) -> None:
    (before,) = await asyncio.to_thread(nodes[1].put, ("flight.created", {}))
    nodes[0].kill()
    nodes.server.kill()
    try:
        await asyncio.to_thread(nodes[0].start)
        assert [each["state"] for each in workers(nodes[0])] == ["ready", "ready"]
    finally:
        await asyncio.to_thread(nodes.server.start)
    (late,) = await asyncio.to_thread(nodes[1].put, ("flight.created", {}))
    issued = nodes.make_key()

    async def is_let_in() -> bool:
        return (await try_to_connect(nodes[0].url, issued.api_key))[0] == ["connected"]

    async with asyncio.timeout(60):
        while not await is_let_in():
            await asyncio.sleep(0.1)
    await comes_true(lambda: not any(sum(shares(daemon)) for daemon in nodes.daemons), what="the end of the attempts")
    async with on_every_worker(nodes, issued) as clients:
        for client in clients:
            assert not (await client.subscribe("flight.created", after=before))["gap"]
            assert [event["id"] for event in await client.events(1)] == [late]
        (newest,) = await asyncio.to_thread(nodes[1].put, ("flight.created", {}))
        for client in clients:
            assert [event["id"] for event in await client.events(1)] == [newest]
