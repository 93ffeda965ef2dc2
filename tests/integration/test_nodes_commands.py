"""What an operator types, and what clients with several addresses do, on three daemons that share one Redis server."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.live_daemon import LiveDaemon, await_true, comes_true
from support.nodes import Nodes, running_nodes
from support.packages import missing
from support.redis_server import RedisServer, redis_server
from support.wire_client import dial, open_client
from swim_conformance import catalogue
from swim_conformance.adapter import Adapter
from swim_conformance.builds import Unavailable

NAMES = ("node0", "node1", "node2")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server(appendfsync="always") as server:
        yield server


@pytest.fixture(scope="module")
def nodes(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with running_nodes(tmp_path_factory.mktemp("nodes"), server) as nodes:
        yield nodes


def all_well(daemon: LiveDaemon) -> bool:
    found = daemon.call("nodes")
    return found["problem"] is None and [node["state"] for node in found["nodes"]] == ["alive"] * 3


def order(event_id: str) -> list[int]:
    return [int(part) for part in event_id.split("-")]


# What is typed on one node is for all.


def test_what_is_published_on_the_first_is_seen_on_the_third_in_one_order(nodes: Nodes) -> None:
    (before,) = nodes[0].put(("tmi.issued", {"n": 0}))
    watching = nodes[2].spawn("tail", "tmi.issued", "--after", before, "--count", "6", "--json")
    published = []
    for number in range(1, 7):
        words = ["publish", "tmi.issued", "--data", json.dumps({"n": number}), "--force", "--json"]
        done = nodes[number % 2].swimctl(*words, check=True)
        published.append(json.loads(done.stdout)["id"])
    seen, errors = watching.communicate(timeout=60)
    events = [json.loads(line) for line in seen.splitlines()]
    assert ([event["data"]["n"] for event in events], errors) == ([1, 2, 3, 4, 5, 6], "")
    assert [event["id"] for event in events] == published == sorted(published, key=order)
    again = nodes[1].swimctl("tail", "tmi.issued", "--after", before, "--no-follow", "--json", check=True)
    assert [json.loads(line)["id"] for line in again.stdout.splitlines()] == published


async def test_the_sixth_public_client_is_refused_on_every_node_and_told_why(nodes: Nodes) -> None:
    key = nodes.make_key("public").api_key
    held = []
    for number in range(5):
        client = await open_client(nodes[number % 3].url, key)
        assert (await client.next())["type"] == "connected"
        held.append(client)
    for daemon in nodes.daemons:
        words = ["tail", "--url", daemon.url]
        done = await asyncio.to_thread(daemon.swimctl, *words, SWIM_API_KEY=key)
        told = "tier public has its maximum of connections: 5 of 5"
        assert (done.returncode, told in done.stderr) == (6, True), done.stderr
        status = json.loads((await asyncio.to_thread(daemon.swimctl, "status", "--json", check=True)).stdout)
        assert status["connections"]["by_tier"]["public"]["all_nodes"] == 5
    await asyncio.gather(*(client.connection.close() for client in held))


async def test_a_revocation_names_the_node_that_does_not_answer_and_that_one_closes_when_it_is_back(
    nodes: Nodes,
) -> None:
    issued = nodes.make_key("partner")
    clients = [await open_client(daemon.url, issued.api_key) for daemon in nodes.daemons]
    for client in clients:
        await client.next()
    nodes[2].signal(signal.SIGSTOP)
    try:
        done = await asyncio.to_thread(nodes[0].swimctl, "keys", "revoke", str(issued.record.id), "--yes")
        assert done.returncode == 1
        assert "not every node has said that it knows: node2" in done.stderr
        assert [(await client.closed())[0] for client in clients[:2]] == [4001] * 2
    finally:
        nodes[2].signal(signal.SIGCONT)
    assert (await clients[2].closed())[0] == 4001
    await comes_true(lambda: all_well(nodes[0]), what="three nodes that are alive")


def test_each_command_speaks_for_all_nodes_and_is_narrowed_to_one(nodes: Nodes) -> None:
    for daemon in nodes.daemons:
        listed = json.loads(daemon.swimctl("nodes", "--json", check=True).stdout)
        assert [node["name"] for node in listed["nodes"]] == list(NAMES)
        status = json.loads(daemon.swimctl("status", "--json", check=True).stdout)
        assert sorted([status["node"], *status["other_nodes"]]) == list(NAMES)
    for number, name in enumerate(NAMES):
        asked = nodes[(number + 1) % 3]
        pid = nodes[number].info.pid
        assert json.loads(asked.swimctl("status", "--node", name, "--json", check=True).stdout)["pid"] == pid
        listed = json.loads(asked.swimctl("nodes", "--node", name, "--json", check=True).stdout)
        assert [node["pid"] for node in listed["nodes"]] == [pid]
        assert json.loads(asked.swimctl("connections", "list", "--node", name, "--json", check=True).stdout) == []
    words = ["top", "--count", "1", "--node", "node1", "--json"]
    found = json.loads(nodes[2].swimctl(*words, check=True).stdout)
    assert found["status"]["pid"] == nodes[1].info.pid


# Doctor on another node's machine.


def test_doctor_examines_another_node(nodes: Nodes) -> None:
    words = ["doctor", "--node", "node2", "--only", "process.running,nodes.present,code.process-is-disk"]
    done = nodes[0].swimctl(*words, "--json", timeout=120)
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["ok"] else 1), done.stderr
    assert report["subject"] == f"node node2: {nodes[2].home}"
    found = {each["id"]: each for each in report["checks"]}
    assert set(found) == {"process.running", "nodes.present", "code.process-is-disk"}
    assert str(nodes[2].info.pid) in found["process.running"]["observed"] + str(found["process.running"]["evidence"])


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--node", "nowhere"], 5, "there is no node 'nowhere'"),
        (["--node", "node1", "--only", "nonsense"], 2, "node node1: "),
        (["--node", "node1", "--fix"], 2, "--node can't be combined with any of --fix"),
    ],
)
def test_doctor_of_another_node_that_can_not_be_asked(nodes: Nodes, words: list[str], code: int, told: str) -> None:
    done = nodes[0].swimctl("doctor", *words, timeout=120)
    assert (done.returncode, told in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_says_that_it_can_not_see_a_silent_node(nodes: Nodes) -> None:
    nodes[1].signal(signal.SIGSTOP)
    try:
        await_true(lambda: not all_well(nodes[0]), what="a silent node")
        done = nodes[0].swimctl("doctor", "--only", "nodes.present", "--json")
        (present,) = (each for each in json.loads(done.stdout)["checks"] if each["id"] == "nodes.present")
        assert (present["status"], "node1: nothing heard" in present["observed"]) == ("fail", True)
        shown = nodes[0].swimctl("nodes", check=True).stdout
        assert ("node1", "silent") in [tuple(line.split("\t")[:2]) for line in shown.splitlines()] or "gone" in shown
    finally:
        nodes[1].signal(signal.SIGCONT)
    await_true(lambda: all_well(nodes[0]), what="three nodes that are alive")


# Clients with several addresses.


class Crowd:
    """One program of each SDK, and ``swimctl tail``, each with the addresses of all nodes; and what each received."""

    def __init__(self, nodes: Nodes, urls: Sequence[str], after: str) -> None:
        self._nodes = nodes
        self._urls = ",".join(urls)
        self._after = after
        self.adapters: dict[str, Adapter] = {}
        self.keys: dict[str, int] = {}
        """The ids of the programs' keys."""
        self.numbers: list[int] = []

    async def join(self, stack: AsyncExitStack, programs: Sequence[str], tails: int) -> None:
        for name in programs:
            issued = self._nodes.make_key()
            self.keys[name] = issued.record.id
            try:
                words = catalogue.SDKS[name]()
            except Unavailable as problem:
                missing(str(problem))
            adapter = self.adapters[name] = await stack.enter_async_context(Adapter(words))
            options = {"reconnect_ms": 50, "max_reconnect_ms": 500}
            await adapter.tell(name, {"do": "create", "url": self._urls, "key": issued.api_key, "options": options})
            await adapter.tell(name, {"do": "subscribe", "channels": ["flight.*"], "after": self._after})
            await adapter.tell(name, {"do": "connect"})
            await adapter.seen(name, {"saw": "subscribed"}, seconds=120)
        words = ["tail", "flight.*", "--after", self._after, "--json", "--url", self._urls]
        key = self._nodes.make_key().api_key
        self.tails = [self._nodes[0].spawn(*words, "--count", "60", SWIM_API_KEY=key) for _ in range(tails)]

    async def put(self, daemon: LiveDaemon, count: int) -> None:
        """Publish so many events, each until it is acknowledged, under one ``event_id``."""
        for _ in range(count):
            number = len(self.numbers)
            row = {"type": "flight.created", "data": {"n": number}, "event_id": f"{self._after} {number}"}
            await comes_true(partial(published, daemon, row), seconds=60, what="a publication")
            self.numbers.append(number)

    async def got_all(self) -> None:
        """Fail unless everybody receives every event, once and in order."""
        for name, adapter in self.adapters.items():
            await adapter.seen(name, {"saw": "event", "data": {"n": self.numbers[-1]}}, seconds=60)
            seen = [one["data"]["n"] for one in adapter.reports(name) if one["saw"] == "event" and "n" in one["data"]]
            assert seen == self.numbers, (name, seen)
            assert not [one for one in adapter.reports(name) if one["saw"] == "gap"], name

    def serving(self, name: str) -> LiveDaemon:
        """Return the node that serves a program."""
        for daemon in self._nodes.daemons:
            if any(one["key_id"] == self.keys[name] for one in daemon.connections):
                return daemon
        raise AssertionError(f"no node serves {name}")


def published(daemon: LiveDaemon, row: dict[str, Any]) -> bool:
    try:
        return bool(daemon.call("publish", {"events": [row]})["published"])
    except Exception as error:  # noqa: BLE001  # the server is away: what was not acknowledged is sent again
        assert "UNAVAILABLE" in str(error) or "can't be" in str(error) or "away" in str(error), error
        time.sleep(0.05)
        return False


@asynccontextmanager
async def crowd(nodes: Nodes, programs: Sequence[str], tails: int) -> AsyncIterator[Crowd]:
    (before,) = nodes[0].put(("tmi.issued", {}))
    found = Crowd(nodes, [daemon.url for daemon in nodes.daemons], before)
    async with AsyncExitStack() as stack:
        await found.join(stack, programs, tails)
        yield found


async def check_that_clients_go_on(nodes: Nodes, programs: Sequence[str], tails: int) -> None:
    """Kill the node that serves the first program, then the Redis server, and compare what each client received."""
    async with crowd(nodes, programs, tails) as clients:
        await clients.put(nodes[0], 20)
        await clients.got_all()
        victim = clients.serving(programs[0])
        port = victim.port
        victim.kill()
        other = next(daemon for daemon in nodes.daemons if daemon is not victim)
        await clients.put(other, 20)
        await clients.got_all()
        await asyncio.to_thread(victim.start, port=port)
        nodes.server.kill()
        await asyncio.to_thread(nodes.server.start)
        await clients.put(victim, 20)
        await clients.got_all()
        for watching in clients.tails:
            seen, errors = await asyncio.to_thread(watching.communicate, timeout=60)
            assert [json.loads(line)["data"]["n"] for line in seen.splitlines()] == clients.numbers, errors
    await comes_true(lambda: all_well(nodes[0]), what="three nodes that are alive")


async def test_clients_go_on_at_another_node_and_over_a_killed_server(nodes: Nodes) -> None:
    await check_that_clients_go_on(nodes, ["python", "javascript"], tails=1)


@pytest.mark.long
async def test_clients_of_every_sdk_go_on_at_another_node_and_over_a_killed_server(nodes: Nodes) -> None:
    await check_that_clients_go_on(nodes, ["python", "javascript", "java", "csharp"], tails=2)


async def test_a_client_is_served_where_only_one_of_its_addresses_is_there(nodes: Nodes) -> None:
    async with dial(nodes[1].url, nodes.make_key().api_key):
        urls = f"ws://127.0.0.1:1/,{nodes[1].url}"
        (event_id,) = nodes[0].put(("splits.updated", {"n": 1}))
        key = nodes.make_key().api_key
        words = ["tail", "splits.updated", "--last", "1", "--no-follow", "--json", "--url", urls]
        done = await asyncio.to_thread(nodes[0].swimctl, *words, SWIM_API_KEY=key)
    assert (done.returncode, json.loads(done.stdout)["id"]) == (0, event_id), done.stderr
    done = nodes[0].swimctl("tail", "--url", "ws://127.0.0.1:1/,ws://127.0.0.1:2/", SWIM_API_KEY=key)
    assert done.returncode == 3
    assert "nothing answers at ws://127.0.0.1:1/" in done.stderr
    assert "nothing answers at ws://127.0.0.1:2/" in done.stderr


# A start that can't succeed says why, and what to do.


@pytest.fixture
def no_redis() -> Iterator[int]:
    """A web server's port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=answer_as_a_web_server, args=(listening,), daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def answer_as_a_web_server(listening: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def store_state(nodes: Nodes, prefix: str, **fields: str) -> None:
    """Store the beginning of a stream under another prefix."""
    pairs = {"epoch": "e", "last": "1-0", "begun": "0-0", **fields}
    nodes.server.command("HSET", f"{{{prefix}}}:state", *(word for pair in pairs.items() for word in pair))


def refused_start(nodes: Nodes, home: Path, replaced: str, by: str) -> tuple[int, str]:
    """Start a node with another configuration; return its exit code and what it said."""
    daemon = LiveDaemon(home, config=nodes.config(9, "").replace(replaced, by))
    done = daemon.swimctl("serve", "--port", "0", timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_a_server_that_is_no_redis_is_named(nodes: Nodes, no_redis: int, tmp_path: Path) -> None:
    code, told = refused_start(nodes, tmp_path, str(nodes.server.port), str(no_redis))
    assert (code, f"redis://127.0.0.1:{no_redis}" in told) == (1, True), told
    assert "does not speak the Redis protocol" in told


def test_a_wrong_password_is_named_and_not_shown(nodes: Nodes, tmp_path: Path) -> None:
    server = nodes.server
    code, told = refused_start(nodes, tmp_path, server.url, f"redis://:geheim@127.0.0.1:{server.port}")
    assert (code, "geheim" in told, "password" in told) == (1, False, True), told


def test_a_stream_of_another_version_is_named(nodes: Nodes, tmp_path: Path) -> None:
    store_state(nodes, "newer", version="2", installation="i")
    code, told = refused_start(nodes, tmp_path, nodes.prefix, "newer")
    assert (code, "{newer}:state" in told, "version" in told) == (1, True, True), told


def test_a_stream_of_another_installation_is_named(nodes: Nodes, tmp_path: Path) -> None:
    """As where a machine was moved from one installation to another with its home."""
    store_state(nodes, "other", version="1", installation="ffffffff")
    for path in nodes[1].home.iterdir():
        if path.name.startswith("history.") or path.name == "installation":
            shutil.copy(path, tmp_path / path.name)
    code, told = refused_start(nodes, tmp_path, nodes.prefix, "other")
    assert (code, "belongs to installation ffffffff" in told) == (1, True), told
    assert "give [broker] another prefix, or begin with an empty home" in told
