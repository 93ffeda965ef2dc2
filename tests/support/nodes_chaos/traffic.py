"""Publishers and public clients over all nodes; what comes of it is noted in the ledger."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress

from support.daemon import NotAnswering
from support.nodes import Nodes
from support.nodes_chaos.ledger import Acknowledged, Ledger, Subscriber
from support.nodes_front import NodesFront
from support.wire_client import WireClient, open_client

from swimctl.client.control import RpcFailed

PUBLIC_LIMIT, PUBLIC_CLIENTS = 5, 8
EXCESS_SECONDS = 1.0
"""A client that a node has closed may know of it a little later than the next one of its admission."""
CALL_SECONDS = 20.0
PAUSE_SECONDS = 0.03


class Publisher:
    """Publishes through one node after another; an unacknowledged event is sent again through another node."""

    def __init__(self, number: int, nodes: Nodes, ledger: Ledger, chance: random.Random) -> None:
        self._name = f"p{number}"
        self._nodes = nodes
        self._ledger = ledger
        self._chance = chance
        self.number = 0
        self.retries = 0
        self.usable = set(range(len(nodes.daemons)))

    async def run(self) -> None:
        while True:
            await self._publish(f"{self._name} {self.number}")
            self.number += 1
            await asyncio.sleep(PAUSE_SECONDS)

    async def _publish(self, name: str) -> None:
        row = {"type": "flight.created", "data": {"n": name}, "event_id": f"chaos {name}"}
        while True:
            node = self._nodes[self._chance.choice(sorted(self.usable))]
            with suppress(NotAnswering, RpcFailed, OSError, asyncio.TimeoutError):
                async with asyncio.timeout(CALL_SECONDS):  # until Python 3.12, ``wait_for`` may swallow a cancellation
                    answer = await asyncio.to_thread(node.call, "publish", {"events": [row]})
                event_id = answer["published"][0]["id"]
                self._ledger.acknowledged[name] = Acknowledged(event_id, time.monotonic())
                return
            self.retries += 1
            await asyncio.sleep(0.05)


class PublicCrowd:
    """More clients than the tier admits: each keeps its connection once admitted."""

    def __init__(self, front: NodesFront, key: str, ledger: Ledger) -> None:
        self._front = front
        self._key = key
        self._ledger = ledger
        self.held: dict[int, WireClient] = {}
        self.fault = "before the first"
        self.worst: dict[str, int] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(PUBLIC_CLIENTS):
                tasks.create_task(self._hold(number))
            tasks.create_task(self._watch())

    async def _hold(self, number: int) -> None:
        while True:
            try:
                async with asyncio.timeout(5):
                    client = await open_client(self._front.url, self._key)
                    first = await client.next()
                if first["type"] == "connected":
                    self.held[number] = client
                    await client.connection.wait_closed()
            except Exception:  # noqa: BLE001 - whatever ended it: it tries again, and the checker counts
                pass
            finally:
                self.held.pop(number, None)
            await asyncio.sleep(0.2)

    async def _watch(self) -> None:
        """Note each time that more than the limit have been connected for a second."""
        since: float | None = None
        while True:
            count = len(self.held)
            self.worst[self.fault] = max(self.worst.get(self.fault, 0), count)
            if count <= PUBLIC_LIMIT:
                since = None
            elif since is None:
                since = time.monotonic()
            elif time.monotonic() - since > EXCESS_SECONDS:
                self._ledger.excesses[self.fault] += 1
                since = time.monotonic()
            await asyncio.sleep(0.05)


async def watch_silence(subscribers: list[Subscriber], ledger: Ledger) -> None:
    """Measure the longest time in which no subscriber received anything."""
    last, count = time.monotonic(), 0
    while True:
        now_count = sum(len(subscriber.events) for subscriber in subscribers)
        if now_count != count:
            silence = time.monotonic() - last
            ledger.longest_silence = max(ledger.longest_silence, silence)
            ledger.longest_silence_now = max(ledger.longest_silence_now, silence)
            last, count = time.monotonic(), now_count
        await asyncio.sleep(0.05)
