"""Worker processes compared with one process, and two bare loops with one: deliveries, processor time, memory.

    python tests/load/workers.py [--connections 1000] [--rounds 20] [--workers 2] [--only one,workers]

The bare loops are ``send(2)`` in C and nothing else: what a second sender gains on this machine at all, where senders
and receivers share the cores. All four have their clients from the beginning, and are measured in turns, in slices of
about a second; nothing is pinned to a core, neither servers nor the two receivers of each. Ratios are taken within a
round, then the median of the rounds, with the middle half of them. Exit 1 when an event was lost or repeated.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from fanout import BURST, SIZE, SUBSCRIBE
from support.load_rig import Daemon, Receiver, Server, compiled, median, peer, table, workshop

ONE_LOOP, LOOPS, ONE, WORKERS = "one loop", "loops", "one", "workers"
DELIVERIES = {"single": 50_000, "burst": 3_000_000}
"""About how many deliveries are measured at a time."""
RECEIVERS = 2
Figures = dict[str, dict[str, float]]
"""Of one round: what was measured, by server."""


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process's living threads, by the scheduler: finer than a hundredth of a second."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


class WholeDaemon(Daemon):
    """The daemon with all its processes."""

    def __init__(self, folder: Path, workers: int) -> None:
        super().__init__(folder, arguments=["--workers", str(workers)], core=None)

    def processes(self) -> list[psutil.Process]:
        return [self.usage, *self.usage.children()]

    def cpu_seconds(self) -> float:
        return sum(cpu_seconds(process.pid) for process in self.processes())

    def rss(self) -> int:
        return sum(process.memory_info().rss for process in self.processes())


class Loops(Server):
    """Several bare loops that share the clients."""

    def __init__(self, loop: Path, count: int) -> None:
        self.loops = [peer(LOOPS, [str(loop)], core=None) for _ in range(count)]
        super().__init__(LOOPS, self.loops[0].process, self.loops[0].port)

    def send(self, count: int, size: int) -> None:
        for each in self.loops:
            each.send(count, size)

    def cpu_seconds(self) -> float:
        return sum(cpu_seconds(each.process.pid) for each in self.loops)

    def rss(self) -> int:
        return sum(each.rss() for each in self.loops)

    def end(self) -> None:
        for each in self.loops:
            each.end()


class Measured:
    """One server with its clients."""

    def __init__(self, name: str, server: Server, program: Path, connections: int) -> None:
        self.name = name
        self.server = server
        self.connections = connections
        before = server.rss()
        ports = [each.port for each in server.loops] if isinstance(server, Loops) else [server.port]
        self.receivers = [
            Receiver(
                program, server, connections // RECEIVERS, messages=[SUBSCRIBE], answers=None, core=None, ports=ports
            )
            for _ in range(RECEIVERS)
        ]
        opened = sum(each.opened()[1] for each in self.receivers)
        assert opened == connections, f"{name}: {opened} of {connections} connected"
        self.kib = (server.rss() - before) / 1024 / connections

    def receivers_cpu_seconds(self) -> float:
        return sum(cpu_seconds(each.pid) for each in self.receivers)

    def measure(self, kind: str, count: int, found: Figures) -> None:
        """Send ``count`` events together, again and again."""
        times = max(3, DELIVERIES[kind] // (count * self.connections))
        cpu, received, began = self.server.cpu_seconds(), self.receivers_cpu_seconds(), time.perf_counter()
        for _ in range(times):
            for each in self.receivers:
                each.expect(count)
            self.server.send(count, SIZE)
            for each in self.receivers:
                each.counted()
        seconds, sent = time.perf_counter() - began, times * count * self.connections
        found.setdefault(f"{kind}: deliveries/s", {})[self.name] = sent / seconds
        millions = sent / 1e6
        found.setdefault(f"{kind}: CPU s a million", {})[self.name] = (self.server.cpu_seconds() - cpu) / millions
        found.setdefault(f"{kind}: CPU s a million of the receivers", {})[self.name] = (
            self.receivers_cpu_seconds() - received
        ) / millions

    def end(self) -> bool:
        """Tell whether nothing was lost or repeated."""
        results = [each.stop() for each in self.receivers]
        self.server.end()
        return not any(each["lost"] or each["repeated"] or each["gone"] for each in results)


def start(folder: Path, workers: int) -> dict[str, Callable[[], Server]]:
    """Return how to start each server, in the order of measuring."""
    loop = compiled("send_loop.c", folder)
    return {
        ONE_LOOP: lambda: Loops(loop, 1),
        ONE: lambda: WholeDaemon(folder, 1),
        LOOPS: lambda: Loops(loop, workers),
        WORKERS: lambda: WholeDaemon(folder, workers),
    }


def run_rounds(servers: Sequence[Measured], rounds: int, kinds: set[str]) -> list[Figures]:
    """Measure all in turns; every other round the other way round."""
    found: list[Figures] = []
    for number in range(rounds + 1):
        figures: Figures = {}
        for each in servers if number % 2 else reversed(servers):
            if "single" in kinds:
                each.measure("single", 1, figures)
            if "burst" in kinds:
                each.measure("burst", BURST, figures)
        found.append(figures)
    return found[1:]  # the first one is for warming up


def show(title: str, names: Sequence[str], rounds: Sequence[Figures]) -> None:
    """Print the medians and the ratios."""

    def gain(each: dict[str, float], more: str, fewer: str) -> float | None:
        return each[more] / each[fewer] if {more, fewer} <= each.keys() else None

    def spread(values: Sequence[float | None]) -> str:
        known = sorted(value for value in values if value is not None)
        if not known:
            return "-"
        return f"{median(known):.2f} ({known[len(known) // 4]:.2f}-{known[(3 * len(known)) // 4]:.2f})"

    rows: list[list[object]] = []
    for what in rounds[0]:
        each = [figures[what] for figures in rounds]
        loops, ours = [gain(one, LOOPS, ONE_LOOP) for one in each], [gain(one, WORKERS, ONE) for one in each]
        of = [mine / theirs if mine and theirs else None for mine, theirs in zip(ours, loops, strict=True)]
        medians = [median([one[name] for one in each]) if name in names else "-" for name in ALL]
        rows.append([what, *medians, spread(loops), spread(ours), spread(of)])
    columns = ["", *ALL, "gain of the loops", "gain of workers", "of the loops' gain"]
    table(title, columns, rows)


ALL = (ONE_LOOP, LOOPS, ONE, WORKERS)


def main() -> int:
    """Measure all in each round, and print the medians with the middle half of the rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default=",".join(ALL), help="servers, by their names in the table")
    parser.add_argument("--what", default="single,burst")
    options = parser.parse_args()
    only, is_clean = options.only.split(","), True
    servers: list[Measured] = []
    with workshop() as folder:
        program = compiled("receiver.c", folder)
        try:
            for name, begin in start(folder, options.workers).items():
                if name in only:
                    servers.append(Measured(name, begin(), program, options.connections))
            rounds = run_rounds(servers, options.rounds, set(options.what.split(",")))
        finally:
            for each in servers:
                is_clean &= each.end()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    title = f"{options.connections:,} connections, {options.rounds} rounds, load average {load}"
    show(title, [each.name for each in servers], rounds)
    for each in servers:
        print(f"{each.name}: {each.kib:.2f} KiB a connection")
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
