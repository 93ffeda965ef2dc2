"""node's ``ws``: what most JavaScript programs connect with."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.live_daemon import LiveDaemon, live_daemon
from support.packages import require_npm_package, require_program

CLIENT = Path(__file__).parents[1] / "support/node_client.cjs"
SECONDS = 40


@pytest.fixture(scope="module")
def node() -> dict[str, str]:
    """The environment in which the client runs."""
    require_program("node", "nodejs")
    return {**os.environ, "NODE_PATH": str(require_npm_package("ws", "8"))}


@pytest.fixture(scope="module")
def daemon(node: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    config = "[server]\nheartbeat_seconds = 1\n"
    with live_daemon(tmp_path_factory.mktemp("node") / "home", config=config) as daemon:
        yield daemon


class Node:
    """One run of the client: what it has said, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said: list[dict[str, Any]] = []

    @classmethod
    async def run(cls, environ: dict[str, str], url: str, *steps: dict[str, Any], **more: Any) -> Node:
        task = json.dumps({"url": url, "steps": steps, **more})
        process = await asyncio.create_subprocess_exec(
            "node", str(CLIENT), task, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        return cls(process)

    async def until(self, key: str, value: object = None) -> Any:
        """Read on until a line has this key (with this value, or a message of this type); return what stands there."""
        assert self._process.stdout is not None
        async with asyncio.timeout(SECONDS):
            while line := await self._process.stdout.readline():
                self.said.append(json.loads(line))
                found = self.said[-1].get(key)
                if found is not None and value in (None, found, found.get("type") if isinstance(found, dict) else None):
                    return found
        raise AssertionError(f"no {key} {value or ''}: {self.said}")

    async def end(self) -> list[dict[str, Any]]:
        """Wait for its end; return the messages it got, without heartbeats."""
        assert self._process.stdout is not None
        async with asyncio.timeout(SECONDS):
            async for line in self._process.stdout:
                self.said.append(json.loads(line))
            await self._process.wait()
        messages = [line["message"] for line in self.said if "message" in line]
        return [message for message in messages if message["type"] != "system.heartbeat"]


async def test_node_client_subscribes_receives_and_says_goodbye(node: dict[str, str], daemon: LiveDaemon) -> None:
    client = await Node.run(
        node,
        f"{daemon.url}?api_key={daemon.api_key()}",
        {"send": {"action": "subscribe", "channels": ["flight.*"], "filters": {"airports": ["KJFK"]}}},
        {"fragments": ['{"act', 'ion": ', '"ping"}']},
        {"ping": True},
        {"until": "flight.positions"},
        {"close": 1000},
    )
    await client.until("message", "subscribed")
    await client.until("pong")
    rows = [{"callsign": f"BAW{number}", "dep": "KJFK" if number % 2 else "EGLL"} for number in range(280)]
    daemon.put(
        ("flight.departed", {"callsign": "BAW1", "dep": "KJFK", "arr": "EGLL"}),
        ("flight.departed", {"callsign": "BAW2", "dep": "EGLL", "arr": "LFPG"}),
        ("flight.positions", {"count": 280, "positions": rows}),
    )
    messages = await client.end()
    assert [message["type"] for message in messages] == [
        "connected",
        "subscribed",
        "pong",
        "flight.departed",
        "flight.positions",
    ]
    assert messages[3]["data"]["callsign"] == "BAW1"
    assert messages[4]["data"]["count"] == len(messages[4]["data"]["positions"]) == 140
    assert client.said[-1] == {"close": 1000, "reason": "bye"}


async def test_node_client_with_a_bad_key_sees_error_and_code(node: dict[str, str], daemon: LiveDaemon) -> None:
    client = await Node.run(node, daemon.url, headers={"X-API-Key": "invalid_key"})
    messages = await client.end()
    assert [message["code"] for message in messages] == ["AUTH_FAILED"]
    assert client.said[-1]["close"] == 4001


async def test_node_client_that_sends_nonsense_is_told_and_stays(node: dict[str, str], daemon: LiveDaemon) -> None:
    client = await Node.run(
        node,
        daemon.url,
        {"raw": "nonsense"},
        {"binary": "bytes"},
        {"send": {"action": "subscribe", "channels": "flight.departed"}},
        {"raw": " " * 70_000},
        {"send": {"action": "ping"}},
        {"until": "pong"},
        {"close": 4000},
        headers={"Authorization": f"Bearer {daemon.api_key()}"},
    )
    messages = await client.end()
    assert [message.get("code", message["type"]) for message in messages] == [
        "connected",
        "INVALID_JSON",
        "INVALID_JSON",
        "INVALID_SUBSCRIBE",
        "MESSAGE_TOO_LARGE",
        "pong",
    ]
    assert client.said[-1] == {"close": 4000, "reason": "bye"}


async def test_node_client_answers_pings_by_itself_and_stays(node: dict[str, str], daemon: LiveDaemon) -> None:
    client = await Node.run(
        node, f"{daemon.url}?key={daemon.api_key()}", {"until": "system.heartbeat", "count": 4}, {"close": 1000}
    )
    await client.end()
    assert sum("ping" in line for line in client.said) >= 3
    assert client.said[-1]["close"] == 1000


async def test_node_client_without_compression_is_served_too(node: dict[str, str], daemon: LiveDaemon) -> None:
    client = await Node.run(
        node,
        f"{daemon.url}?key={daemon.api_key()}",
        {"send": {"action": "status"}},
        {"until": "status"},
        {"close": 1000},
        options={"perMessageDeflate": False},
    )
    assert [message["type"] for message in await client.end()] == ["connected", "status"]
    assert client.said[0] == {"open": True, "extensions": "", "protocol": ""}


async def test_node_client_at_an_unknown_path_sees_404(node: dict[str, str], daemon: LiveDaemon) -> None:
    client = await Node.run(node, f"ws://127.0.0.1:{daemon.port}/nowhere")
    await client.end()
    assert client.said[0] == {"status": 404}


async def test_node_client_is_asked_to_come_back_when_the_service_restarts(
    node: dict[str, str], daemon: LiveDaemon
) -> None:
    client = await Node.run(node, f"{daemon.url}?key={daemon.api_key()}")
    await client.until("message", "connected")
    await asyncio.to_thread(daemon.call, "restart")
    await client.end()
    assert client.said[-1]["close"] == 1012
    assert "retry_ms=" in client.said[-1]["reason"]
