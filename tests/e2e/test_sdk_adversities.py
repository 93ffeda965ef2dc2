"""What the world does to a program with an SDK: its clock is set back, it is stopped and goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.packages import missing, require_program
from swim_conformance import catalogue
from swim_conformance.adapter import Adapter
from swim_conformance.builds import SDK, Unavailable
from swim_conformance.script import Script
from swim_conformance.scripted_server import ScriptedServer
from swim_conformance.server_thread import ServerThread

KEY = "swim_dev_0123456789abcdefghijklmnopqrstuvwxyzAB"
EVENTS = 3_000
CLOCK_IS_SET_BACK = f"""
import {{ SwimWebSocketClient }} from '{SDK}/javascript/src/index.js';
const client = new SwimWebSocketClient('{KEY}');
client.subscribe(['flight.*']);
await client.connect();
for (let number = 0; number < 8; number += 1) client.ping();
const now = Date.now;
Date.now = () => now() - 3_600_000;
await client.ping();
console.log('answered');
await client.disconnect();
process.exit(0);
"""


def test_javascript_goes_on_after_the_clock_was_set_back(tmp_path: Path) -> None:
    """Its limit of requests in a second is no wait of an hour."""
    require_program("node", "nodejs")
    words = list(catalogue.SDKS["javascript"]())[:-1]
    (tmp_path / "program.mjs").write_text(CLOCK_IS_SET_BACK, "utf-8")
    with ServerThread({}) as server:
        done = subprocess.run(
            [*words, "program.mjs"], cwd=tmp_path, env={**os.environ, "SWIM_URL": server.url}, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.stdout == "answered\n", done.stderr


@pytest.mark.long
@pytest.mark.parametrize("name", ["python", "javascript", "java", "csharp"])
async def test_program_that_was_stopped_gets_every_event_once(name: str) -> None:
    """It stands still for longer than its signs of life may take, while more comes than fits into a socket."""
    try:
        words = catalogue.SDKS[name]()
    except Unavailable as problem:
        missing(str(problem))
    options = {"reconnect_ms": 50, "ping_ms": 1000, "ping_timeout_ms": 1000}
    async with Adapter(words) as adapter, ScriptedServer(Script()) as server:
        await adapter.tell("c", {"do": "create", "url": server.url, "key": KEY, "options": options})
        await adapter.tell("c", {"do": "subscribe", "channels": ["flight.*"]})
        await adapter.tell("c", {"do": "connect"})
        await adapter.seen("c", {"saw": "subscribed"}, seconds=240)
        os.kill(adapter.pid, signal.SIGSTOP)
        publishing = asyncio.create_task(publish_all(server))
        await asyncio.sleep(4)
        os.kill(adapter.pid, signal.SIGCONT)
        await asyncio.wait_for(publishing, 240)
        last = {"saw": "event", "data": {"n": EVENTS}}
        await adapter.seen("c", last, seconds=240)
        seen = [one["data"]["n"] for one in adapter.reports("c") if one["saw"] == "event"]
        assert seen == list(range(1, EVENTS + 1))
        await adapter.tell("c", {"do": "disconnect"})
        await adapter.seen("c", {"saw": "ended"}, seconds=30)


async def publish_all(server: ScriptedServer) -> None:
    for _ in range(EVENTS):
        await server.publish("flight.departed", {"filler_bytes": 2_000})
