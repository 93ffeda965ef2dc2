"""What a Redis server adds to publishing, compared with the local broker. Prints figures; asserts no times.

PYTHONPATH=server:tests python tests/load/redis_broker.py [--rounds 3] [--seconds 2]
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop
from support.redis_server import RedisServer, redis_server
from swim_server.brokers.broker import Broker
from swim_server.brokers.local import LocalBroker
from swim_server.brokers.redis_stream.broker import RedisBroker
from swim_server.brokers.redis_stream.server import ServerAddress
from swim_server.brokers.retention import Retention
from swim_server.protocol.events import Event, NewEvent

DATA = {
    "callsign": "BAW123", "flight_uid": 123456789, "dep": "EGLL", "arr": "KJFK", "latitude": 51.5, "longitude": -0.5,
    "altitude_ft": 12000, "groundspeed_kts": 300, "heading_deg": 270, "current_artcc": "ZNY",
}  # fmt: skip
KEEP = Retention(keep_ms=86_400_000, keep_positions_ms=900_000, max_bytes=1 << 31)
PAUSE_SECONDS = 0.01


def ignore(_: Sequence[Event]) -> None:
    """Ignore the event: nobody listens."""


async def receive_latency(publisher: Broker, receiver: Broker, open_both: bool, seconds: float) -> list[float]:
    """Publish one event after another; measure from the call until the receiver delivers it."""
    waiters: dict[int, tuple[float, asyncio.Future[float]]] = {}

    def deliver(events: Sequence[Event]) -> None:
        for event in events:
            started, waiter = waiters.pop(event.data["number"], (0.0, None))
            if waiter is not None:
                waiter.set_result(time.perf_counter() - started)

    await receiver.open(deliver)
    if open_both:
        await publisher.open(ignore)
    found: list[float] = []
    deadline, number = time.perf_counter() + seconds, 0
    while time.perf_counter() < deadline:
        number += 1
        waiter: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        waiters[number] = time.perf_counter(), waiter
        publishing = asyncio.create_task(
            publisher.publish([NewEvent(type="flight.departed", data={**DATA, "number": number})])
        )
        found.append(await waiter)
        await publishing
        await asyncio.sleep(PAUSE_SECONDS)
    await publisher.close()
    await receiver.close()
    return found


async def throughput(broker: Broker, batch: int, publishers: int, seconds: float) -> tuple[float, float]:
    """Count acknowledged events per second, and this process's CPU microseconds for each."""
    await broker.open(ignore)
    events = [NewEvent(type="flight.departed", data=DATA)] * batch
    deadline, count = time.perf_counter() + seconds, 0

    async def publish() -> None:
        nonlocal count
        while time.perf_counter() < deadline:
            await broker.publish(events)
            count += batch

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(publish() for _ in range(publishers)))
    rate, cost = count / (time.perf_counter() - started), (time.process_time() - cpu) / count * 1e6
    await broker.close()
    return rate, cost


def server_cpu(server: RedisServer) -> float:
    """Return the CPU seconds used by the server."""
    lines = server.command("INFO", "cpu").decode().splitlines()
    return sum(float(line.partition(":")[2]) for line in lines if line.startswith(("used_cpu_user:", "used_cpu_sys:")))


def show_latency(name: str, found: Sequence[float]) -> None:
    ordered = sorted(found)
    p50, p99 = (ordered[int(len(ordered) * part)] * 1000 for part in (0.5, 0.99))
    print(f"  {name:28} p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  ({len(found)} events)")


async def run_round(folder: Path, server: RedisServer, seconds: float) -> None:
    def local() -> LocalBroker:
        return LocalBroker(folder / f"{secrets.token_hex(4)}.db", retention=KEEP)

    def redis(prefix: str) -> RedisBroker:
        path = folder / f"{secrets.token_hex(4)}.db"
        return RedisBroker(path, ServerAddress(server.url), prefix=prefix, node=path.stem, retention=KEEP)

    one = local()
    show_latency("local, same process", await receive_latency(one, one, False, seconds))
    prefix = secrets.token_hex(4)
    show_latency("redis, another node", await receive_latency(redis(prefix), redis(prefix), True, seconds))
    makers: tuple[tuple[str, Callable[[], Broker]], ...] = (
        ("local", local),
        ("redis", lambda: redis(secrets.token_hex(4))),
    )
    for batch, publishers in ((1, 1), (1, 50), (100, 1), (100, 8)):
        for name, make in makers:
            before = server_cpu(server)
            rate, cost = await throughput(make(), batch, publishers, seconds)
            shown = f"{cost:6.1f} µs CPU an event"
            if name == "redis":
                shown += f", the server {(server_cpu(server) - before) / (rate * seconds) * 1e6:5.1f} µs"
            print(f"  {name}, batches of {batch:3} by {publishers:2} publishers {rate:9,.0f} events/s  {shown}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="swim-redis-load-") as folder, redis_server() as server:
        for number in range(arguments.rounds):
            print(f"round {number + 1}")
            await run_round(Path(folder), server, arguments.seconds)


if __name__ == "__main__":
    uvloop.run(main())
