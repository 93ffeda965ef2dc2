"""The scripted server as users have it: a command, a module, a fixture of pytest."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from swim_client import SWIMClient
from swim_conformance.pytest_plugin import scripted_swim_server
from swim_conformance.server_thread import ServerThread
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_sync

KEY = "swim_dev_0123456789abcdefghijklmnopqrstuvwxyzAB"
CUT = {"connections": [[{"await": "subscribe"}, {"publish": 2}, {"cut": True}]]}
__all__ = ["scripted_swim_server"]


@contextlib.asynccontextmanager
async def subscribed(url: str) -> AsyncIterator[ClientConnection]:
    async with connect(url) as socket:
        assert json.loads(await socket.recv())["type"] == "connected"
        await socket.send(json.dumps({"action": "subscribe", "channels": ["flight.*"]}))
        assert json.loads(await socket.recv())["type"] == "subscribed"
        yield socket


async def test_cut_shows_no_close_code_and_the_next_connection_is_served() -> None:
    with ServerThread(CUT) as server:
        async with subscribed(server.url) as socket:
            assert [json.loads(await socket.recv())["data"]["n"] for _ in range(2)] == [1, 2]
            with pytest.raises(ConnectionClosed) as raised:
                await socket.recv()
            assert raised.value.rcvd is None
        async with subscribed(server.url) as socket:
            await asyncio.to_thread(server.publish, "flight.departed")
            assert json.loads(await socket.recv())["data"]["n"] == 3


async def test_refused_upgrade_has_the_status_and_the_headers_of_the_script() -> None:
    with ServerThread({"connections": [[{"refuse": 429, "headers": {"Retry-After": "7"}}]]}) as server:
        with pytest.raises(InvalidStatus) as raised:
            await connect(server.url)
        assert raised.value.response.status_code == 429
        assert raised.value.response.headers["Retry-After"] == "7"


async def test_frozen_server_answers_no_ping() -> None:
    with ServerThread({"connections": [[{"await": "subscribe"}, {"freeze": True}, {"signal": "frozen"}]]}) as server:
        async with subscribed(server.url) as socket:
            await asyncio.to_thread(
                server.wait_until, lambda: any(entry["what"] == "signal" for entry in server.server.log)
            )
            pong = await socket.ping()
            done, _ = await asyncio.wait({asyncio.ensure_future(pong)}, timeout=0.5)
            assert not done
            socket.transport.abort()


def test_step_that_waits_in_vain_is_a_failure() -> None:
    script = {"connections": [[{"await": "subscribe", "within": 0.2}, {"close": 4008}]]}
    with ServerThread(script) as server:
        with connect_sync(server.url) as socket, pytest.raises(ConnectionClosed):
            while True:
                socket.recv()
        server.wait_until(lambda: server.failures)
        assert server.failures == ["connection 1: no subscribe came"]


def test_fixture_lets_a_program_be_tested(scripted_swim_server: Callable[[Any], ServerThread]) -> None:
    server = scripted_swim_server(CUT)
    client = SWIMClient(KEY, server.url, reconnect_interval=0.01)
    seen: list[int] = []

    @client.on("flight.departed")
    def on_departure(event: Any) -> None:
        seen.append(event["n"])
        if len(seen) == 3:
            client.stop()

    @client.on("reconnected")
    def on_reconnected() -> None:
        server.publish("flight.departed")

    client.subscribe(["flight.*"])
    client.run()
    assert seen == [1, 2, 3]
    assert server.received(2, "subscribe")[0]["after"] == server.server.history.ids[2]


@pytest.mark.parametrize(
    "words", [["swimctl", "demo", "--script"], ["swim_conformance", "serve"]], ids=["swimctl demo", "module"]
)
def test_command_plays_a_script_to_any_client(tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "cut.json"
    file.write_text(json.dumps(CUT), "utf-8")
    with subprocess.Popen(
        [sys.executable, "-u", "-m", *words, str(file)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            lines = iter(process.stdout.readline, "")
            url = next(line.split()[2].rstrip(";") for line in lines if "listening on" in line)
            with connect_sync(url) as socket, contextlib.suppress(ConnectionClosed):
                socket.send(json.dumps({"action": "subscribe", "channels": ["flight.*"]}))
                while True:
                    socket.recv()
            told = "".join(iter(lambda: next(lines), "connection 1: closed  code=None\n"))
            assert 'connection 1: received  {"action": "subscribe", "channels": ["flight.*"]}' in told
        finally:
            process.terminate()


def test_script_that_cannot_be_played_is_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "script.json"
    file.write_text('{"connections": [[{"clse": 1012}]]}', "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "swimctl", "demo", "--script", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "connections[0][0]: unknown step 'clse'" in done.stderr
