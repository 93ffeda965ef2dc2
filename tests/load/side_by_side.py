"""Two checkouts' daemons in turns, beside the loop of ``send(2)``: what one event costs, latency, memory.

    python tests/load/side_by_side.py before=../other-checkout now=. [--connections 1000] [--rounds 3] [--what single]

``single``: one event at a time, to all connections; ``burst``: 100 together; ``calm``: 100 events a second; ``paced``:
3 events every 100 ms. Processor time is what the kernel gave all threads of the server. Both run with this Python and
its packages, so they must not need others. Exit 1 when an event was lost or repeated.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.load_rig import Daemon, Receiver, Server, compiled, median, peer, table, workshop

SUBSCRIBE = '{"action":"subscribe","channels":["flight.*"]}'
SIZE = 262
LOOP = "send(2) loop"
PACES = {"calm": (1, 0.01), "paced": (3, 0.1)}
"""Events at a time, and the seconds between two times."""
Figures = dict[str, float]


def cpu_us(server: Server) -> float:
    """Return the processor time of all threads, to the nanosecond."""
    folder = Path("/proc") / str(server.process.pid) / "task"
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in folder.iterdir()) / 1e3


def at_once(server: Server, receiver: Receiver, events: int, times: int) -> Figures:
    """Send so many events together, again when all have arrived."""
    for repeats in (max(5, times // 10), times):
        cpu, began = cpu_us(server), time.perf_counter()
        for _ in range(repeats):
            receiver.expect(events)
            server.send(events, SIZE)
            receiver.counted()
        seconds, cpu = time.perf_counter() - began, cpu_us(server) - cpu
    sent = times * events
    return {"CPU µs an event": cpu / sent, "wall µs an event": 1e6 * seconds / sent}


def at_a_pace(server: Server, receiver: Receiver, events: int, every: float, seconds: float) -> Figures:
    """Send at a constant rate; the receiver reports the latencies."""
    for _ in range(10):
        server.send(events, SIZE)
        time.sleep(every)
    receiver.reset()
    cpu, began = cpu_us(server), time.perf_counter()
    for number in range(int(seconds / every)):
        time.sleep(max(0.0, began + number * every - time.perf_counter()))
        server.send(events, SIZE)
    share = (cpu_us(server) - cpu) / 1e4 / (time.perf_counter() - began)
    time.sleep(0.3)
    return {"% of a core": share}


def measure(program: Path, server: Server, options: argparse.Namespace) -> tuple[Figures, bool]:
    """Measure one server; return the figures, and whether nothing was lost or repeated."""
    time.sleep(1.5)
    before = server.rss()
    receiver = Receiver(program, server, options.connections, messages=[SUBSCRIBE], answers=None)
    _, opened = receiver.opened()
    assert opened == options.connections, f"{opened} of {options.connections} connected"
    time.sleep(0.7)
    kib = (server.rss() - before) / 1024
    found = {"MiB at the start": before / 2**20, "KiB a connection": kib / options.connections}
    if options.what in PACES:
        found |= at_a_pace(server, receiver, *PACES[options.what], options.seconds)
    else:
        found |= at_once(server, receiver, 100 if options.what == "burst" else 1, options.times)
    result = receiver.stop()
    if options.what in PACES:
        found |= {f"{quantile} ms": result[f"{quantile}_ms"] for quantile in ("p50", "p99")}
    return found, not (result["lost"] or result["repeated"] or result["gone"])


def show(rounds: dict[str, list[Figures]], title: str) -> None:
    """Print the medians, with the smallest and the largest."""
    columns = list(next(iter(rounds.values()))[0])
    rows = []
    for name, found in rounds.items():
        values = [[each[column] for each in found] for column in columns]
        rows.append([name, *(f"{median(each):,.2f} ({min(each):,.2f} to {max(each):,.2f})" for each in values)])
    table(title, ["", *columns], rows)


def main() -> int:
    """Measure the loop and each checkout in each round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="+", metavar="NAME=CHECKOUT")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--times", type=int, default=200, help="of sending, where nothing is paced")
    parser.add_argument("--seconds", type=float, default=5, help="of a steady pace")
    parser.add_argument("--what", choices=["single", "burst", *PACES], default="single")
    options = parser.parse_args()
    trees = {name: Path(path).resolve() for name, _, path in (each.partition("=") for each in options.trees)}
    rounds: dict[str, list[Figures]] = defaultdict(list)
    is_good = True
    with workshop() as folder:
        program, loop = compiled("receiver.c", folder), compiled("send_loop.c", folder)
        starts: dict[str, Callable[[], Server]] = {LOOP: lambda: peer(LOOP, [str(loop)])}
        for name, tree in trees.items():
            starts[name] = partial(Daemon, folder, tree=tree)
        for _ in range(options.rounds):
            for name, start in starts.items():
                server = start()
                try:
                    found, was_good = measure(program, server, options)
                finally:
                    server.end()
                rounds[name].append(found)
                is_good &= was_good
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    show(rounds, f"{options.what}, {options.connections:,} connections, {options.rounds} rounds, load average {load}")
    print("\nnothing lost, nothing repeated" if is_good else "\nSOMETHING WAS LOST OR REPEATED")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
