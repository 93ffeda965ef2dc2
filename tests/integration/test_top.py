"""``swimctl top`` and ``status --watch`` with a real daemon, across its restarts."""

from __future__ import annotations

import json
from pathlib import Path

from support.live_daemon import live_daemon
from support.wire_client import dial


async def test_top_names_the_busiest_and_goes_on_over_a_restart(tmp_path: Path) -> None:
    with live_daemon(tmp_path / "h", sources=["simulator?flights=20&speed=60"]) as daemon:
        async with dial(daemon.url, daemon.api_key(), max_queue=None) as client:
            await client.subscribe("flight.*")
            watching = daemon.spawn("top", "--json")
            watched = daemon.spawn("status", "--json", "--watch")
            assert watching.stdout is not None and watched.stdout is not None
            first = json.loads(watching.stdout.readline())
            while [one["tier"] for one in first["busiest"]] != ["developer"]:  # its first second may see no event yet
                first = json.loads(watching.stdout.readline())
            before = json.loads(watched.stdout.readline())
            after = daemon.call("restart")["pid"]
        while json.loads(watching.stdout.readline())["status"]["pid"] != after:
            pass
        while json.loads(watched.stdout.readline())["pid"] != after:
            pass
    assert before["pid"] == first["status"]["pid"] != after
    assert {"channel": "flight.*", "connections": 1} in first["channels"]
    assert first["types"][0]["events"] > 0
    assert first["status"]["latency_ms"]["p50"] >= 0


def test_top_ends_after_as_many_looks_as_asked_for(tmp_path: Path) -> None:
    with live_daemon(tmp_path / "h") as daemon:
        done = daemon.swimctl("top", "--count", "2", check=True)
    assert [len(line.split("\t")) for line in done.stdout.splitlines()] == [10, 10]


def test_top_without_a_daemon_exits_with_3(tmp_path: Path) -> None:
    from support.daemon import Daemon

    assert Daemon(tmp_path / "h").swimctl("top").returncode == 3
