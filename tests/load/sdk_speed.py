"""What each SDK takes: events a second from a burst, latency, memory of a mirror and of a long resume, CPU while idle.

    python tests/load/sdk_speed.py
    python tests/load/sdk_speed.py --clients java --only burst --rounds 5
    python tests/load/sdk_speed.py --clients python,python-sync --only burst --events 20000    # handlers, and a loop

The server is a thread that has all frames ready and writes them as fast as the client reads; the clients run one after
the other, in turns, once a round. Prints the medians as the table of ``sdk/README.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.sdk_burst import BurstServer
from swim_conformance import builds
from swim_conformance.catalogue import SDKS

PROGRAMS = Path(__file__).parent / "sdk_programs"
CLIENTS = ("python", "javascript", "java", "csharp")
WHAT = ("burst", "latency", "mirror", "resume", "idle")
BURST_EVENTS, RESUME_EVENTS, FLIGHTS, LATENCY_EVENTS = 200_000, 100_000, 2_000, 10_000
IDLE_SECONDS = 60.0
WAIT_SECONDS = 300.0
Figures = dict[tuple[str, str], list[float]]


def main() -> int:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", default=",".join(CLIENTS))
    parser.add_argument("--only", default=",".join(WHAT), help="comma-separated measurements")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=BURST_EVENTS, help="events of a burst")
    arguments = parser.parse_args()
    measures: dict[str, Callable[[str], dict[str, float]]] = {
        **MEASURES,
        "burst": partial(burst, events=arguments.events),
    }
    figures: Figures = {}
    clients = arguments.clients.split(",")
    for number in range(arguments.rounds):
        for what in arguments.only.split(","):
            if what == "idle" and number:
                continue
            for client in clients:
                for unit, value in measures[what](client).items():
                    figures.setdefault((unit, client), []).append(value)
                    print(f"round {number + 1}: {client}: {unit}: {value:,.2f}", file=sys.stderr)
    print("\n".join(table(figures, clients)))
    print(f"load average {os.getloadavg()}", file=sys.stderr)
    return 0


def table(figures: Figures, clients: Sequence[str]) -> list[str]:
    """Print the medians, with minimum and maximum."""
    lines = [f"| | {' | '.join(clients)} |", f"| --- | {' | '.join('---' for _ in clients)} |"]
    for unit in dict.fromkeys(unit for unit, _ in figures):
        cells = [shown(figures.get((unit, client), [])) for client in clients]
        lines.append(f"| {unit} | {' | '.join(cells)} |")
    return lines


def shown(values: Sequence[float]) -> str:
    """Format one cell."""
    if not values:
        return ""
    form = "{:,.0f}" if statistics.median(values) >= 100 else "{:,.2f}"
    middle = form.format(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({form.format(min(values))} to {form.format(max(values))})"


class Program:
    """A client's process: its output, its memory and its CPU."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.psutil = psutil.Process(process.pid)
        self.told: list[dict[str, Any]] = []
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.told.append(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait(self, name: str, count: int = 1) -> dict[str, Any]:
        """Wait until it has reported something this often."""
        with self._news:
            if not self._news.wait_for(lambda: len(self._of(name)) >= count, WAIT_SECONDS):
                raise TimeoutError(f"{name}: the client told {self.told[-3:]}")
            return self._of(name)[count - 1]

    def _of(self, name: str) -> list[dict[str, Any]]:
        return [one for one in self.told if name in one]

    @property
    def memory_mb(self) -> float:
        return float(self.psutil.memory_info().rss) / 1e6

    @property
    def cpu_seconds(self) -> float:
        times = self.psutil.cpu_times()
        return float(times.user + times.system)


@contextmanager
def running(client: str, mode: str, url: str, count: int) -> Iterator[Program]:
    """Run a client's program until the block ends."""
    words, environ = command(client, mode, url, count)
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
    try:
        yield Program(process)
    finally:
        process.kill()
        process.wait()


def command(client: str, mode: str, url: str, count: int) -> tuple[list[str], dict[str, str]]:
    """Return the words that start a client, and its environment."""
    given, environ = [mode, url, str(count)], dict(os.environ)
    if client in ("python", "python-sync"):
        return [sys.executable, str(PROGRAMS / "speed.py"), *given, *client.split("-")[1:]], environ
    if client == "javascript":
        words = list(SDKS["javascript"]())[:-1]
        return [*words, str(PROGRAMS / "speed.mjs"), *given, str(builds.javascript() / "dist/index.js")], environ
    if client == "java":
        path = builds.java(PROGRAMS / "Speed.java")
        return ["java", "-Xshare:auto", "-cp", path, "Speed", *given], environ
    assembly, dotnet, libraries = builds.csharp(sys.executable, PROGRAMS / "Speed.cs")
    return [str(dotnet), str(assembly), *given], environ | {"LD_LIBRARY_PATH": str(libraries)}


def burst(client: str, *, events: int = BURST_EVENTS) -> dict[str, float]:
    """Let it receive three bursts."""
    with BurstServer(events=events) as server, running(client, "burst", server.url, events) as program:
        program.wait("subscribed")
        figures = {}
        for number, name in enumerate(("first", "second", "third"), 1):
            before = program.cpu_seconds
            server.burst()
            seconds = program.wait("seconds", number)["seconds"]
            figures[f"events/s of a {name} burst of {events:,}"] = events / seconds
            figures[f"events per second of CPU, {name} burst"] = events / (program.cpu_seconds - before)
    return figures


def latency(client: str) -> dict[str, float]:
    """Send 1,000 events per second; return how late their handlers were called, in milliseconds."""
    with BurstServer() as server, running(client, "latency", server.url, LATENCY_EVENTS) as program:
        program.wait("subscribed")
        server.trickle(LATENCY_EVENTS, per_second=1_000)
        late = sorted(one / 1000 for one in program.wait("seconds")["latencies"])
    return {
        "p50 of handler latency at 1,000 events/s, ms": late[len(late) // 2],
        "p99 of handler latency at 1,000 events/s, ms": late[len(late) * 99 // 100],
    }


def mirror(client: str) -> dict[str, float]:
    """Mirror flights; return how much more memory the process has than one without state."""
    with BurstServer() as server, running(client, "burst", server.url, 1) as program:
        program.wait("subscribed")
        time.sleep(1)
        bare = program.memory_mb
    with BurstServer(flights=FLIGHTS) as server, running(client, "mirror", server.url, FLIGHTS) as program:
        program.wait("mirrored")
        time.sleep(1)
        return {f"MB for {FLIGHTS:,} mirrored flights, of the process": program.memory_mb - bare}


def resume(client: str) -> dict[str, float]:
    """Send live events, then resume as many twice; return the peak memory of each. All must arrive, each once."""
    count = 3 * RESUME_EVENTS
    with (
        BurstServer(events=RESUME_EVENTS, has_history=True) as server,
        running(client, "resume", server.url, count) as program,
    ):
        program.wait("subscribed")
        server.burst()
        peaks = [peak_until(program, partial(server.finished, 1))]
        for number in (2, 3):
            server.burst_while_away()
            peaks.append(peak_until(program, partial(server.finished, number)))
        program.wait("seconds")
    return {
        f"peak MB while {RESUME_EVENTS:,} arrive live": peaks[0],
        f"peak MB while {RESUME_EVENTS:,} are resumed": peaks[1],
        f"peak MB while {RESUME_EVENTS:,} are resumed again": peaks[2],
    }


def peak_until(program: Program, is_over: Callable[[], bool]) -> float:
    """Sample the memory."""
    peak, deadline = 0.0, time.monotonic() + WAIT_SECONDS
    while not is_over() and time.monotonic() < deadline:
        peak = max(peak, program.memory_mb)
        time.sleep(0.02)
    return peak


def idle(client: str) -> dict[str, float]:
    """Leave it alone for a minute, except for heartbeats."""
    with BurstServer() as server, running(client, "burst", server.url, 1) as program:
        program.wait("subscribed")
        time.sleep(2)
        before = program.cpu_seconds
        server.heartbeats(IDLE_SECONDS, every_seconds=30.0)
        return {"CPU seconds of an idle minute": program.cpu_seconds - before}


MEASURES: dict[str, Callable[[str], dict[str, float]]] = {
    "burst": burst, "latency": latency, "mirror": mirror, "resume": resume, "idle": idle,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
