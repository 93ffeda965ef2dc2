"""A process with few file descriptors answers its operator however many connections are waiting."""

from __future__ import annotations

import resource
import socket
from pathlib import Path

import pytest
from support.live_daemon import LiveDaemon, await_true
from support.wire_client import dial

pytestmark = pytest.mark.unmeasured

LIMIT = 256
IDLE = 400


async def test_idle_connections_leave_descriptors_for_everything_else(tmp_path: Path) -> None:
    daemon = LiveDaemon(tmp_path / "home")
    idle: list[socket.socket] = []
    try:
        daemon.start()
        resource.prlimit(daemon.info.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        key = daemon.api_key()
        async with dial(daemon.url, key) as client:
            for _ in range(IDLE):
                idle.append(socket.create_connection(("127.0.0.1", daemon.port), timeout=10))
            await_true(lambda: "no more connections are accepted" in daemon.everything_logged, what="the warning")
            assert daemon.call("status")["connections"]["total"] == 1
            assert daemon.put(("tmi.issued", {"program_id": 1}))
            assert (await client.ask("ping"))["type"] == "pong"
            assert daemon.api_key("public")
            for each in idle:
                each.close()
            await_true(lambda: "connections are accepted again" in daemon.everything_logged, what="room")
            async with dial(daemon.url, key) as other:
                assert (await other.ask("ping"))["type"] == "pong"
        # Each time that some leave, some of those that wait are let in: a few warnings, and not one a connection.
        assert daemon.everything_logged.count("no more connections are accepted") < 10
        assert "Too many open files" not in daemon.everything_logged
    finally:
        for each in idle:
            each.close()
        daemon.finish()
