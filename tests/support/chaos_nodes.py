"""Faults between nodes, traffic over all of them, and a checker that knows only what was acknowledged and received."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from support.daemon import NotAnswering
from support.nodes import Nodes
from support.nodes_front import NodesFront
from support.redis_server import RedisServer, redis_server
from support.sdk import Listener
from support.wire_client import WireClient, open_client
from swim_server.keys.audit import Actor

from swimctl.client.control import RpcFailed

PAUSE_SECONDS = 12.0
"""Longer than a lease."""
SETTLE_SECONDS = 300.0
REVOKED_SECONDS = 1.0
PUBLIC_LIMIT, PUBLIC_CLIENTS = 5, 8
CONFIG = "[auth]\nrecheck_seconds = 600\n"
"""So that nothing but the word of another node can close a key's connections."""


class Ledger:
    """What happened: published, acknowledged, received, and the promises that were broken."""

    def __init__(self) -> None:
        self.acknowledged: dict[int, str] = {}
        self.lossy: list[tuple[int, int]] = []
        """From which number to which the server was made to lose events."""
        self.exceeded = 0
        self.revoked_late: list[float] = []
        self.revoked = 0
        self.longest_silence = 0.0


class Traffic:
    """Publishes through one node after another; an unacknowledged event is sent again through another node."""

    def __init__(self, nodes: Nodes, ledger: Ledger, chance: random.Random) -> None:
        self._nodes = nodes
        self._ledger = ledger
        self._chance = chance
        self.number = 0
        self.usable = set(range(len(nodes.daemons)))

    async def run(self) -> None:
        while True:
            await self._publish(self.number)
            self.number += 1
            await asyncio.sleep(0.02)

    async def _publish(self, number: int) -> None:
        row = {"type": "flight.created", "data": {"n": number}, "event_id": f"chaos {number}"}
        while True:
            node = self._nodes[self._chance.choice(sorted(self.usable))]
            with suppress(NotAnswering, RpcFailed, OSError, asyncio.TimeoutError):
                call = asyncio.to_thread(node.call, "publish", {"events": [row]})
                answer = await asyncio.wait_for(call, 20)
                self._ledger.acknowledged[number] = answer["published"][0]["id"]
                return
            await asyncio.sleep(0.05)


class PublicCrowd:
    """More clients than the tier admits: each keeps its connection once admitted."""

    def __init__(self, front: NodesFront, key: str) -> None:
        self._front = front
        self._key = key
        self.held: dict[int, WireClient] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(PUBLIC_CLIENTS):
                tasks.create_task(self._hold(number))

    async def _hold(self, number: int) -> None:
        while True:
            try:
                client = await asyncio.wait_for(open_client(self._front.url, self._key), 5)
                if (await asyncio.wait_for(client.next(), 5))["type"] == "connected":
                    self.held[number] = client
                    await client.connection.wait_closed()
            except Exception:  # noqa: BLE001 - whatever ended it: it tries again, and the checker counts
                pass
            finally:
                self.held.pop(number, None)
            await asyncio.sleep(0.2)


class NodesChaos:
    """One run."""

    def __init__(self, nodes: Nodes, seed: int) -> None:
        self.nodes = nodes
        self.server: RedisServer = nodes.server
        self.ledger = Ledger()
        self.chance = random.Random(seed)
        self.traffic = Traffic(nodes, self.ledger, self.chance)
        self.ports = [daemon.port for daemon in nodes.daemons]
        self.front = NodesFront(lambda: self.ports)
        self.listeners: list[Listener] = []
        self.faults: dict[str, Callable[[], Awaitable[None]]] = {
            "kill a node": self.kill_node,
            "pause a node for longer than a lease": self.pause_node,
            "kill the server": self.kill_server,
            "pause the server": self.pause_server,
            "flush the server": self.flush_server,
            "restart the server empty": self.empty_server,
        }
        self.done: Counter[str] = Counter()
        self._started = time.monotonic()

    async def run(self, rounds: int, subscribers: int, only: list[str]) -> dict[str, Any]:
        await self.front.start()
        key = self.nodes.make_key("system").api_key
        public = self.nodes.make_key("public").api_key
        for _ in range(subscribers):
            listener = Listener(
                self.front.url, ("flight.created",), api_key=key, open_timeout=4.0, ping_interval=2.0, ping_timeout=4.0,
                reconnect_interval=0.1, max_reconnect_interval=1.0,
            )  # fmt: skip
            self.listeners.append(listener)
        crowd = PublicCrowd(self.front, public)
        runners = [asyncio.create_task(listener.client.run_async()) for listener in self.listeners]
        others = [asyncio.create_task(each) for each in (self.traffic.run(), crowd.run(), self._watch_silence())]
        try:
            await asyncio.sleep(3)
            names = [name for name in self.faults if not only or name in only]
            for number in range(rounds):
                name = names[number % len(names)] if number < len(names) else self.chance.choice(names)
                self._say(f"round {number + 1}: {name}")
                await self.faults[name]()
                self.done[name] += 1
                await self._settled()
                self._say("settled")
                await self._check_limit(crowd)
                await self._check_revocation()
            others[0].cancel()
            await asyncio.gather(others[0], return_exceptions=True)
            await self._all_received()
        finally:
            for task in [*others, *runners]:
                task.cancel()
            await asyncio.gather(*others, *runners, return_exceptions=True)
            await self.front.close()
        return self._report()

    def _say(self, what: str) -> None:
        print(f"{time.monotonic() - self._started:7.1f} s {what}", file=sys.stderr, flush=True)

    # Faults.

    async def kill_node(self) -> None:
        number = self.chance.randrange(len(self.nodes.daemons))
        daemon = self.nodes[number]
        await asyncio.to_thread(daemon.kill)
        await asyncio.sleep(self.chance.uniform(0, 3))
        await asyncio.to_thread(daemon.start)
        self.ports[number] = daemon.port

    async def pause_node(self) -> None:
        number = self.chance.randrange(len(self.nodes.daemons))
        daemon = self.nodes[number]
        self.traffic.usable.discard(number)
        daemon.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(PAUSE_SECONDS)
        finally:
            daemon.signal(signal.SIGCONT)
        self.traffic.usable.add(number)

    async def kill_server(self) -> None:
        self.server.kill()
        await asyncio.sleep(self.chance.uniform(0, 3))
        await asyncio.to_thread(self.server.start)

    async def pause_server(self) -> None:
        self.server.pause()
        try:
            await asyncio.sleep(self.chance.uniform(1, 8))
        finally:
            self.server.resume()

    async def flush_server(self) -> None:
        before = self.traffic.number
        await asyncio.to_thread(self.server.command, "FLUSHALL")
        self.ledger.lossy.append((before - 5, self.traffic.number + 5))

    async def empty_server(self) -> None:
        before = self.traffic.number
        self.server.kill()
        self.server.forget()
        await asyncio.sleep(self.chance.uniform(0, 2))
        await asyncio.to_thread(self.server.start)
        self.ledger.lossy.append((before - 5, self.traffic.number + 5))

    # Checks.

    async def _settled(self) -> None:
        """Wait until every node reports and sees its own events, and everything published since has arrived."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            with suppress(NotAnswering, RpcFailed, OSError):
                documents = [await asyncio.to_thread(daemon.call, "nodes") for daemon in self.nodes.daemons]
                if all(self._is_well(document) for document in documents):
                    return
            await asyncio.sleep(0.2)
        raise AssertionError("the nodes did not settle")

    def _is_well(self, document: dict[str, Any]) -> bool:
        nodes = document["nodes"]
        return len(nodes) == len(self.nodes.daemons) and all(
            node["state"] == "alive" and (node["probe_age_seconds"] or 99) < 5 and node["trouble"] is None
            for node in nodes
        )

    async def _check_limit(self, crowd: PublicCrowd) -> None:
        """Observe for two seconds how many clients of the public tier are connected, as they see it."""
        await asyncio.sleep(1.5)  # what a node gives up that was away is closed within a beat
        worst = 0
        for _ in range(20):
            worst = max(worst, len(crowd.held))
            await asyncio.sleep(0.05)
        self.ledger.exceeded += worst > PUBLIC_LIMIT

    async def _check_revocation(self) -> None:
        """Revoke a key on one node: its clients on all nodes are closed within a second of the answer."""
        issued = await asyncio.to_thread(self.nodes.make_key, "partner")
        clients = []
        for daemon in self.nodes.daemons:
            client = await open_client(daemon.url, issued.api_key)
            assert (await client.next())["type"] == "connected"
            clients.append(client)
        store = self.nodes.store
        await asyncio.to_thread(store.revoke, issued.record.id, None, Actor("test", "test"))
        asked = self.chance.choice(self.nodes.daemons)
        started = time.monotonic()
        answer = await asyncio.to_thread(asked.call, "key_changed", {"key_id": issued.record.id})
        await asyncio.gather(*(client.closed() for client in clients))
        seconds = time.monotonic() - started
        self.ledger.revoked += 1
        if seconds > REVOKED_SECONDS or answer["silent_nodes"]:
            self.ledger.revoked_late.append(seconds)

    async def _watch_silence(self) -> None:
        """Measure the longest time in which no subscriber received anything."""
        last, count = time.monotonic(), 0
        while True:
            now_count = sum(len(listener.events) for listener in self.listeners)
            if now_count != count:
                self.ledger.longest_silence = max(self.ledger.longest_silence, time.monotonic() - last)
                last, count = time.monotonic(), now_count
            await asyncio.sleep(0.05)

    async def _all_received(self) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        newest = max(self.ledger.acknowledged)
        while time.monotonic() < deadline:
            if all(listener.numbers and listener.numbers[-1] >= newest for listener in self.listeners):
                return
            await asyncio.sleep(0.1)

    def _report(self) -> dict[str, Any]:
        acknowledged = set(self.ledger.acknowledged)
        lost = repeated = disordered = untold = 0
        for listener in self.listeners:
            numbers = listener.numbers
            first = numbers[0] if numbers else 0
            missing = {number for number in acknowledged - set(numbers) if number > first}
            in_loss = {number for number in missing if any(a <= number <= b for a, b in self.ledger.lossy)}
            lost += len(missing - in_loss)
            untold += bool(self.ledger.lossy and in_loss and not listener.gaps)
            counts = Counter(numbers)
            repeated += sum(count - 1 for number, count in counts.items() if not self._is_lossy(number))
            disordered += sum(one > other for one, other in pairwise(numbers))
        ledger = self.ledger
        return {
            "rounds": dict(self.done), "published": len(acknowledged), "subscribers": len(self.listeners),
            "lost": lost, "repeated": repeated, "out_of_order": disordered, "gap_untold": untold,
            "limits_exceeded": ledger.exceeded, "revoked_late": ledger.revoked_late, "revoked": ledger.revoked,
            "reconnections": sum(len(listener.connections) for listener in self.listeners),
            "gaps_told": sum(len(listener.gaps) for listener in self.listeners),
            "longest_silence_seconds": round(ledger.longest_silence, 1),
            "ok": not (lost or repeated or disordered or untold or ledger.exceeded or ledger.revoked_late),
        }  # fmt: skip

    def _is_lossy(self, number: int) -> bool:
        """Return True if the server may have forgotten that this event was already published."""
        return any(a <= number <= b for a, b in self.ledger.lossy)


async def run_nodes_chaos(
    folder: Path, *, nodes: int, rounds: int, seed: int, subscribers: int, only: list[str]
) -> dict[str, Any]:
    """Start a server and nodes, run the rounds, end everything."""
    with redis_server() as server:
        running = Nodes(folder, server, nodes, config=CONFIG)
        try:
            await asyncio.to_thread(running.start)
            return {"seed": seed} | await NodesChaos(running, seed).run(rounds, subscribers, only)
        finally:
            running.finish()
