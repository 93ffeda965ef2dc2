"""What an operator sees of several nodes: the list, doctor's area, sources that one node runs for all."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.live_daemon import LiveDaemon, await_true
from support.nodes import Nodes, running_nodes
from support.redis_server import RedisServer, redis_server

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
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["node0", "node1 *"]
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
        assert "node7" in found["observed"]
    finally:
        stranger.finish()
