"""Fan-out compared with peers, in the same rounds: one event at a time, bursts, and at a constant rate.

    python tests/load/fanout.py [--connections 1000,10000] [--rounds 5] [--only swim,bare] [--what single,burst,paced]

Peers: a bare loop of ``send(2)`` (the limit), the Sans-I/O protocol with ready frames and nothing else (bare), the
library's ``broadcast()``; where installed, node's ``ws`` and a NATS server's WebSocket listener. Ours is the
whole daemon: history, ids, filters, keys. The server has one core, the receiver the other. Ratios are taken within a
round, then the median of the rounds. Exit 1 when an event was lost or repeated.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.load_rig import (
    Daemon,
    Receiver,
    Server,
    compiled,
    median,
    nats_peer,
    node_peer,
    peer,
    python_peer,
    table,
    workshop,
)

SUBSCRIBE = '{"action":"subscribe","channels":["flight.*"]}'
SIZE = 262
BURST = 100
LIMIT, BARE, LIBRARY, SWIM = "send(2) loop", "bare", "broadcast()", "swim"
WHAT = ("single", "burst", "paced")
Measured = dict[tuple[str, int], dict[str, float]]
"""Of one round: by what was measured and connections, figures by server."""


def deliveries(server: Server, receiver: Receiver, connections: int, times: int, count: int) -> tuple[float, float]:
    """Return deliveries per second and CPU seconds per million, sending ``count`` events together, ``times`` times."""
    for is_warm in (False, True):
        repeats = times if is_warm else 2
        cpu, began = server.cpu_seconds(), time.perf_counter()
        for _ in range(repeats):
            receiver.expect(count)
            server.send(count, SIZE)
            receiver.counted()
        seconds, cpu = time.perf_counter() - began, server.cpu_seconds() - cpu
    return connections * times * count / seconds, 1e6 * cpu / (connections * times * count)


def pace(server: Server, receiver: Receiver, events: int, every: float, seconds: float) -> tuple[float, float]:
    """Send at a constant rate; return percent of a core. The receiver reports the latencies."""
    for _ in range(5):
        server.send(events, SIZE)
        time.sleep(every)
    receiver.reset()
    cpu, began = server.cpu_seconds(), time.perf_counter()
    times = int(seconds / every)
    for number in range(times):
        time.sleep(max(0.0, began + number * every - time.perf_counter()))
        server.send(events, SIZE)
    share = 100 * (server.cpu_seconds() - cpu) / (time.perf_counter() - began)
    time.sleep(0.5)
    return share, times * events


def measure(program: Path, server: Server, connections: int, what: set[str], seconds: float, found: Measured) -> bool:
    """Measure everything asked for on one server with this many connections; return whether nothing was lost or
    repeated.
    """
    receiver = Receiver(program, server, connections, messages=[SUBSCRIBE], answers=None)
    _, opened = receiver.opened()
    assert opened == connections, f"{server.name}: {opened} of {connections} connected"
    time.sleep(0.5)
    name = server.name
    if "single" in what:
        rate, cpu = deliveries(server, receiver, connections, max(10, 60_000 // connections), 1)
        found["single", connections][name], found["single CPU", connections][name] = rate, cpu
    if "burst" in what:
        rate, cpu = deliveries(server, receiver, connections, max(4, 20_000 // connections), BURST)
        found["burst", connections][name], found["burst CPU", connections][name] = rate, cpu
    if "paced" in what and connections <= 1000:
        share, _ = pace(server, receiver, 3, 0.1, seconds)
        found["paced CPU", connections][name] = share
    result = receiver.stop()
    if "paced" in what and connections <= 1000:
        found["paced p50", connections][name] = result["p50_ms"]
        found["paced p99", connections][name] = result["p99_ms"]
    return not (result["lost"] or result["repeated"] or result["gone"])


def calm(program: Path, daemon: Server, seconds: float, found: Measured) -> bool:
    """Measure 100 connections at 100 events per second."""
    receiver = Receiver(program, daemon, 100, messages=[SUBSCRIBE])
    receiver.opened()
    found["calm CPU", 100][daemon.name], _ = pace(daemon, receiver, 1, 0.01, seconds)
    result = receiver.stop()
    for quantile in ("p50", "p99"):
        found[f"calm {quantile}", 100][daemon.name] = result[f"{quantile}_ms"]
    return not (result["lost"] or result["repeated"])


def servers(folder: Path, only: set[str]) -> list[Callable[[], Server | None]]:
    """Return how to start each server, in the order of measuring."""
    loop = compiled("send_loop.c", folder)
    every: dict[str, Callable[[], Server | None]] = {
        LIMIT: lambda: peer(LIMIT, [str(loop)]),
        BARE: lambda: python_peer(BARE, "bare"),
        SWIM: lambda: Daemon(folder),
        LIBRARY: lambda: python_peer(LIBRARY, "broadcast"),
        "node ws": node_peer,
        "NATS": nats_peer,
    }
    return [start for name, start in every.items() if not only or name in only]


def show(rounds: list[Measured], sizes: list[int], what: set[str]) -> None:
    """Print the tables."""

    def mid(key: tuple[str, int], name: str) -> float | None:
        values = [each[key][name] for each in rounds if name in each.get(key, {})]
        return median(values) if values else None

    def ratio(key: tuple[str, int], name: str, other: str) -> str:
        pairs = [each[key][name] / each[key][other] for each in rounds if {name, other} <= each.get(key, {}).keys()]
        return f"{median(pairs):.2f} ({min(pairs):.2f}-{max(pairs):.2f})" if pairs else "-"

    for kind, title in (("single", "One event at a time"), ("burst", f"Bursts of {BURST} events")):
        for size in sizes if kind in what else ():
            names = list(rounds[0][kind, size])
            rows = [
                [name, mid((kind, size), name), mid((f"{kind} CPU", size), name),
                 *(ratio((kind, size), name, other) for other in (LIMIT, BARE, LIBRARY, "NATS"))]
                for name in names
            ]  # fmt: skip
            columns = [
                "server",
                "deliveries/s",
                "CPU s per million",
                "of the limit",
                "of bare",
                "x broadcast()",
                "x NATS",
            ]
            table(f"{title} of {SIZE} bytes to {size:,} connections, {len(rounds)} rounds", columns, rows)
    for size in [size for size in sizes if size <= 1000 and "paced" in what]:
        rows = [
            [name, *(mid((f"paced {part}", size), name) for part in ("CPU", "p50", "p99")),
             ratio(("paced p99", size), name, LIMIT)]
            for name in rounds[0]["paced p99", size]
        ]  # fmt: skip
        table(
            f"3 events every 100 ms to {size:,} connections",
            ["server", "% of a core", "p50 ms", "p99 ms", "p99 of the limit's"],
            rows,
        )
    if ("calm p99", 100) in rounds[0]:
        row = [mid((f"calm {part}", 100), SWIM) for part in ("CPU", "p50", "p99")]
        table("100 events/s to 100 connections", ["% of a core", "p50 ms", "p99 ms"], [row])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", default="1000,10000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="of each steady pace")
    parser.add_argument("--only", default="", help="servers, by their names")
    parser.add_argument("--what", default=",".join(WHAT))
    options = parser.parse_args()
    sizes = [int(size) for size in options.connections.split(",")]
    what = set(options.what.split(","))
    rounds: list[Measured] = []
    is_good = True
    with workshop() as folder:
        program = compiled("receiver.c", folder)
        for _ in range(options.rounds):
            found: Measured = defaultdict(dict)
            for start in servers(folder, {name for name in options.only.split(",") if name}):
                for size in sizes:
                    server = start()
                    if server is None:
                        continue
                    try:
                        is_good &= measure(program, server, size, what, options.seconds, found)
                        if isinstance(server, Daemon) and "paced" in what and size == min(sizes):
                            is_good &= calm(program, server, options.seconds, found)
                    finally:
                        server.end()
            rounds.append(found)
    show(rounds, sizes, what)
    print("\nnothing lost, nothing repeated" if is_good else "\nSOMETHING WAS LOST OR REPEATED")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
