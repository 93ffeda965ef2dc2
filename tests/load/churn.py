"""Memory of a long run: a simulator's traffic to clients that come, subscribe, stay for a while and leave.

    python tests/load/churn.py [--seconds 3600] [--clients 60] [--stay 10] [--every 60]

Prints the daemon's memory at each step (``--every`` seconds), how many connections there have been, and how many
events came.
Exits 1 if the last step has more than ``--at-most`` MiB.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shlex
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil
from support.live_daemon import LiveDaemon
from support.load_rig import table
from support.resuming_client import ResumingClient

CHANNELS = (["*"], ["flight.*"], ["flight.departed", "flight.arrived"], ["tmi.*"])


class Churn:
    """Clients that come and go."""

    def __init__(self, url: str, key: str, stay: float, rng: random.Random) -> None:
        self.connections = self.events = 0
        self._url = url
        self._key = key
        self._stay = stay
        self._rng = rng

    def _on_event(self, _wire: bytes) -> None:
        self.events += 1

    async def come_and_go(self) -> None:
        """Be one client after the other."""
        while True:
            client = await ResumingClient.open(self._url, self._key, self._on_event)
            client.subscribe(channels=self._rng.choice(CHANNELS))
            self.connections += 1
            await asyncio.sleep(self._rng.uniform(0, 2 * self._stay))
            client.hang_up()


async def run(daemon: LiveDaemon, options: argparse.Namespace) -> list[list[object]]:
    """Return a row for each step: seconds, MiB, connections, events."""
    assert daemon.process is not None
    usage = psutil.Process(daemon.process.pid)
    churn = Churn(daemon.url, daemon.api_key("system"), options.stay, random.Random(options.seed))
    tasks = [asyncio.create_task(churn.come_and_go()) for _ in range(options.clients)]
    rows: list[list[object]] = []
    began = time.monotonic()
    while time.monotonic() - began < options.seconds:
        await asyncio.sleep(min(options.every, options.seconds))
        ended = [task for task in tasks if task.done()]
        assert not ended, f"a client ended: {ended[0].exception()}"
        mebibytes = usage.memory_info().rss / 2**20
        rows.append([round(time.monotonic() - began), f"{mebibytes:.1f}", churn.connections, churn.events])
        print(*rows[-1], flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--clients", type=int, default=60)
    parser.add_argument("--stay", type=float, default=10.0, help="mean seconds that a client stays")
    parser.add_argument("--every", type=float, default=300.0, help="seconds between two looks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-most", type=float, default=110.0, help="MiB at the end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="swim-churn-") as name:
        daemon = LiveDaemon(Path(name) / "home", sources=("simulator",))
        try:
            daemon.start()
            rows = asyncio.run(run(daemon, options))
        finally:
            daemon.kill()
            daemon.finish()
    title = f"{shlex.join(['python', 'tests/load/churn.py', *sys.argv[1:]])}, {date.today()}"
    table(title, ("seconds", "memory, MiB", "connections so far", "events received"), rows)
    sys.exit(0 if float(str(rows[-1][1])) <= options.at_most else 1)


if __name__ == "__main__":
    main()
