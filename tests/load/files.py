"""Events through the drop folder and through the event file of a real daemon: how many a second, lost, repeated.

    python tests/load/files.py
    python tests/load/files.py --events 10000 --only drop
    python tests/load/files.py --events 1000000 --only growing

The writer of the event file reads it whole, appends a thousand events, and renames its copy over it. ``file``: it does
so when what it wrote before has been taken. ``racing``: without a pause, so that nearly every taking falls between its
reading and its renaming, and it brings back all that was taken: the work grows with the square of the events, and
only what is lost and repeated says something. ``growing``: a writer keeps open the file that is taken from it, and
appends one event after the other; the CPU of each of the daemon's threads for each tenth of them tells whether reading
costs what is new, or what is there (``event-file``: reading; ``history-writer``: storing, and looking for each event's
name among all of the day).
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "server"))

from support.daemon import Daemon, running_daemon

KINDS = ("drop", "file", "racing", "growing")
BATCH = 1000
PATIENCE_SECONDS = 600
SHOWN_SECONDS = 0.05
"""A thread that used less in a tenth is left out."""
NAMES_OF_THREADS = """
import ctypes, threading
plain = threading.Thread._bootstrap_inner
def named(thread):
    ctypes.CDLL(None).prctl(15, thread.name.encode()[:15], 0, 0, 0)
    plain(thread)
threading.Thread._bootstrap_inner = named
"""
"""A ``sitecustomize.py`` that tells the kernel what Python calls its threads."""
GROWING_LOOK_SECONDS = 1.0
"""Between two questions for how far it is: on a busy machine these would be counted with the reading."""


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--only", choices=KINDS)
    arguments = parser.parse_args()
    print(f"{'':<12}{'events':>9}{'seconds':>9}{'events/s':>10}{'daemon CPU s':>14}{'lost':>7}{'repeated':>10}")
    for kind in KINDS:
        if arguments.only in (None, kind):
            measure(kind, arguments.events if kind != "racing" else arguments.events // 10)


def measure(kind: str, count: int) -> None:
    """Give a daemon this many events, as fast as a provider can write them; check what is in its history."""
    with tempfile.TemporaryDirectory(prefix="swim-files-") as folder:
        is_drop = kind == "drop"
        target = Path(folder) / ("in" if is_drop else "events.json")
        if is_drop:
            target.mkdir()
        sources = [f"{'drop' if is_drop else 'file'}:{target}"]
        (Path(folder) / "sitecustomize.py").write_text(NAMES_OF_THREADS)
        path = os.pathsep.join([folder, *sys.path[:3]])
        with running_daemon(Path(folder) / "h", sources=sources, environ={"PYTHONPATH": path}) as daemon:
            began, cpu_began = time.perf_counter(), cpu_seconds(daemon)
            tenths = grow(daemon, target, count) if kind == "growing" else []
            for batch in batches(0 if tenths else count):
                if kind == "drop":
                    drop(target, batch)
                    continue
                while kind == "file" and target.exists():
                    time.sleep(0.0005)
                append(target, batch)
            wait(daemon, count)
            seconds, cpu = time.perf_counter() - began, cpu_seconds(daemon) - cpu_began
            found = Counter(numbers(daemon))
        lost = count - len(found)
        repeated = found.total() - len(found)
        print(f"{kind:<12}{count:>9,}{seconds:>9.2f}{count / seconds:>10,.0f}{cpu:>14.2f}{lost:>7}{repeated:>10}")
        if tenths:
            for name in sorted({name for tenth in tenths for name in tenth}):
                print(f"    {name:<16}{' '.join(f'{tenth.get(name, 0.0):6.2f}' for tenth in tenths)}")


def batches(count: int) -> Iterator[list[dict[str, Any]]]:
    """Yield events as the former provider writes them."""
    for first in range(0, count, BATCH):
        yield [
            {
                "type": "flight.departed",
                "data": {
                    "callsign": f"T{number}",
                    "flight_uid": number,
                    "dep": "KJFK",
                    "arr": "EGLL",
                    "off_utc": "2026-01-16T14:30:15Z",
                    "latitude": 40.64,
                    "longitude": -73.78,
                },
                "_received_at": "2026-01-16T14:30:15Z",
            }
            for number in range(first, min(first + BATCH, count))
        ]


def drop(folder: Path, batch: list[dict[str, Any]]) -> None:
    """Provide a file of JSON lines: written under another name, renamed into the folder."""
    written = folder / ".writing"
    written.write_text("".join(json.dumps(event) + "\n" for event in batch))
    written.rename(folder / f"{batch[0]['data']['flight_uid']:09}.jsonl")


def append(path: Path, batch: list[dict[str, Any]]) -> None:
    """Append as the former provider does: read everything, append, write a temporary file, rename it over."""
    try:
        before = json.loads(path.read_text())
    except FileNotFoundError:
        before = []
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    temporary.write_text(json.dumps(before + batch))
    temporary.rename(path)


def grow(daemon: Daemon, path: Path, count: int) -> list[dict[str, float]]:
    """Append events one by one to a file that stays open; return the cost of each tenth to each of its threads."""
    costs: list[dict[str, float]] = []
    with path.open("ab", buffering=0) as file:
        before, written = cpu_by_thread(daemon), 0
        for batch in batches(count):
            for event in batch:
                file.write(json.dumps(event).encode() + b"\n")
            written += len(batch)
            if written >= count * (len(costs) + 1) // 10:
                wait(daemon, written, every_seconds=GROWING_LOOK_SECONDS)
                now = cpu_by_thread(daemon)
                used = {name: seconds - before[name] for name, seconds in now.items()}
                costs.append({name: seconds for name, seconds in used.items() if seconds > SHOWN_SECONDS})
                before = now
    return costs


def wait(daemon: Daemon, count: int, *, every_seconds: float = 0.02) -> None:
    """Wait until the source has published all of them, or nothing more arrives. Each look costs the daemon a little."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while daemon.status()["sources"][0]["events"] < count:
        if time.monotonic() > deadline:
            print(f"    after {PATIENCE_SECONDS} s: {daemon.status()['sources'][0]}")
            return
        time.sleep(every_seconds)


def numbers(daemon: Daemon) -> Iterator[int]:
    """Return the numbers of all events in history."""
    history = sqlite3.connect(f"{(daemon.home / 'history.db').as_uri()}?mode=ro", uri=True)
    for (wire,) in history.execute("SELECT wire FROM events"):
        yield json.loads(wire)["data"]["flight_uid"]
    history.close()


def cpu_seconds(daemon: Daemon) -> float:
    """Return the CPU time of the daemon's process."""
    assert daemon.process is not None
    return _read_cpu(Path(f"/proc/{daemon.process.pid}/stat"))[1]


def cpu_by_thread(daemon: Daemon) -> defaultdict[str, float]:
    """Return the CPU time by thread name."""
    assert daemon.process is not None
    used: defaultdict[str, float] = defaultdict(float)
    for thread in Path(f"/proc/{daemon.process.pid}/task").iterdir():
        with suppress(OSError):  # one that has just ended
            name, seconds = _read_cpu(thread / "stat")
            used[name] += seconds
    return used


def _read_cpu(stat: Path) -> tuple[str, float]:
    head, _, rest = stat.read_text().rpartition(") ")
    fields = rest.split()
    return head.partition("(")[2], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
