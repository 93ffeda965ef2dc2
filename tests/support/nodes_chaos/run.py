"""One run: traffic over all nodes, one fault after the other, and the checks after each."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from support.daemon import NotAnswering
from support.nodes import Nodes
from support.nodes_chaos.faults import ACTOR, EXCESS_ALLOWED, Faults
from support.nodes_chaos.ledger import Ledger, Subscriber
from support.nodes_chaos.links import DroppedPackets, Links, has_namespace, open_links
from support.nodes_chaos.traffic import PUBLIC_LIMIT, PublicCrowd, Publisher, watch_silence
from support.nodes_front import NodesFront
from support.redis_server import RedisServer
from support.wire_client import open_client

from swimctl.client.control import RpcFailed

SETTLE_SECONDS = 300.0
REVOKED_SECONDS = 1.0
PROBE_SECONDS = 5.0
SLOTS_SECONDS = 60.0
"""How long a lease, the waits of clients and a busy machine may keep slots empty after a fault."""
TELL_SECONDS = 30.0
PUBLISHERS = 3
CONFIG = "[auth]\nrecheck_seconds = 600\n"
"""So that nothing but the word of another node can close a key's connections."""


class NodesChaos:
    """One run."""

    def __init__(self, nodes: Nodes, replica: RedisServer, links: Links, seed: int) -> None:
        self.nodes = nodes
        self.ledger = Ledger()
        self.chance = random.Random(seed)
        self.publishers = [
            Publisher(number, nodes, self.ledger, random.Random(seed + number)) for number in range(PUBLISHERS)
        ]
        ports = [daemon.port for daemon in nodes.daemons]
        self.faults = Faults(nodes, replica, links, ports, self.publishers, self.ledger, self.chance)
        self.front = NodesFront(lambda: ports)
        self.subscribers: list[Subscriber] = []
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self.held_up = 0.0
        self._started = time.monotonic()

    async def run(self, rounds: int, subscribers: int, only: list[str], deadline: float | None) -> dict[str, Any]:
        await self.front.start()
        key = self.nodes.make_key("system").api_key
        crowd = PublicCrowd(self.front, self.nodes.make_key("public").api_key, self.ledger)
        self.subscribers = [Subscriber(self.front.url, key) for _ in range(subscribers)]
        listening = [asyncio.create_task(each.client.run_async()) for each in self.subscribers]
        watching = watch_silence(self.subscribers, self.ledger, lambda: crowd.fault)
        publishing = [asyncio.create_task(each.run()) for each in self.publishers]
        others = [asyncio.create_task(each) for each in (crowd.run(), watching, self._watch_own_delay())]
        try:
            await self._settled()
            for number, name in enumerate(self._choices(rounds, only)):
                if deadline is not None and time.monotonic() > deadline:
                    break
                await self._round(number + 1, name, crowd)
            for task in publishing:
                task.cancel()
            await asyncio.gather(*publishing, return_exceptions=True)
            await self._all_received()
        finally:
            tasks = [*publishing, *others, *listening]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.front.close()
        return self._report(crowd)

    def _choices(self, rounds: int, only: list[str]) -> list[str]:
        """Choose the faults: each of them once, then at random."""
        names = list(self.faults.by_name)
        if unknown := set(only) - set(names):
            raise SystemExit(f"not among the faults: {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
        names = [name for name in names if not only or name in only]
        first = self.chance.sample(names, len(names))
        return [*first, *self.chance.choices(names, k=max(rounds - len(names), 0))][:rounds]

    async def _round(self, number: int, name: str, crowd: PublicCrowd) -> None:
        self._say(f"round {number}: {name}")
        began, crowd.fault = time.monotonic(), name
        try:
            await self.faults.by_name[name]()
            self.done[name] += 1
            await self._settled()
            await self._limit_is_used(crowd)
        except (AssertionError, NotAnswering, RpcFailed, OSError) as error:
            self.failures.append(f"round {number}, {name}: {error}")
            self._say(f"FAILED: {error}")
        if not self.faults.is_lossy(name):
            self.ledger.lossless.append((began, time.monotonic()))
        crowd.fault = "afterwards"
        try:
            await self._check_revocation()
        except (AssertionError, NotAnswering, RpcFailed, OSError) as error:
            self.failures.append(f"round {number}, {name}, a key's end: {error}")
        judged = {
            each: count for each, count in self.ledger.judge(self.subscribers).items() if count and each != "lost"
        }
        if judged:
            self._say(f"so far: {judged}")

    def _say(self, what: str) -> None:
        print(f"{time.monotonic() - self._started:7.1f} s {what}", file=sys.stderr, flush=True)

    # Checks.

    async def _settled(self) -> None:
        """Wait until every node reports and sees its own events, and every subscriber has what is published now."""
        deadline, told_at = time.monotonic() + SETTLE_SECONDS, time.monotonic() + TELL_SECONDS
        while time.monotonic() < deadline:
            with suppress(NotAnswering, RpcFailed, OSError):
                documents = [await asyncio.to_thread(daemon.call, "nodes") for daemon in self.nodes.daemons]
                if all(self._is_well(document) for document in documents):
                    break
                if time.monotonic() > told_at:
                    told_at += TELL_SECONDS
                    self._say(f"not well yet: {[_shown(document) for document in documents]}")
            await asyncio.sleep(0.2)
        else:
            raise AssertionError("the nodes did not settle")
        before = [len(subscriber.events) for subscriber in self.subscribers]
        while any(len(each.events) == count for each, count in zip(self.subscribers, before, strict=True)):
            if time.monotonic() > deadline:
                raise AssertionError("a subscriber receives nothing although the nodes are well")
            await asyncio.sleep(0.05)

    async def _limit_is_used(self, crowd: PublicCrowd) -> None:
        """Wait until as many are connected as the limit allows: no slot may be lost with the node that held it."""
        deadline = time.monotonic() + SLOTS_SECONDS
        while len(crowd.held) < PUBLIC_LIMIT:
            if time.monotonic() > deadline:
                raise AssertionError(f"only {len(crowd.held)} of {PUBLIC_LIMIT} slots can be had again")
            await asyncio.sleep(0.05)

    def _is_well(self, document: dict[str, Any]) -> bool:
        nodes = document["nodes"]
        return len(nodes) == len(self.nodes.daemons) and all(
            node["state"] == "alive" and (node["probe_age_seconds"] or 99) < PROBE_SECONDS and node["trouble"] is None
            for node in nodes
        )

    async def _check_revocation(self) -> None:
        """Revoke a key on one node: its clients on all nodes are closed within a second."""
        issued = await asyncio.to_thread(self.nodes.make_key, "partner")
        clients = []
        for daemon in self.nodes.daemons:
            client = await open_client(daemon.url, issued.api_key)
            answer = await client.next()
            if answer["type"] != "connected":
                self.failures.append(f"a client of the tier partner was turned away: {answer}")
                return
            clients.append(client)
        await asyncio.to_thread(self.nodes.store.revoke, issued.record.id, None, ACTOR)
        asked = self.chance.choice(self.nodes.daemons)
        started, self.held_up = time.monotonic(), 0.0
        answer = await asyncio.to_thread(asked.call, "key_changed", {"key_id": issued.record.id})
        answered = time.monotonic() - started
        await asyncio.gather(*(client.closed() for client in clients))
        seconds = time.monotonic() - started
        self.ledger.revoked += 1
        self.ledger.slowest_revocation = max(self.ledger.slowest_revocation, seconds)
        if seconds > REVOKED_SECONDS or answer["silent_nodes"]:
            self.ledger.revoked_late.append(round(seconds, 2))
            silent = ", ".join(answer["silent_nodes"]) or "no node"
            self._say(
                f"revoked late: answered after {answered:.2f} s, closed after {seconds:.2f} s, {silent} was silent; "
                f"this program itself was held up for {self.held_up:.2f} s"
            )

    async def _watch_own_delay(self) -> None:
        """Measure how long this program, which has nothing to do with the nodes, was kept from the processor."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            self.held_up = max(self.held_up, time.monotonic() - began - 0.01)

    async def _all_received(self) -> None:
        """Wait until every subscriber has the newest event."""
        if not self.ledger.acknowledged:
            return
        newest = max(self.ledger.acknowledged.items(), key=lambda item: item[1].at)[0]
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            if all(each.events and any(one["n"] == newest for one in each.events[-50:]) for each in self.subscribers):
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)  # a repetition would come now

    def _report(self, crowd: PublicCrowd) -> dict[str, Any]:
        ledger = self.ledger
        exceeded = {name: count for name, count in ledger.excesses.items() if name not in EXCESS_ALLOWED}
        found: dict[str, Any] = {
            "rounds": sum(self.done.values()), "faults": dict(self.done), "partitions": self.faults.links.name,
            "acknowledged": len(ledger.acknowledged), "published_again": sum(each.retries for each in self.publishers),
            "subscribers": len(self.subscribers), "limit": PUBLIC_LIMIT, "most_connected": crowd.worst,
            "revoked": ledger.revoked, "slowest_revocation_seconds": round(ledger.slowest_revocation, 2),
            "reconnections": sum(len(subscriber.connections) for subscriber in self.subscribers),
            "gaps_told": sum(len(subscriber.gap_times) for subscriber in self.subscribers),
            "longest_silence_seconds": round(ledger.longest_silence, 1),
            "longest_silence_by_fault": {name: round(seconds, 1) for name, seconds in ledger.silences.items()},
            "closed_after_a_partition_seconds": round(max(ledger.closed_after_return, default=0.0), 1),
            **ledger.judge(self.subscribers),
            "limits_exceeded": sum(exceeded.values()), "limits_exceeded_by_fault": exceeded,
            "revoked_late": ledger.revoked_late, "silent_node_not_named": ledger.unnamed, "failures": self.failures,
        }  # fmt: skip
        zeros = (
            "lost", "repeated", "out_of_order", "gap_untold", "gap_without_loss", "other_id", "limits_exceeded",
            "revoked_late", "silent_node_not_named", "failures",
        )  # fmt: skip
        return found | {"ok": not any(found[name] for name in zeros)}


def _shown(document: dict[str, Any]) -> list[str]:
    """Return what a node says of all."""
    return [
        f"{node['name']} {node['state']} probe {node['probe_age_seconds']} {node['trouble'] or ''}".strip()
        for node in document["nodes"]
    ] + [document["problem"] or ""]


def memory_folder() -> Path | None:
    """Return where files are in memory: killed processes lose nothing there, and no other program's disk delays it."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else None


async def run_nodes_chaos(
    folder: Path,
    *,
    nodes: int,
    rounds: int,
    seed: int,
    subscribers: int,
    only: list[str],
    seconds: float | None = None,
    config: str = CONFIG,
) -> dict[str, Any]:
    """Start two servers and nodes, run the rounds, end everything. ``seconds``: begin no round after so many."""
    deadline = None if seconds is None else time.monotonic() + seconds
    addresses = tuple(DroppedPackets.addresses(nodes)) if has_namespace() else ()
    with tempfile.TemporaryDirectory(prefix="swim-redis-", dir=memory_folder()) as servers:
        server, replica = (
            RedisServer(Path(servers) / name, appendfsync="always", addresses=addresses) for name in ("a", "b")
        )
        server.start()
        links = await open_links(server.port, nodes)
        running = Nodes(folder, server, nodes, config=config, url=links.url)
        chaos: NodesChaos | None = None
        try:
            await asyncio.to_thread(running.start)
            chaos = NodesChaos(running, replica, links, seed)
            return {"seed": seed} | await chaos.run(rounds, subscribers, only, deadline)
        finally:
            await links.close()
            running.finish()
            for each in (server, replica):
                each.kill()


def nodes_scoreboard(report: dict[str, Any]) -> str:
    """Format the report for people."""
    lines = [f"chaos over nodes: {report['rounds']} rounds, seed {report['seed']}; partitions: {report['partitions']}"]
    most, silences = report["most_connected"], report["longest_silence_by_fault"]
    lines.append(f"  {'fault':<40} {'rounds':>6} {'most of 5 connected':>20} {'longest silence':>16}")
    for name, count in report["faults"].items():
        lines.append(f"  {name:<40} {count:>6} {most.get(name, 0):>20} {silences.get(name, 0):>14} s")
    shown = set(report) - {"faults", "most_connected", "longest_silence_by_fault", "seed", "rounds", "partitions", "ok"}
    for name in (each for each in report if each in shown):
        lines.append(f"{name.replace('_', ' '):<38} {report[name] or 0!s:>8}")
    lines.append("all zeros" if report["ok"] else "NOT OK")
    return "\n".join(lines)
