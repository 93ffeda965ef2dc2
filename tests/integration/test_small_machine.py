"""The daemon on a small machine: a control group of 256 MB and one processor, with a thousand clients and a flood."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.control_group import control_group
from support.live_daemon import LiveDaemon
from support.tunnels import TunnelPool

pytestmark = pytest.mark.unmeasured

MEMORY_BYTES = 256 * 1024 * 1024
CLIENTS = 1_000
EVENTS = 20
FLOODERS = 20
CONFIG = "[tiers.system]\nconnections = 2000\n[tiers.public]\nconnections = 100\n"


async def flood(kind: str, port: int, key: str) -> dict[str, Any]:
    """Send a flood for two seconds, from outside the group; what it has sent."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "support.floods", kind, str(port), str(FLOODERS), "2",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    out, _ = await process.communicate(key.encode() + b"\n")
    found: dict[str, Any] = json.loads(out)
    return found


async def test_a_thousand_clients_and_a_flood_fit_256_megabytes(tmp_path: Path) -> None:
    with control_group(memory_bytes=MEMORY_BYTES) as group:
        daemon = LiveDaemon(tmp_path / "home", config=CONFIG)
        try:
            with group.entered():
                daemon.start()
            good, bad = daemon.api_key("system"), daemon.api_key("public")
            async with TunnelPool(daemon.port, good, tls=None, host="swim.example.org") as pool:
                assert await pool.open(CLIENTS, seconds=120) == CLIENTS
                floods = [asyncio.create_task(flood(kind, daemon.port, bad)) for kind in ("large-messages", "bombs")]
                for number in range(EVENTS):
                    await asyncio.to_thread(daemon.put, ("tmi.issued", {"program_id": number, "reason": "x" * 1000}))
                assert all(each["sent_bytes"] for each in await asyncio.gather(*floods))
                assert await pool.received(EVENTS, seconds=120) == {EVENTS: CLIENTS}
                assert pool.alive == CLIENTS
            memory = daemon.status()["memory_bytes"]
        finally:
            daemon.kill()
            daemon.finish()
        assert group.killed == 0
        assert memory < MEMORY_BYTES
        print(f"resident {memory / 2**20:.0f} MiB, the group {group.peak_bytes / 2**20:.0f} MiB at most")
