"""How long an event takes from the rename of the event file to its publication, and what waiting for it costs.

Prints percentiles in milliseconds, from the moment before the writer's rename (monotonic clock, another process) to
the call of ``publish`` and to its answer (stored), and the reader's CPU time. Asserts nothing.

    PYTHONPATH=server python tests/load/event_file_latency.py [--events 500] [--pause 0.02] [--noise 0] [--poll]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop
from swim_server.brokers.broker import Published
from swim_server.brokers.local import LocalBroker
from swim_server.brokers.retention import Retention
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.events import Event, NewEvent
from swim_server.sources.event_file.source import EventFileSource

IDLE_SECONDS = 5.0


def write(path: Path, events: int, pause: float) -> None:
    """Write as the provider: one event per file, renamed into place."""
    temporary = path.with_name(f"{path.name}.tmp")
    for number in range(events):
        time.sleep(pause)
        while path.exists():  # not to write over what was not taken yet
            time.sleep(0.0005)
        data = {"number": number, "renamed_ns": time.monotonic_ns()}
        temporary.write_text(json.dumps([{"type": "flight.updated", "data": data, "_received_at": time.time()}]))
        temporary.rename(path)


def make_noise(folder: Path, files_per_second: int) -> None:
    """Write to the same folder as other programs do."""
    while True:
        for number in range(max(files_per_second // 50, 1)):
            noise = folder / f"noise{number}"
            noise.write_text("x")
            noise.unlink()
        time.sleep(0.02)


def percentiles(name: str, nanoseconds: Sequence[int]) -> str:
    ordered = sorted(value / 1e6 for value in nanoseconds)
    at = [ordered[min(int(len(ordered) * part), len(ordered) - 1)] for part in (0.5, 0.9, 0.99, 1)]
    return f"{name}: p50 {at[0]:.2f} ms, p90 {at[1]:.2f} ms, p99 {at[2]:.2f} ms, max {at[3]:.2f} ms"


async def measure(folder: Path, options: argparse.Namespace) -> None:
    path = folder / "swim_ws_events.json"
    called: list[int] = []
    stored: list[int] = []
    broker = LocalBroker(
        folder / "history.db",
        clock=SYSTEM_CLOCK,
        retention=Retention(keep_ms=86_400_000, keep_positions_ms=900_000, max_bytes=1 << 31),
    )

    def deliver(_: Sequence[Event]) -> None:
        """Nobody listens."""

    async def publish(events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        now = time.monotonic_ns()
        called.extend(now - event.data["renamed_ns"] for event in events)
        published = await broker.publish(events)
        now = time.monotonic_ns()
        stored.extend(now - event.data["renamed_ns"] for event in events)
        return published

    await broker.open(deliver)
    source = EventFileSource("file", path, interval_seconds=0.1, catalogue=Catalogue(), is_watching=not options.poll)
    running = asyncio.create_task(source.run(publish))
    await asyncio.sleep(1)
    started, cpu = time.monotonic(), time.process_time()
    await asyncio.sleep(IDLE_SECONDS)
    idle = (time.process_time() - cpu) / (time.monotonic() - started)
    started, cpu = time.monotonic(), time.process_time()
    writer = subprocess.Popen([sys.executable, __file__, "--write", str(path), *common(options)])
    while writer.poll() is None or path.exists():
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    busy = (time.process_time() - cpu) / (time.monotonic() - started)
    running.cancel()
    await asyncio.wait([running])
    await broker.close()
    print(percentiles("rename to publish", called))
    print(percentiles("rename to stored ", stored))
    print(f"events {source.status.events}, CPU while nothing comes {idle:.1%} of a core, while they come {busy:.1%}")


def common(options: argparse.Namespace) -> list[str]:
    return ["--events", str(options.events), "--pause", str(options.pause), "--noise", str(options.noise)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between two events")
    parser.add_argument("--noise", type=int, default=0, help="files that others make in the folder, per second")
    parser.add_argument("--poll", action="store_true", help="without file system notification")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--make-noise", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write is not None:
        write(options.write, options.events, options.pause)
    elif options.make_noise is not None:
        make_noise(options.make_noise, options.noise)
    else:
        with tempfile.TemporaryDirectory() as folder:
            arguments = [sys.executable, __file__, "--make-noise", folder, *common(options)]
            noise = subprocess.Popen(arguments) if options.noise else None
            try:
                uvloop.run(measure(Path(folder), options))
            finally:
                if noise is not None:
                    noise.kill()
                    noise.wait()


if __name__ == "__main__":
    main()
