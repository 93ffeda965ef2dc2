"""From publish to 100 plain WebSocket subscribers: events/s, deliveries/s, and the daemon's memory.

    python tests/load/fanout.py --events 20000 --subscribers 100 --connections 1000

A real daemon, its history and filters on; the subscribers count frames in this process and are no SDK clients, the
publisher asks over the control socket in batches of 500. Prints one table; exit 1 when an event was lost or repeated.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

import psutil
from websockets.asyncio.client import connect, unix_connect

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.chaos_daemon import ChaosDaemon

BATCH = 500


async def subscriber(url: str, key: str, count: int, ready: asyncio.Semaphore) -> int:
    """Receive until ``count`` events came; return how many different ones that were."""
    numbers = set()
    async with connect(url, additional_headers={"X-SWIM-API-Key": key}, compression=None, max_queue=None) as link:
        await link.recv()
        await link.send(json.dumps({"action": "subscribe", "channels": ["flight.departed"]}))
        await link.recv()
        ready.release()
        for _ in range(count):
            message = await link.recv()
            numbers.add(message.rpartition('"n":')[2])
    return len(numbers)


async def publish(daemon: ChaosDaemon, count: int) -> None:
    """Store the events in batches, each acknowledged before the next."""
    async with unix_connect(str(daemon.home.control_socket), "ws://swim/api/swim/v1/ws", max_size=None) as link:
        await link.recv()
        for start in range(0, count, BATCH):
            rows = [
                {"type": "flight.departed", "data": {"callsign": "DLH123", "dep": "EDDF", "arr": "KJFK", "n": number}}
                for number in range(start, min(start + BATCH, count))
            ]
            await link.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "publish", "params": {"events": rows}}))
            answer = json.loads(await link.recv())
            if "error" in answer:
                raise RuntimeError(answer["error"]["message"])


async def run(daemon: ChaosDaemon, events: int, subscribers: int, connections: int) -> bool:
    """One round; prints the table."""
    key = await asyncio.to_thread(daemon.create_key, "system")
    process = psutil.Process(daemon.pid)
    idle = process.memory_info().rss
    ready = asyncio.Semaphore(0)
    receiving = [asyncio.create_task(subscriber(daemon.url, key, events, ready)) for _ in range(subscribers)]
    for _ in receiving:
        await ready.acquire()
    started, cpu = time.perf_counter(), sum(process.cpu_times()[:2])
    publishing = asyncio.create_task(publish(daemon, events))
    counts = await asyncio.wait_for(asyncio.gather(*receiving), 300)
    await publishing
    seconds, cpu = time.perf_counter() - started, sum(process.cpu_times()[:2]) - cpu
    before = process.memory_info().rss
    links = [
        await connect(daemon.url, additional_headers={"X-SWIM-API-Key": key}, compression=None)
        for _ in range(connections)
    ]
    for link in links:
        await link.recv()
        await link.send(json.dumps({"action": "subscribe", "channels": ["tmi.*"]}))
        await link.recv()
    after = process.memory_info().rss
    each_kib = (after - before) / connections / 1024
    rows = {
        "events": f"{events:,}",
        "subscribers": f"{subscribers:,}",
        "events/s, published, stored and received by all": f"{events / seconds:,.0f}",
        "deliveries/s": f"{events * subscribers / seconds:,.0f}",
        "daemon CPU s per million deliveries": f"{cpu / (events * subscribers) * 1e6:.2f}",
        "lost or repeated": f"{sum(events - count for count in counts):,}",
        "memory idle, MiB": f"{idle / 2**20:.1f}",
        f"memory per idle subscribed connection, of {connections:,}, KiB": f"{each_kib:.1f}",
    }
    for name, value in rows.items():
        print(f"{name:<66} {value:>12}")
    await asyncio.gather(*(link.close() for link in links))
    return all(count == events for count in counts)


def main() -> int:
    """Parse, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--subscribers", type=int, default=100)
    parser.add_argument("--connections", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="swim-fanout-") as folder:
        (Path(folder) / "home").mkdir(mode=0o700)
        daemon = ChaosDaemon(Path(folder) / "home", Path(folder) / "events.json", with_clock=False)
        try:
            daemon.start()
            is_good = asyncio.run(run(daemon, arguments.events, arguments.subscribers, arguments.connections))
        finally:
            daemon.close()
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
