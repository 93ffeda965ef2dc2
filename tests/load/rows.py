"""What a row's direct writes save: the real gateway and hub in this process, each event in turns with and without rows.

    python tests/load/rows.py [--connections 1000] [--blocks 60]

Processor time of the thread that writes, from the publication in memory to the last write; the receiver has the other
core. Asserts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import multiprocessing
import os
import resource
import select
import socket
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.gateway_rig import Rig, message, upgrade_request
from swim_server.gateway.endpoint import Endpoint
from swim_server.streaming.admission import TierLimit
from swim_server.streaming.rows import RowWriter

ALIKE = 4
"""Events measured in one way before the other way has its turn."""


class LiveRig(Rig):
    """The gateway behind a real listener, with the turns of a real loop."""

    def call_soon(self, callback: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(callback)

    @property
    def subscribers(self) -> int:
        return sum(len(group.members) for group in self.hub.groups.values())


def receive(port: int, connections: int) -> None:
    """Connect, subscribe, and read whatever comes."""
    os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
    poller, sockets = select.epoll(), []
    for _ in range(connections):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(upgrade_request() + message("subscribe", channels=["flight.*"]))
        client.setblocking(False)
        sockets.append(client)
        poller.register(client, select.EPOLLIN)
    while True:
        for descriptor, _ in poller.poll(maxevents=256):
            if not os.read(descriptor, 65536):
                return


async def one_event(rig: LiveRig, connections: int) -> float:
    """Publish an event; return the processor time in microseconds a delivery."""
    began = time.thread_time()
    await rig.publish("flight.created", route="x" * 150)
    while not rig.hub.is_idle:
        await asyncio.sleep(0)
    return (time.thread_time() - began) / connections * 1e6


async def run(connections: int, blocks: int) -> None:
    rig = LiveRig(limits={"developer": TierLimit(connections)})
    await rig.open()
    rows = RowWriter(time.monotonic)
    rig.hub._group_writer._rows = rows
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: Endpoint(rig.context, rig.context.public_kind), "127.0.0.1", 0, backlog=4096
    )
    port = listener.sockets[0].getsockname()[1]
    receiver = multiprocessing.Process(target=receive, args=(port, connections), daemon=True)
    receiver.start()
    while rig.subscribers < connections:
        await asyncio.sleep(0.05)
    os.sched_setaffinity(0, {0})
    found: dict[str, list[float]] = {"one by one": [], "in rows": []}
    for _ in range(blocks):
        for name, values in found.items():
            rows._crowded_until = math.inf if name == "one by one" else 0.0
            for number in range(2 + ALIKE):
                seconds = await one_event(rig, connections)
                await asyncio.sleep(0.002)
                if number >= 2:
                    values.append(seconds)
    receiver.terminate()
    for name, values in found.items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"{connections:,} connections, {name}: CPU µs a delivery {middle:.2f} (quartiles {low:.2f}, {high:.2f})")
    print(f"ratio {statistics.median(found['in rows']) / statistics.median(found['one by one']):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--blocks", type=int, default=60, help="turns of each way")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(run(options.connections, options.blocks))


if __name__ == "__main__":
    main()
