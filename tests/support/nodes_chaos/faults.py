"""What is done to nodes and to the server that they share. Each fault ends with everything running again."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from support.daemon import NotAnswering
from support.nodes import Nodes
from support.nodes_chaos.ledger import Ledger
from support.nodes_chaos.links import Links
from support.nodes_chaos.revocations import Revocations
from support.nodes_chaos.traffic import Publisher
from support.redis_server import RedisServer

from swimctl.client.control import RpcFailed

SLOW_SECONDS = 60.0
"""What takes longer is told."""
WAIT_SECONDS = 600.0
STARTS = 3
TOO_SLOW = "not ready in time; the old one keeps serving"
"""A promise kept, where a machine is too busy for a new process to start."""
PAUSE_SECONDS = 12.0
"""Longer than a lease."""
EXCESS_ALLOWED = ("pause a node for longer than a lease", "cut a node off")
"""A node that is away keeps its clients, and its slots are given to others after a lease (OPERATING.md)."""


class Faults:
    """All of them, by name."""

    def __init__(
        self, nodes: Nodes, replica: RedisServer, links: Links, ports: list[int], publishers: list[Publisher],
        ledger: Ledger, chance: random.Random, revocations: Revocations, say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.nodes = nodes
        self.server = nodes.server
        self.replica = replica
        self.links = links
        self.ports = ports
        self.publishers = publishers
        self.ledger = ledger
        self.chance = chance
        self.revocations = revocations
        self._say = say
        self.by_name: dict[str, Callable[[], Awaitable[None]]] = {
            "kill a node": self.kill_node,
            "pause a node for longer than a lease": self.pause_node,
            "cut a node off": self.cut_node_off,
            "stop a node and start it": self.stop_node,
            "restart a node": self.restart_node,
            "kill the server": self.kill_server,
            "pause the server": self.pause_server,
            "fail over to a lagging replica": self.fail_over,
            "flush the server": self.flush_server,
            "restart the server empty": self.empty_server,
        }
        if nodes[0].call("status")["workers"]:
            self.by_name["kill a worker"] = self.kill_worker
        self.lossy = {self.fail_over, self.flush_server, self.empty_server}

    def is_lossy(self, name: str) -> bool:
        """Tell whether the server loses acknowledged events."""
        return self.by_name[name] in self.lossy

    def _any_node(self) -> int:
        return self.chance.randrange(len(self.nodes.daemons))

    # Nodes.

    async def kill_node(self) -> None:
        number = self._any_node()
        await self._end(number, signal.SIGKILL)
        await asyncio.sleep(self.chance.uniform(0, 3))
        await self._start(number)

    async def kill_worker(self) -> None:
        """Kill one of a node's worker processes, which is started again."""
        daemon = self.nodes[self._any_node()]
        victim = self.chance.choice((await asyncio.to_thread(daemon.call, "status"))["workers"])
        with suppress(ProcessLookupError):
            os.kill(victim["pid"], signal.SIGKILL)

        def is_replaced() -> bool:
            now = daemon.call("status")["workers"][victim["number"] - 1]
            return bool(now["state"] == "ready" and now["pid"] != victim["pid"])

        await self._comes(is_replaced, f"the next worker {victim['number']}")

    async def stop_node(self) -> None:
        number = self._any_node()
        await self._end(number, signal.SIGTERM)
        await asyncio.sleep(self.chance.uniform(0, 2))
        await self._start(number)

    async def restart_node(self) -> None:
        number = self._any_node()
        daemon, before, began = self.nodes[number], self._serving(number), time.monotonic()
        for _ in range(STARTS):
            try:
                await asyncio.to_thread(daemon.call, "restart", {})
            except NotAnswering:  # on a busy machine it takes longer than a call waits
                break
            except RpcFailed as failed:
                if TOO_SLOW not in str(failed):
                    raise
                self._tell_slow(f"a restart of node{number} was given up, as it took too long", began)
            else:
                break
        else:
            return  # the old process keeps serving, as it must
        await self._comes(lambda: self._serving(number) not in (before, None), f"the restart of node{number}")

    def _serving(self, number: int) -> int | None:
        """Return the process that serves as a node; None: none does, at the moment."""
        info = self.nodes[number].lockfile.read()
        return None if info is None or info.url is None else info.pid

    async def _end(self, number: int, how: signal.Signals) -> None:
        """End the process that serves now, which may have taken over from the one that was started."""
        daemon, pid = self.nodes[number], self._serving(number)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, how)
        await self._comes(lambda: not daemon.is_serving, f"the end of node{number}")
        await asyncio.to_thread(daemon.kill)

    async def _start(self, number: int) -> None:
        for attempt in range(1, STARTS + 1):
            began = time.monotonic()
            try:
                await asyncio.to_thread(self.nodes[number].start)
                break
            except AssertionError:
                self._tell_slow(f"start {attempt} of node{number} failed", began)
                if attempt == STARTS:
                    raise
        self.ports[number] = self.nodes[number].port

    async def _comes(self, condition: Callable[[], bool], what: str) -> None:
        """Wait as long as it takes, and tell if that is long."""
        began = told = time.monotonic()
        while not await asyncio.to_thread(condition):
            now = time.monotonic()
            if now - began > WAIT_SECONDS:
                raise AssertionError(f"{what} did not happen within {WAIT_SECONDS:g} s")
            if now - told > SLOW_SECONDS:
                told = now
                self._say(f"still waiting for {what}, for {now - began:.0f} s")
            await asyncio.sleep(0.02)
        if time.monotonic() - began > SLOW_SECONDS:
            self._tell_slow(what, began)

    def _tell_slow(self, what: str, began: float) -> None:
        self.ledger.slow.append(f"{what}: {time.monotonic() - began:.0f} s")
        self._say(self.ledger.slow[-1])

    async def recover(self) -> None:
        """Have everything run again after a fault that ended in the middle."""
        for number in range(len(self.nodes.daemons)):
            self.links.mend(number)
            if (pid := self._serving(number)) is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            self._use(number, is_usable=True)
        if self.server.process is None:
            await asyncio.to_thread(self.server.start)
        self.server.resume()
        for number, daemon in enumerate(self.nodes.daemons):
            if not daemon.is_serving:
                await self._start(number)

    async def pause_node(self) -> None:
        number = self._any_node()
        daemon = self.nodes[number]
        self._use(number, is_usable=False)
        async with self.revocations.on_node_away(number):
            daemon.signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(PAUSE_SECONDS)
            finally:
                daemon.signal(signal.SIGCONT)
        self._use(number, is_usable=True)

    def _use(self, number: int, *, is_usable: bool) -> None:
        for publisher in self.publishers:
            (publisher.usable.add if is_usable else publisher.usable.discard)(number)

    async def cut_node_off(self) -> None:
        number, seconds = self._any_node(), self.chance.choice((2.0, 6.0, PAUSE_SECONDS))
        async with self.revocations.on_node_away(number):
            self.links.cut(number)
            try:
                await asyncio.sleep(seconds)
            finally:
                self.links.mend(number)

    # The server.

    async def kill_server(self) -> None:
        self.server.kill()
        await asyncio.sleep(self.chance.choice((0.0, 1.0, 3.0, PAUSE_SECONDS)))
        await asyncio.to_thread(self.server.start)

    async def pause_server(self) -> None:
        self.server.pause()
        try:
            await asyncio.sleep(self.chance.uniform(1, 8))
        finally:
            self.server.resume()

    async def flush_server(self) -> None:
        began = time.monotonic()
        await asyncio.to_thread(self.server.command, "FLUSHALL")
        self.ledger.lose(began)

    async def empty_server(self) -> None:
        began = time.monotonic()
        self.server.kill()
        self.server.forget()
        await asyncio.sleep(self.chance.uniform(0, 2))
        await asyncio.to_thread(self.server.start)
        self.ledger.lose(began)

    async def fail_over(self) -> None:
        """Let a replica that has stopped following take over the server's address; the server is gone for good."""
        await asyncio.to_thread(self.replica.start)
        await asyncio.to_thread(self.replica.follow, self.server)
        began = time.monotonic()
        await asyncio.to_thread(self.replica.command, "REPLICAOF", "NO", "ONE")
        await asyncio.sleep(self.chance.uniform(0.05, 1.0))
        self.server.kill()
        await asyncio.sleep(self.chance.uniform(0, 1.0))
        await asyncio.to_thread(self.replica.take_address_of, self.server)
        self.server, self.replica = self.replica, self.server
        self.replica.forget()
        self.ledger.lose(began)
