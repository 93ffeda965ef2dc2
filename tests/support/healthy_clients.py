"""Clients that come and go: each stays a while, says goodbye, comes back, and comes back when the service asks it to.

Run as ``python healthy_clients.py PORT AUTHORITY COUNT KEY...``: the proxy's port on this machine, the certificate of
its authority, how many are connected at once, and the API keys that they share. Ends at SIGTERM, and then writes one
line of JSON: how many connections were opened, turned away, and closed by the service, and the events received.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import ssl
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.tunnels import CLOSE, IN_FLIGHT, UPGRADE, Tunnel, masked

HOST = "localhost"
PATH = "/api/swim/v1/ws"
STAY_SECONDS = 60.0
"""So long a client stays, on average."""
AWAY_SECONDS = 0.2, 2.0
GOODBYE_SECONDS = 10.0


class Clients:
    """All clients; ``counted`` tells what happened."""

    def __init__(self, port: int, tls: ssl.SSLContext, keys: list[str]) -> None:
        self.counted: Counter[str] = Counter()
        self._port = port
        self._tls = tls
        self._heads = [UPGRADE.format(path=PATH, host=f"{HOST}:{port}", key=key).encode() for key in keys]
        self._doors = asyncio.Semaphore(IN_FLIGHT)
        self._random = random.Random(1)

    async def come_and_go(self, number: int) -> None:
        """Be one client, for ever."""
        while True:
            tunnel = await self._enter(number)
            if tunnel is not None:
                await self._stay(tunnel)
            await asyncio.sleep(self._random.uniform(*AWAY_SECONDS))

    async def _enter(self, number: int) -> Tunnel | None:
        loop = asyncio.get_running_loop()
        tunnel = Tunnel(self._heads[number % len(self._heads)], loop)
        async with self._doors:
            try:
                await loop.create_connection(
                    lambda: tunnel, "127.0.0.1", self._port, ssl=self._tls, server_hostname=HOST
                )
            except OSError:
                self.counted["turned away"] += 1
                return None
            is_open = await tunnel.opened
        self.counted["opened" if is_open else "turned away"] += 1
        return tunnel if is_open else None

    async def _stay(self, tunnel: Tunnel) -> None:
        try:
            ended, _ = await asyncio.wait({tunnel.ended}, timeout=self._random.expovariate(1 / STAY_SECONDS))
            if ended:
                self.counted[f"closed by the service with {tunnel.ended.result()}"] += 1
                return
            tunnel.transport.write(masked(CLOSE, (1000).to_bytes(2, "big")))
            await asyncio.wait({tunnel.ended}, timeout=GOODBYE_SECONDS)
        finally:
            self.counted["events"] += tunnel.events
            tunnel.transport.abort()


async def run(port: int, authority: str, count: int, keys: list[str]) -> None:
    clients = Clients(port, ssl.create_default_context(cafile=authority), keys)
    tasks = [asyncio.create_task(clients.come_and_go(number)) for number in range(count)]
    is_over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, is_over.set)
    await is_over.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps(clients.counted), flush=True)


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:]))
