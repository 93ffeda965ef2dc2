"""One run: traffic over all nodes, one fault after the other, and the checks after each."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from support.daemon import NotAnswering
from support.nodes import Nodes
from support.nodes_chaos.faults import Faults
from support.nodes_chaos.ledger import Ledger, Subscriber
from support.nodes_chaos.links import DroppedPackets, Links, has_namespace, open_links
from support.nodes_chaos.report import make_report
from support.nodes_chaos.revocations import Revocations
from support.nodes_chaos.traffic import PUBLIC_LIMIT, PublicCrowd, Publisher, watch_silence
from support.nodes_front import NodesFront
from support.redis_server import RedisServer

from swimctl.client.control import RpcFailed

SETTLE_SECONDS = 300.0
PROBE_SECONDS = 5.0
SLOTS_SECONDS = 60.0
"""How long a lease, the waits of clients and a busy machine may keep slots empty after a fault."""
TELL_SECONDS = 30.0
JUDGED_ROUNDS = 20
LEFT_SECONDS = 30.0
"""How long a round may go on that is under way when the run is to end."""
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
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
        self.revocations = Revocations(nodes, self.ledger, self.chance)
        self.faults = Faults(
            nodes, replica, links, ports, self.publishers, self.ledger, self.chance, self.revocations, self._say
        )
        self.front = NodesFront(lambda: ports)
        self.subscribers: list[Subscriber] = []
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self._started = time.monotonic()
        self._is_ending = False
        self._round_task: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Begin no more rounds, leave the one under way if it takes long, and report."""
        self._say("to end: the report follows")
        self._is_ending = True
        if self._round_task is not None:
            asyncio.get_running_loop().call_later(LEFT_SECONDS, self._round_task.cancel)

    async def run(self, rounds: int, subscribers: int, only: list[str], deadline: float | None) -> dict[str, Any]:
        await self.front.start()
        key = self.nodes.make_key("system").api_key
        crowd = PublicCrowd(self.front, self.nodes.make_key("public").api_key, self.ledger)
        self.subscribers = [Subscriber(self.front.url, key) for _ in range(subscribers)]
        listening = [asyncio.create_task(each.client.run_async()) for each in self.subscribers]
        watching = watch_silence(self.subscribers, self.ledger)
        publishing = [asyncio.create_task(each.run()) for each in self.publishers]
        others = [asyncio.create_task(each) for each in (crowd.run(), watching, self.revocations.watch_own_delay())]
        try:
            await self._settled()
            for number, name in enumerate(self._choices(rounds, only)):
                if self._is_ending or (deadline is not None and time.monotonic() > deadline):
                    break
                self._round_task = asyncio.create_task(self._round(number + 1, rounds, name, crowd))
                await asyncio.wait([self._round_task])
            await self._finish(publishing)
        finally:
            tasks = [*publishing, *others, *listening, *([self._round_task] if self._round_task else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.front.close()
        retries = sum(each.retries for each in self.publishers)
        return make_report(
            self.ledger, self.subscribers, done=self.done, failures=self.failures, retries=retries,
            most_connected=crowd.worst, partitions=self.faults.links.name, held_up=self.revocations.held_up_most,
        )  # fmt: skip

    def _choices(self, rounds: int, only: list[str]) -> list[str]:
        """Choose the faults: each of them once, then at random."""
        names = list(self.faults.by_name)
        if unknown := set(only) - set(names):
            raise SystemExit(f"not among the faults: {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
        names = [name for name in names if not only or name in only]
        first = self.chance.sample(names, len(names))
        return [*first, *self.chance.choices(names, k=max(rounds - len(names), 0))][:rounds]

    async def _round(self, number: int, rounds: int, name: str, crowd: PublicCrowd) -> None:
        """Do one fault, check everything, and tell of it in a line."""
        began, crowd.fault, self.revocations.last = time.monotonic(), name, "nothing revoked"
        self.revocations.away = ""
        failed = len(self.failures)
        self.ledger.longest_silence_now = 0.0
        if await self._try(f"round {number}, {name}", self._do(name, crowd)):
            self.done[name] += 1
        elif self.faults.is_lossy(name):
            self.ledger.lose(began)
        if not self.faults.is_lossy(name):
            self.ledger.lossless.append((began, time.monotonic()))
        crowd.fault = "afterwards"
        if not self._is_ending:
            await self._try(f"round {number}, {name}, a key's end", self.revocations.check())
        if len(self.failures) > failed:
            await self._try(f"round {number}, {name}, recovery", self._recover())
        silences = self.ledger.silences
        silences[name] = max(silences.get(name, 0.0), self.ledger.longest_silence_now)
        load = f"load {os.getloadavg()[0]:.0f}"
        self._say(
            f"round {number}/{rounds} {name}: {time.monotonic() - began:.1f} s, "
            f"silence {self.ledger.longest_silence_now:.1f} s, {self.revocations.away}{self.revocations.last}, {load}"
        )
        if number % JUDGED_ROUNDS == 0:
            self._tell_judgement()

    async def _do(self, name: str, crowd: PublicCrowd) -> None:
        await self.faults.by_name[name]()
        self.revocations.server = self.faults.server
        await self._settled()
        await self._limit_is_used(crowd)

    async def _try(self, what: str, work: Coroutine[Any, Any, None]) -> bool:
        """Do something; whatever goes wrong is a failure, told with its place, and never ends the run."""
        try:
            await work
        except asyncio.CancelledError:
            if not self._is_ending:
                raise
            self._say(f"{what}: left, because this run is to end")
        except Exception as error:  # noqa: BLE001 - it is counted and told
            self.failures.append(f"{what}: {error!r}")
            place = traceback.extract_tb(error.__traceback__)[-1]
            self._say(f"FAILED: {what}: {error!r} ({Path(place.filename).name}:{place.lineno})")
        else:
            return True
        return False

    async def _recover(self) -> None:
        await self.faults.recover()
        self.revocations.server = self.faults.server
        await self._settled()

    def _tell_judgement(self) -> None:
        """Tell what is broken so far; what has not arrived yet may still be on its way."""
        found = self.ledger.judge(self.subscribers).items()
        judged = {each: count for each, count in found if count and each != "lost"}
        if judged:
            self._say(f"so far: {judged}")

    async def _finish(self, publishing: list[asyncio.Task[None]]) -> None:
        """Have everything run, end the publishers, and wait until all has arrived."""
        if self._is_ending:
            self._is_ending = False
            await self._try("recovery at the end", self._recover())
        for task in publishing:
            task.cancel()
        for ended in await asyncio.gather(*publishing, return_exceptions=True):
            if isinstance(ended, Exception):
                self.failures.append(f"a publisher ended: {ended!r}")
        await self._all_received()

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
    workers: int = 1,
) -> dict[str, Any]:
    """Start two servers and nodes, run the rounds, end everything. ``seconds``: begin no round after so many."""
    config = f"{CONFIG}[server]\nworkers = {workers}\n"
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
            print(f"seed {seed}, {rounds} rounds, {nodes} nodes", file=sys.stderr, flush=True)
            with ending_in_order(chaos):
                return {"seed": seed} | await chaos.run(rounds, subscribers, only, deadline)
        finally:
            await links.close()
            running.finish()
            for each in (server, replica):
                each.kill()


@contextmanager
def ending_in_order(chaos: NodesChaos) -> Iterator[None]:
    """Have a signal end the run with its report during a ``with``; the second one ends it at once."""
    loop = asyncio.get_running_loop()
    running = asyncio.current_task()
    assert running is not None
    given = 0

    def end() -> None:
        nonlocal given
        given += 1
        if given == 1:
            chaos.end()
        else:
            running.cancel()

    for number in ENDING:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in ENDING:
            loop.remove_signal_handler(number)
