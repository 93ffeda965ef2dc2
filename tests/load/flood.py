"""Floods: what one client, and fifty, can cost the others. Beside the plain library's server in the same run.

    python tests/load/flood.py [--seconds 3] [--kinds small-pings,bombs] [--clients 1,50] [--servers swim,library]
                               [--realtime] [--json]

Each kind meets a server of its own. Others are four clients that ask something forty times a second each; their
latency is measured without the flood, then during it, until the last question of that time is answered. Memory is
the server process's, before, at most, and two seconds after. The flood is sent by a process of lower priority on the
other core. With ``--realtime`` (for root) server and others go before everything else that the machine does, and the
flood before most of it: for a machine that has other work.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil
from support.floods import FLOODS
from support.live_daemon import LiveDaemon
from support.load_rig import pinned, python_peer, table
from support.tunnels import TEXT, UPGRADE, Tunnel, masked

OTHERS = 4
ASK_SECONDS = 0.025
QUIET_SECONDS = 1.0
SETTLE_SECONDS = 2.0
PATIENCE_SECONDS = 20.0
QUESTION = masked(TEXT, b'{"action":"ping"}')
BATCH = 500
FLOOD_NICENESS = 10
HASTY_FLOOD_NICENESS = -10
"""With ``--realtime``."""
REALTIME_PRIORITY = 10
CONFIG = """
[tiers.system]
messages_per_second = 1000
[tiers.public]
connections = 5000
connections_per_key = 5000
"""


class Other(Tunnel):
    """A well-behaved client: asks at a constant rate, and measures how long each answer takes."""

    def __init__(self, head: bytes, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(head, loop)
        self._asked: deque[float] = deque()
        self.latencies: list[float] = []

    async def ask_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end and not self.ended.done():
            self._asked.append(now)
            self.transport.write(QUESTION)
            await asyncio.sleep(ASK_SECONDS)

    @property
    def is_waiting(self) -> bool:
        return bool(self._asked)

    def take(self) -> list[float]:
        """Return the latencies since the last call; an unanswered request counts with its waiting time so far."""
        now = time.monotonic()
        found, self.latencies = self.latencies, []
        return found + [now - asked for asked in self._asked if now - asked > ASK_SECONDS]

    def _on_text(self, payload: bytes) -> None:
        super()._on_text(payload)
        if payload.startswith(b'{"type":"pong"') and self._asked:
            self.latencies.append(time.monotonic() - self._asked.popleft())


class Target:
    """A server under flood: its process, its port, and its keys."""

    def __init__(self, name: str, pid: int, port: int, good_key: str = "", flood_key: str = "") -> None:
        self.name = name
        self.port = port
        self.good_key = good_key
        self.flood_key = flood_key
        self._process = psutil.Process(pid)

    def run_before_all(self) -> None:
        """Give the server and this process, but not what they start, priority over the machine's other work."""
        for thread in (*self._process.threads(), *psutil.Process().threads()):
            policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(thread.id, policy, os.sched_param(REALTIME_PRIORITY))

    def rss(self) -> float:
        return float(self._process.memory_info().rss) / 2**20

    @contextmanager
    def watched(self) -> Iterator[list[float]]:
        """Return its peak memory, sampled every 50 ms."""
        most = [self.rss()]
        is_over = threading.Event()

        def look() -> None:
            while not is_over.wait(0.05):
                most[0] = max(most[0], self.rss())

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield most
        finally:
            is_over.set()
            thread.join()


@contextmanager
def our_daemon(history: int) -> Iterator[Target]:
    with tempfile.TemporaryDirectory(prefix="swim-flood-") as folder:
        daemon = LiveDaemon(Path(folder) / "home", config=CONFIG)
        try:
            daemon.start()
            assert daemon.process is not None
            for _ in range(history // BATCH):
                daemon.put(*[("tmi.issued", {"program_id": number, "reason": "x" * 200}) for number in range(BATCH)])
            pid = daemon.process.pid
            if words := pinned(0):
                subprocess.run([*words[:1], "-pc", words[-1], str(pid)], check=True, capture_output=True)
            yield Target("swim", pid, daemon.port, daemon.api_key("system"), daemon.api_key("public"))
        finally:
            daemon.kill()  # what a flood has left behind may keep it from a graceful end
            daemon.finish()


@contextmanager
def library_server(_history: int) -> Iterator[Target]:
    server = python_peer("plain library", "answering")
    try:
        yield Target(server.name, server.process.pid, server.port)
    finally:
        server.process.kill()
        server.end()


async def measure(target: Target, kind: str, clients: int, seconds: float, niceness: int) -> dict[str, Any]:
    """Run one flood: how the others fared before and during it, and its memory."""
    loop = asyncio.get_running_loop()
    head = UPGRADE.format(path="/api/swim/v1/ws", host="swim.example.org", key=target.good_key).encode()
    others = [Other(head, loop) for _ in range(OTHERS)]
    for other in others:
        await loop.create_connection(lambda each=other: each, "127.0.0.1", target.port)  # type: ignore[misc]  # mypy takes a default of a lambda for no type
    assert all(await asyncio.gather(*(other.opened for other in others))), f"{target.name} lets nobody in"
    try:
        await asyncio.gather(*(other.ask_for(min(QUIET_SECONDS, seconds)) for other in others))
        before, rss = quantiles(others), target.rss()
        with target.watched() as most:
            words = [*pinned(1), "nice", "-n", str(niceness), sys.executable, "-m", "support.floods", kind]
            flooder = await asyncio.create_subprocess_exec(
                *words,
                str(target.port),
                str(clients),
                f"{seconds:g}",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[1],
            )
            sending = asyncio.create_task(flooder.communicate(target.flood_key.encode() + b"\n"))
            while not sending.done():
                await asyncio.gather(*(other.ask_for(0.2) for other in others))
            sent = json.loads((await sending)[0])
            recovered = await all_answered(others)
            during = quantiles(others)
        await asyncio.sleep(min(SETTLE_SECONDS, seconds))
        lost = sum(other.ended.done() for other in others)
        return {
            "kind": kind,
            "server": target.name,
            "clients": clients,
            "before": before,
            "during": during,
            "rss_before": rss,
            "rss_most": most[0],
            "rss_after": target.rss(),
            "others_lost": lost,
            "recovered_seconds": recovered,
            **sent,
        }
    finally:
        for other in others:
            other.transport.abort()
        await asyncio.gather(*(other.ended for other in others))


async def all_answered(others: Sequence[Other]) -> float:
    """Wait until every request has been answered, or time is up; return the seconds it took."""
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE_SECONDS and any(
        other.is_waiting and not other.ended.done() for other in others
    ):
        await asyncio.sleep(0.02)
    return round(time.monotonic() - began, 2)


SERVERS = {"swim": our_daemon, "library": library_server}


def quantiles(others: Sequence[Other]) -> dict[str, float]:
    """Return milliseconds: p50, p99, and the longest."""
    found = sorted(latency for other in others for latency in other.take())
    assert found, "the others asked"
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(1e3 * found[min(len(found) - 1, int(len(found) * part))], 2) for name, part in at.items()}


def row(one: dict[str, Any]) -> list[object]:
    before, during = one["before"], one["during"]
    answers = ", ".join(f"{count} × {code}" for code, count in sorted(one["answers"].items())[:3])
    return [
        one["kind"],
        one["clients"],
        one["server"],
        f"{before['p50']:.1f} / {before['p99']:.1f} / {before['max']:.0f}",
        f"{during['p50']:.1f} / {during['p99']:.1f} / {during['max']:.0f}",
        f"{one['rss_before']:.0f}",
        f"+{one['rss_most'] - one['rss_before']:.0f}",
        f"+{one['rss_after'] - one['rss_before']:.0f}",
        f"{one['sent_bytes'] / 2**20:.1f}",
        one["connections"],
        answers,
        f"{one['recovered_seconds']:.1f}",
        one["others_lost"],
    ]


COLUMNS = (
    "flood",
    "clients",
    "server",
    "others before, ms: p50 / p99 / max",
    "during",
    "MiB before",
    "at most",
    "after",
    "MiB sent",
    "connections",
    "answered",
    "quiet again after, s",
    "others cut",
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--kinds", default=",".join(FLOODS))
    parser.add_argument("--clients", default="1,50")
    parser.add_argument("--servers", default=",".join(SERVERS))
    parser.add_argument("--realtime", action="store_true", help="let other work of the machine wait (root)")
    parser.add_argument("--json", action="store_true", dest="as_json", help="one JSON line a flood instead of a table")
    options = parser.parse_args()
    if not options.as_json:
        command = shlex.join(["python", "tests/load/flood.py", *sys.argv[1:]])
        table(f"{command}, {date.today()}", COLUMNS, [])
    for kind in options.kinds.split(","):
        for clients in map(int, options.clients.split(",")):
            for server in options.servers.split(","):
                with SERVERS[server](FLOODS[kind].history) as target:
                    if options.realtime:
                        target.run_before_all()
                    niceness = HASTY_FLOOD_NICENESS if options.realtime else FLOOD_NICENESS
                    found = asyncio.run(measure(target, kind, clients, options.seconds, niceness))
                line = "| " + " | ".join(map(str, row(found))) + " |"
                print(json.dumps(found) if options.as_json else line, flush=True)
    if not options.as_json:
        print("\n" + "\n".join(f"- {kind}: {FLOODS[kind].title}" for kind in options.kinds.split(",")))


if __name__ == "__main__":
    main()
