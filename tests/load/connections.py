"""The cost of a connection: memory and CPU while idle, and connects per second.

    python tests/load/connections.py [--connections 10000] [--rounds 5]

Connects are measured beside the library's asyncio server accepting without any authentication, in the same rounds;
our clients come with a key that is in the cache. Each idle client of ours is authenticated and subscribed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.load_rig import Daemon, Receiver, Server, compiled, median, python_peer, table, workshop

SUBSCRIBE = '{"action":"subscribe","channels":["flight.*"],"filters":{"airports":["KJFK"]}}'
WARM_UP = 200
IDLE_SECONDS = 10.0


def connects(program: Path, server: Server, connections: int) -> tuple[float, float, float]:
    """Measure connects per second, and CPU microseconds and KiB for each; without subscriptions, as the peer
    has none.
    """
    warm = Receiver(program, server, WARM_UP, answers=1)
    warm.opened()
    warm.stop()
    time.sleep(1)
    cpu, rss = server.cpu_seconds(), server.rss()
    receiver = Receiver(program, server, connections, answers=1)
    seconds, opened = receiver.opened()
    assert opened == connections, f"{server.name}: {opened} of {connections} connected"
    cpu, rss = server.cpu_seconds() - cpu, server.rss() - rss
    receiver.stop()
    return opened / seconds, 1e6 * cpu / opened, rss / opened / 1024


def idle(program: Path, daemon: Daemon, connections: int) -> tuple[float, float, int]:
    """Measure KiB per connection, percent of a core, and open connections, all subscribed."""
    rss = daemon.rss()
    receiver = Receiver(program, daemon, connections, messages=[SUBSCRIBE])
    _, opened = receiver.opened()
    grown = (daemon.rss() - rss) / opened / 1024
    time.sleep(2)
    cpu = daemon.cpu_seconds()
    time.sleep(IDLE_SECONDS)
    share = 100 * (daemon.cpu_seconds() - cpu) / IDLE_SECONDS
    receiver.stop()
    return grown, share, opened


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found: dict[str, list[tuple[float, float, float]]] = {}
    idles: list[tuple[float, float, int]] = []
    with workshop() as folder:
        program = compiled("receiver.c", folder)
        starts: list[Callable[[], Server]] = [
            lambda: python_peer("library's asyncio server", "broadcast"),
            lambda: Daemon(folder),
        ]
        for _ in range(options.rounds):
            for start in starts:
                server = start()
                try:
                    count = min(options.connections, 2000)
                    found.setdefault(server.name, []).append(connects(program, server, count))
                finally:
                    server.end()
            daemon = Daemon(folder)
            try:
                idles.append(idle(program, daemon, options.connections))
            finally:
                daemon.end()
    names = list(found)
    peer_rates = [rate for rate, _, _ in found[names[0]]]
    rows = [
        [name, *(median([each[part] for each in measured]) for part in range(3)),
         f"{median([each[0] / rate for each, rate in zip(measured, peer_rates, strict=True)]):.2f}"]
        for name, measured in found.items()
    ]  # fmt: skip
    columns = ["server", "connects/s", "CPU µs each", "KiB each", "of the library's"]
    table(f"Connecting, {options.rounds} rounds", columns, rows)
    row = [idles[0][2], *(median([each[part] for each in idles]) for part in range(2))]
    table("Idle, authenticated, subscribed", ["connections", "KiB each", "% of a core"], [row])


if __name__ == "__main__":
    main()
