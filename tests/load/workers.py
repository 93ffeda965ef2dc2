"""Worker processes compared with one process, in turns: one event at a time and bursts, processor time, memory.

    python tests/load/workers.py [--connections 1000] [--rounds 3] [--workers 2]

Every process may use all cores, and shares them with the receiver. Ratios are taken within a round, then the median of
the rounds. Exit 1 when an event was lost or repeated.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from fanout import SUBSCRIBE, deliveries
from support.load_rig import Daemon, Receiver, compiled, median, table, workshop


class WholeDaemon(Daemon):
    """The daemon with all its processes."""

    def __init__(self, folder: Path, workers: int) -> None:
        super().__init__(folder, arguments=["--workers", str(workers)])
        self.workers = workers
        for process in self.processes():
            process.cpu_affinity(list(range(os.cpu_count() or 1)))

    def processes(self) -> list[psutil.Process]:
        return [self.usage, *self.usage.children()]

    def cpu_seconds(self) -> float:
        times = [process.cpu_times() for process in self.processes()]
        return sum(each.user + each.system for each in times)

    def rss(self) -> int:
        return sum(process.memory_info().rss for process in self.processes())


def measure(program: Path, daemon: WholeDaemon, connections: int) -> tuple[dict[str, float], bool]:
    """Measure one daemon; return the figures, and whether nothing was lost or repeated."""
    before = daemon.rss()
    receiver = Receiver(program, daemon, connections, messages=[SUBSCRIBE], answers=None)
    _, opened = receiver.opened()
    assert opened == connections, f"{opened} of {connections} connected"
    found = {"KiB a connection": (daemon.rss() - before) / 1024 / connections}
    for name, count, times in (("single", 1, 200), ("burst", 100, 20)):
        found[f"{name}: deliveries/s"], found[f"{name}: CPU s a million"] = deliveries(
            daemon, receiver, connections, times, count
        )
    result = receiver.stop()
    return found, not (result["lost"] or result["repeated"] or result["gone"])


def main() -> int:
    """Measure both in each round, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    rounds: list[dict[int, dict[str, float]]] = []
    is_clean = True
    with workshop() as folder:
        program = compiled("receiver.c", folder)
        for _ in range(options.rounds):
            found: dict[int, dict[str, float]] = {}
            for workers in (1, options.workers):
                daemon = WholeDaemon(folder, workers)
                try:
                    found[workers], was_clean = measure(program, daemon, options.connections)
                    is_clean = is_clean and was_clean
                finally:
                    daemon.end()
            rounds.append(found)
    names = list(rounds[0][1])
    rows = [
        [
            name,
            f"{median([each[1][name] for each in rounds]):,.2f}",
            f"{median([each[options.workers][name] for each in rounds]):,.2f}",
            f"{median([each[options.workers][name] / each[1][name] for each in rounds]):.2f}",
        ]
        for name in names
    ]
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    title = f"{options.connections} connections, {options.rounds} rounds, load average {load}"
    table(title, ["", "1 process", f"{options.workers} workers", "ratio"], rows)
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
