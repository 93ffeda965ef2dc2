"""What an operator sees of several nodes: the list, doctor's area, sources that one node runs for all."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.daemon import NotAnswering
from support.live_daemon import LiveDaemon, await_true, comes_true
from support.nodes import Nodes, running_nodes
from support.nodes_front import NodesFront
from support.redis_server import RedisServer, redis_server
from support.sdk import Listener as Client
from support.sdk import until
from support.wire_client import open_client

from swimctl.client.control import RpcFailed

SOURCES = '[[sources]]\nkind = "simulator"\nflights = 20\nspeed = 60\n'


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def nodes(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with running_nodes(tmp_path_factory.mktemp("nodes"), server, 2, config=SOURCES) as nodes:
        yield nodes


def checks(daemon: LiveDaemon) -> dict[str, dict[str, Any]]:
    done = daemon.swimctl("doctor", "--only", "nodes", "--json")
    return {each["id"]: each for each in json.loads(done.stdout)["checks"]}


def all_well(daemon: LiveDaemon) -> bool:
    return {each["status"] for each in checks(daemon).values()} == {"ok"}


def runners(daemon: LiveDaemon) -> list[str]:
    return [node["name"] for node in daemon.call("nodes")["nodes"] if node["sources"]]


def test_nodes_lists_all_from_any_of_them(nodes: Nodes) -> None:
    await_true(lambda: len(nodes[1].call("nodes")["nodes"]) == 2)
    done = nodes[1].swimctl("nodes", check=True)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["node0", "node1"]
    (one,) = json.loads(nodes[1].swimctl("nodes", "--node", "node0", "--json", check=True).stdout)["nodes"]
    assert (one["name"], one["state"], one["is_here"]) == ("node0", "alive", False)
    assert nodes[0].swimctl("nodes", "--node", "nowhere").returncode == 5


def test_doctor_finds_nodes_that_agree_well(nodes: Nodes) -> None:
    await_true(partial(all_well, nodes[0]), seconds=30, what="a good doctor's report")


def test_doctor_names_the_settings_with_which_the_server_may_lose_events(nodes: Nodes) -> None:
    for setting, value in (("appendonly", "no"), ("maxmemory-policy", "allkeys-lru")):
        nodes.server.command("CONFIG", "SET", setting, value)
    try:
        found = checks(nodes[0])
    finally:
        for setting, value in (("appendonly", "yes"), ("maxmemory-policy", "noeviction")):
            nodes.server.command("CONFIG", "SET", setting, value)
    for id, setting in (("nodes.persistence", "appendonly"), ("nodes.memory", "maxmemory-policy")):
        assert (found[id]["status"], setting in found[id]["observed"]) == ("fail", True)


@pytest.mark.long
def test_a_source_runs_on_one_node_and_goes_on_when_that_is_paused(nodes: Nodes) -> None:
    """Paused for longer than its lease, the first holder finds its token refused: nothing is published twice."""
    await_true(lambda: len(runners(nodes[0])) == 1, what="one node that runs the source")
    (holder,) = runners(nodes[0])
    first, other = (nodes[0], nodes[1]) if holder == "node0" else (nodes[1], nodes[0])
    first.signal(signal.SIGSTOP)
    try:
        await_true(
            lambda: other.status()["sources"][0]["state"] == "running", seconds=60, what="the other node running it"
        )
        assert checks(other)["nodes.present"]["status"] == "fail"
    finally:
        first.signal(signal.SIGCONT)
    await_true(lambda: first.status()["sources"][0]["state"] == "standby", seconds=60, what="the first one on standby")
    await_true(partial(all_well, other), seconds=60, what="a good doctor's report")
    await_true(lambda: first.call("status")["history"]["newest_id"] is not None)


def test_a_node_with_other_settings_is_named(nodes: Nodes, tmp_path: Path) -> None:
    stranger = LiveDaemon(tmp_path / "home", config=nodes.config(7, "[tiers.public]\nconnections = 6\n"))
    try:
        stranger.start()
        found = checks(stranger)["nodes.configuration"]
        assert found["status"] == "warn"
        assert "[tiers] and [sources] differ" in found["observed"].replace(
            "[sources] and [tiers]", "[tiers] and [sources]"
        )
        assert "node7" in found["observed"]
    finally:
        stranger.finish()


PHANTOM = {
    "version": "0.0.9", "fingerprint": "another", "configuration": "another", "probe_age_seconds": 20.0,
    "newest_id": "9999999999999-0", "has_namesake": True, "keys": "another",
}  # fmt: skip
SLOW = {**PHANTOM, "probe_age_seconds": 0.5, "newest_id": "1-0", "has_namesake": False}


def test_doctor_names_what_is_wrong_with_a_node(nodes: Nodes) -> None:
    """Nodes that report badly: other code, settings and keys, a clock minutes ahead, no event seen, behind."""
    nodes.make_key()
    server, prefix = nodes.server, nodes.prefix
    await_true(lambda: all(node["keys"] for node in nodes[0].call("nodes")["nodes"]), seconds=60)
    server.command("HSET", f"{{{prefix}}}:state", "fence:orphan", "1")
    has_ended = threading.Event()

    def report() -> None:
        while not has_ended.wait(0.3):
            now = int(time.time() * 1000)
            for name, told in (("phantom", PHANTOM), ("slow", SLOW)):
                text = json.dumps({**told, "clock_ms": now + 180_000})
                server.command("HSET", f"{{{prefix}}}:nodes", name, f"{now} {text}")

    reporting = threading.Thread(target=report)
    reporting.start()
    try:
        await_true(lambda: len(nodes[0].call("nodes")["nodes"]) == 4)
        found = checks(nodes[0])
    finally:
        has_ended.set()
        reporting.join()
        server.command("HDEL", f"{{{prefix}}}:nodes", "phantom", "slow")
        server.command("HDEL", f"{{{prefix}}}:state", "fence:orphan")
    assert {id: found[f"nodes.{id}"]["status"] for id in ("present", "probe", "leases", "clocks", "names", "keys")} == {
        "present": "ok", "probe": "fail", "leases": "warn", "clocks": "fail", "names": "fail", "keys": "fail",
    }  # fmt: skip
    assert [found[f"nodes.{id}"]["status"] for id in ("versions", "configuration")] == ["warn", "warn"]
    assert all("phantom" in found[f"nodes.{id}"]["observed"] for id in ("probe", "clocks", "names", "keys", "versions"))
    assert found["nodes.leases"]["observed"] == "nobody runs orphan, which is for phantom, slow"
    assert re.search(r"slow: \d+ events or \d+ ms behind", found["nodes.probe"]["observed"])


def test_a_node_whose_name_is_taken_does_not_start(nodes: Nodes, tmp_path: Path) -> None:
    stranger = LiveDaemon(tmp_path / "home", config=nodes.config(0, ""))
    done = stranger.swimctl("serve", "--port", "0")
    assert done.returncode == 2
    assert "is node 'node0' on redis://127.0.0.1" in done.stderr
    assert "give [cluster] node another name here" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_node_that_reads_other_keys_is_named(nodes: Nodes, tmp_path: Path) -> None:
    """As where two installations have one prefix on one server."""
    nodes.make_key()
    config = nodes.config(8, SOURCES).replace(str(nodes.database), str(tmp_path / "other.db"))
    stranger = LiveDaemon(tmp_path / "home", config=config)
    try:
        stranger.swimctl("keys", "create", "--tier", "developer", "--owner", "another", check=True)
        stranger.start()
        await_true(lambda: checks(stranger)["nodes.keys"]["status"] == "fail", seconds=60)
        found = checks(stranger)["nodes.keys"]
        assert "node8" in found["observed"]
        assert "another [broker] prefix" in found["observed"]
    finally:
        stranger.finish()


def test_metrics_of_any_node_count_all(nodes: Nodes) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{nodes[0].port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert 'swim_nodes{state="alive"} 2.0' in text
    assert 'swim_connections_all_nodes{tier="public"} 0.0' in text
    assert "swim_nodes_in_touch 1.0" in text
    assert 'swim_node_lag_seconds{node="node1"}' in text


# one view


async def test_connections_of_all_nodes_are_listed_and_closed_from_any_of_them(nodes: Nodes) -> None:
    key = nodes.make_key("partner")
    clients = [await open_client(nodes[number].url, key.api_key) for number in (0, 1)]
    ids = [(await client.next())["data"]["client_id"] for client in clients]
    done = await asyncio.to_thread(nodes[1].swimctl, "connections", "list", "--tier", "partner", "--json", check=True)
    assert {(one["id"], one["node"]) for one in json.loads(done.stdout)} == {(ids[0], "node0"), (ids[1], "node1")}
    words = ["connections", "list", "--tier", "partner", "--node", "node0", "--json"]
    done = await asyncio.to_thread(nodes[1].swimctl, *words, check=True)
    assert [one["id"] for one in json.loads(done.stdout)] == [ids[0]]
    top = json.loads((await asyncio.to_thread(nodes[1].swimctl, "top", "--count", "1", "--json", check=True)).stdout)
    assert top["status"]["connections"]["by_tier"]["partner"]["current"] == 2
    words = ["explain", nodes[0].put(("flight.created", {"n": 1}))[0], "--connection", ids[0], "--json"]
    done = await asyncio.to_thread(nodes[1].swimctl, *words, check=True)
    assert json.loads(done.stdout)["outcome"] == "not_subscribed"
    await asyncio.to_thread(nodes[1].swimctl, "connections", "close", ids[0], "--yes", check=True)
    assert (await clients[0].closed())[0] == 1012
    await clients[1].connection.close()


def test_status_tells_of_all_nodes_and_of_any_of_them(nodes: Nodes) -> None:
    status = json.loads(nodes[1].swimctl("status", "--json", check=True).stdout)
    assert (status["node"], list(status["other_nodes"]), status["nodes_problem"]) == ("node1", ["node0"], None)
    assert status["connections"]["by_tier"]["public"]["all_nodes"] == 0
    other = json.loads(nodes[1].swimctl("status", "--node", "node0", "--json", check=True).stdout)
    assert (other["node"], other["pid"]) == ("node0", nodes[0].info.pid)
    assert nodes[1].swimctl("status", "--node", "nowhere").returncode == 5


def test_a_node_is_restarted_from_another_only_where_it_allows_that(nodes: Nodes) -> None:
    """The first that does not is named, and nothing is restarted after it."""
    before = [daemon.info.pid for daemon in nodes.daemons]
    done = nodes[1].swimctl("restart", "--all", timeout=120)
    assert done.returncode == 6, done.stderr
    assert "node node0: [cluster] remote_restart is not true in this node's configuration" in done.stderr
    assert "not restarted: node1 (this one)" in done.stderr
    assert [daemon.info.pid for daemon in nodes.daemons] == before


class Served:
    """A client of all nodes, and a publisher that asks whichever node answers, while something happens to them."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._front = NodesFront(lambda: [port for daemon in nodes.daemons if (port := _port(daemon)) is not None])
        self.published = 0
        self.client: Client | None = None

    async def __aenter__(self) -> Served:
        await self._front.start()
        key = await asyncio.to_thread(self._nodes.make_key)
        self.client = Client(
            self._front.url, ("flight.created",), api_key=key.api_key, reconnect_interval=0.1,
            max_reconnect_interval=1.0, ping_interval=2.0, ping_timeout=4.0,
        )  # fmt: skip
        self._running = asyncio.create_task(self.client.client.run_async())
        await until(lambda: self.client is not None and self.client.connections)
        self._publishing = asyncio.create_task(self._publish())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.client is not None
        self._publishing.cancel()
        await asyncio.gather(self._publishing, return_exceptions=True)
        await self.client.got(self.published)
        self.client.client.stop()
        await self._running
        await self._front.close()

    async def _publish(self) -> None:
        while True:
            row = {"type": "flight.created", "data": {"n": self.published}, "event_id": f"served {self.published}"}
            for daemon in self._nodes.daemons:
                with suppress(NotAnswering, RpcFailed):
                    await asyncio.shield(asyncio.to_thread(daemon.call, "publish", {"events": [row]}))
                    self.published += 1
                    break
            await asyncio.sleep(0.02)


def _port(daemon: LiveDaemon) -> int | None:
    info = daemon.lockfile.read()
    return None if info is None or info.url is None else daemon.port


@pytest.mark.long
async def test_all_nodes_are_restarted_one_after_the_other_and_no_further_than_the_first_that_fails(
    server: RedisServer, tmp_path: Path
) -> None:
    with running_nodes(tmp_path, server, 3, config="remote_restart = true\n") as nodes:
        await comes_true(lambda: len(nodes[0].call("nodes")["nodes"]) == 3)
        async with Served(nodes) as served:
            before = [daemon.info.pid for daemon in nodes.daemons]
            done = await asyncio.to_thread(partial(nodes[2].swimctl, "restart", "--all", timeout=200))
            assert done.returncode == 0, done.stderr + nodes[0].everything_logged
            assert [line.partition(":")[0] for line in done.stdout.splitlines()[:2]] == ["node0", "node1"]
            after = [daemon.info.pid for daemon in nodes.daemons]
            assert all(one != other for one, other in zip(before, after, strict=True))
            config = nodes[1].home / "swim.toml"
            sound = config.read_text()
            config.write_text("[server]\nprot = 1\n")
            done = await asyncio.to_thread(partial(nodes[2].swimctl, "restart", "--all", timeout=200))
            assert done.returncode == 1
            assert "node node1" in done.stderr
            assert "not restarted: node2 (this one)" in done.stderr
            assert [daemon.info.pid for daemon in nodes.daemons][1:] == after[1:]
            config.write_text(sound)
            first = nodes[0].info.pid
            restarting = asyncio.create_task(
                asyncio.to_thread(partial(nodes[2].swimctl, "restart", "--all", timeout=200))
            )
            await comes_true(lambda: _port(nodes[0]) is not None and nodes[0].info.pid != first)
            nodes[1].signal(signal.SIGKILL)
            done = await restarting
            assert done.returncode == 1, done.stdout + done.stderr
            assert "node node1" in done.stderr
            assert "not restarted: node2 (this one)" in done.stderr
            assert nodes[2].info.pid == after[2]
        assert served.client is not None
        assert served.client.numbers == list(range(served.published))
        assert (served.client.gaps, served.client.errors) == ([], [])
