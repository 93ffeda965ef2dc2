"""What the local broker's commits, reads and retention cost on this machine. Prints figures; asserts no times.

PYTHONPATH=server python tests/load/local_broker.py [--synchronous normal|full] [--events 100000]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvloop
from swim_server.brokers.history_file import FileOptions
from swim_server.brokers.local import LocalBroker
from swim_server.brokers.retention import Retention
from swim_server.concurrency.clock import SystemClock
from swim_server.protocol.event_id import ZERO
from swim_server.protocol.events import Event, NewEvent

DATA = {
    "callsign": "BAW123",
    "flight_uid": 123456789,
    "dep": "EGLL",
    "arr": "KJFK",
    "latitude": 51.5,
    "longitude": -0.5,
    "altitude_ft": 12000,
    "groundspeed_kts": 300,
    "heading_deg": 270,
    "current_artcc": "ZNY",
}


class MovableClock(SystemClock):
    """The machine's time, which the benchmark can advance."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:  # type: ignore[override]  # the one of the machine is static
        return time.time_ns() // 1_000_000 + self.ahead_ms


def deliver(_: Sequence[Event]) -> None:
    """Ignore the event: nobody listens."""


def show(name: str, seconds: Sequence[float], events: int, total: float) -> None:
    ordered = sorted(seconds)
    p50, p99, longest = (ordered[min(int(len(ordered) * part), len(ordered) - 1)] * 1e3 for part in (0.5, 0.99, 1))
    print(f"{name:44} p50 {p50:7.2f} ms  p99 {p99:7.2f} ms  max {longest:7.2f} ms  {events / total:9,.0f} events/s")


def make(count: int, name: Callable[[int], str] | None = None) -> list[NewEvent]:
    return [
        NewEvent(type="flight.departed", data=DATA, event_id=name(number) if name else None) for number in range(count)
    ]


async def publish(broker: LocalBroker, title: str, calls: Sequence[Sequence[NewEvent]]) -> None:
    """Publish one call after the other."""
    seconds: list[float] = []
    for call in calls:
        started = time.perf_counter()
        await broker.publish(call)
        seconds.append(time.perf_counter() - started)
    show(title, seconds, sum(map(len, calls)), sum(seconds))


async def publish_at_once(broker: LocalBroker, publishers: int, events: int) -> None:
    """Publish concurrently, each publisher waiting for its answer before the next event."""
    seconds: list[float] = []
    event = make(1)

    async def one() -> None:
        for _ in range(events // publishers):
            started = time.perf_counter()
            await broker.publish(event)
            seconds.append(time.perf_counter() - started)

    commits, started = broker.counters.commits, time.perf_counter()
    await asyncio.gather(*(one() for _ in range(publishers)))
    total = time.perf_counter() - started
    commits = broker.counters.commits - commits
    show(f"{publishers} publishers at once, {commits} commits", seconds, len(seconds), total)


async def replay(broker: LocalBroker, **options: Any) -> None:
    started, after, count, longest = time.perf_counter(), ZERO, 0, 0.0
    while True:
        begun = time.perf_counter()
        page = await broker.read(after, **options)
        longest = max(longest, time.perf_counter() - begun)
        count, after = count + len(page.events), page.next_after
        if page.is_last:
            break
    rate = count / (time.perf_counter() - started)
    what = "events of two types" if options else "events"
    print(f"read {count:,} {what}: {rate:,.0f} events/s, longest page {longest * 1e3:.1f} ms")


async def prune(broker: LocalBroker, clock: MovableClock) -> None:
    """Make everything so far a day too old at once, while events continue to be published."""
    clock.ahead_ms += 2 * 86_400_000
    due, seconds = broker.counters.events_stored, list[float]()
    started = time.perf_counter()
    while broker.counters.events_pruned < due:
        begun = time.perf_counter()
        await broker.publish(make(1))
        seconds.append(time.perf_counter() - begun)
        await asyncio.sleep(0.001)
    total = time.perf_counter() - started
    show(f"while {due:,} events are pruned ({total:.1f} s)", seconds, len(seconds), total)


async def run(folder: Path, options: argparse.Namespace) -> None:
    clock = MovableClock()
    settings: dict[str, Any] = {
        "clock": clock,
        "retention": Retention(keep_ms=86_400_000, keep_positions_ms=900_000, max_bytes=1 << 33),
        "options": FileOptions(synchronous=options.synchronous),
    }
    broker = LocalBroker(folder / "history.db", **settings)
    await broker.open(deliver)
    print(f"synchronous = {options.synchronous}, an event of about 290 bytes")
    await publish(broker, "warm-up", [make(1)] * 500)
    await publish(broker, "one event a call", [make(1)] * 3000)
    names = (f"name {number}" for number in range(10_000_000))
    await publish(broker, "one event with an event_id a call", [make(1, lambda _: next(names)) for _ in range(3000)])
    await publish(broker, "100 events a call", [make(100)] * 200)
    await publish(broker, "1,000 events a call", [make(1000)] * max(options.events // 1000, 1))
    for publishers in (10, 100, 1000):
        await publish_at_once(broker, publishers, 20_000)
    await replay(broker)
    await replay(broker, types=["flight.departed", "flight.arrived"])
    span = await broker.span()
    print(f"history: {span.events:,} events in {span.size_bytes / 1e6:,.0f} MB")
    await broker.close()
    started = time.perf_counter()
    broker = LocalBroker(folder / "history.db", **settings)
    await broker.open(deliver)
    print(f"opened and read through in {(time.perf_counter() - started) * 1e3:.0f} ms")
    broker.counters.events_stored = span.events
    await prune(broker, clock)
    await broker.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--synchronous", choices=["normal", "full"], default="normal")
    parser.add_argument("--events", type=int, default=100_000, help="stored in large calls")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(run(Path(folder), options))


if __name__ == "__main__":
    main()
