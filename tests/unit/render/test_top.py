"""The picture of ``top``: fits the screen, and shows what matters."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from rich.console import Console
from swim_server.daemon.control.documents.connections import Top
from swim_server.daemon.control.documents.status import WorkerDocument

from swimctl.render.top import HEADINGS, line, picture

NOW = 1_768_573_815.0


def connection(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"client_{number:016x}", "tier": "developer", "key_id": 7, "key_hint": "swim_dev_…x9Qz", "owner": "me",
        "remote": "192.0.2.1", "user_agent": None, "connected_at": "2026-01-16T14:30:15.000Z", "channels": ["flight.*"],
        "filters": {}, "messages_sent": 1234, "buffered_bytes": 0, "lagging": False, "catching_up": False,
        "per_second": 3.5, **fields,
    }  # fmt: skip


def document(*, busiest: int = 2, slow: int = 0) -> Top:
    plain = {
        "at_seconds": 1.0,
        "status": {
            "url": "ws://127.0.0.1:8090/api/swim/v1/ws", "pid": 42, "uptime_seconds": 200.0,
            "connections": {"total": 12, "by_tier": {"public": {"current": 5, "limit": 5}}},
            "events_per_second": 34.0, "deliveries_per_second": 1234.0,
            "latency_ms": {"p50": 1.25, "p99": 3.5, "max": 9.0}, "loop_lag_ms": {"p50": 0.1, "p99": 0.4, "max": 2.0},
            "slow_consumers": {"lagging": slow, "closed": 1}, "memory_bytes": 67_108_864,
            "sources": [{"name": "feed", "state": "failed", "last_error": "HTTP 503"}],
        },
        "types": [{"type": "flight.departed", "events": 100, "per_second": 2.0}],
        "channels": [{"channel": "flight.*", "connections": 12}],
        "busiest": [connection(number) for number in range(busiest)],
        "slow": [connection(99, lagging=True, buffered_bytes=2048) for _ in range(slow)],
    }  # fmt: skip
    return msgspec.convert(plain, Top)


def drawn(width: int, height: int, **fields: Any) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height)
    away = fields.pop("away", None)
    console.print(picture(document(**fields), NOW, width, height, away=away))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_workers_are_told_apart() -> None:
    top = document()
    plain = {"number": 1, "pid": 7, "state": "ready", "connections": 1, "loop_lag_p99_ms": 6.5, "memory_bytes": 2**25}
    gone = {"number": 2, "last_end": "killed by signal 9"}
    top.status.workers = msgspec.convert([plain, gone], list[WorkerDocument])
    top.busiest[0].worker = 1
    console = Console(file=io.StringIO(), width=110, height=30)
    console.print(picture(top, NOW, 110, 30))
    assert isinstance(console.file, io.StringIO)
    shown = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert "memory 96.0 MiB in 2 processes" in shown[1]
    assert shown[3] == "workers  1: 1 client, loop lag p99 6.5 ms  2: gone"
    headings, first, second = next(
        shown[at : at + 3] for at in range(len(shown)) if shown[at].startswith("CONNECTION ")
    )
    assert (headings.split()[-1], first.split()[-1], second.split()[-1]) == ("WORKER", "1", "-")


def test_line_has_a_cell_for_each_heading() -> None:
    assert dict(zip(HEADINGS, line(document(), NOW).split("\t"), strict=True)) == {
        "time": "2026-01-16T14:30:15Z", "clients": "12", "events_per_second": "34", "deliveries_per_second": "1234",
        "latency_p50_ms": "1.25", "latency_p99_ms": "3.5", "loop_lag_p99_ms": "0.4", "lagging": "0",
        "closed_slow": "1", "memory_bytes": "67108864",
    }  # fmt: skip


def test_line_of_a_quiet_minute_has_a_dash() -> None:
    quiet = document()
    quiet.status.latency_ms = None
    assert line(quiet, NOW).split("\t")[4:6] == ["-", "-"]


def test_picture_tells_rates_tiers_busiest_and_trouble() -> None:
    text = "\n".join(drawn(120, 40, slow=1))
    for word in (
        "● live", "34 events/s", "1,234 deliveries/s", "latency p50 1.25 p99 3.5 max 9 ms",
        "1 lagging, 1 closed as slow",
        "public", "flight.departed", "flight.*", "client_0000000000000001", "source feed failed: HTTP 503",
        "slow consumers", "2.0 KiB",
    ):  # fmt: skip
        assert word in text


def test_daemon_that_is_away_is_told_and_the_last_picture_stays() -> None:
    text = "\n".join(drawn(120, 40, away="the daemon is not running"))
    assert "○ the daemon is not running; waiting for it" in text
    assert "34 events/s" in text


@pytest.mark.parametrize(("width", "height"), [(60, 24), (80, 24), (120, 30), (200, 60)])
def test_picture_fits_the_screen(width: int, height: int) -> None:
    lines = drawn(width, height, busiest=100, slow=10 if height > 30 else 0)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
