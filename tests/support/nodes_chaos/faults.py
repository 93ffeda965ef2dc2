"""What is done to nodes and to the server that they share. Each fault ends with everything running again."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from support.daemon import NotAnswering
from support.live_daemon import comes_true
from support.nodes import Nodes
from support.nodes_chaos.ledger import Ledger
from support.nodes_chaos.links import Links
from support.nodes_chaos.traffic import Publisher
from support.redis_server import RedisServer
from support.wire_client import open_client
from swim_server.keys.audit import Actor

END_SECONDS = 60.0
PAUSE_SECONDS = 12.0
"""Longer than a lease."""
ACTOR = Actor("test", "test")
EXCESS_ALLOWED = ("pause a node for longer than a lease", "cut a node off")
"""A node that is away keeps its clients, and its slots are given to others after a lease (OPERATING.md)."""


class Faults:
    """All of them, by name."""

    def __init__(
        self, nodes: Nodes, replica: RedisServer, links: Links, ports: list[int], publishers: list[Publisher],
        ledger: Ledger, chance: random.Random,
    ) -> None:  # fmt: skip
        self.nodes = nodes
        self.server = nodes.server
        self.replica = replica
        self.links = links
        self.ports = ports
        self.publishers = publishers
        self.ledger = ledger
        self.chance = chance
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

    async def stop_node(self) -> None:
        number = self._any_node()
        await self._end(number, signal.SIGTERM)
        await asyncio.sleep(self.chance.uniform(0, 2))
        await self._start(number)

    async def restart_node(self) -> None:
        number = self._any_node()
        daemon, before = self.nodes[number], self.nodes[number].info.pid
        with suppress(NotAnswering):  # on a busy machine it takes longer than a call waits
            await asyncio.to_thread(daemon.call, "restart", {})
        await comes_true(lambda: daemon.info.pid != before, seconds=END_SECONDS, what="the restart of a node")

    async def _end(self, number: int, how: signal.Signals) -> None:
        """End the process that serves now, which may have taken over from the one that was started."""
        daemon = self.nodes[number]
        daemon.signal(how)
        await comes_true(lambda: not daemon.is_serving, seconds=END_SECONDS, what="the end of a node")
        await asyncio.to_thread(daemon.kill)

    async def _start(self, number: int) -> None:
        await asyncio.to_thread(self.nodes[number].start)
        self.ports[number] = self.nodes[number].port

    async def pause_node(self) -> None:
        number = self._any_node()
        daemon = self.nodes[number]
        self._use(number, is_usable=False)
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
        """Cut one node's way to the server, revoke a key meanwhile, and see that the node closes it when it is back."""
        number = self._any_node()
        issued = await asyncio.to_thread(self.nodes.make_key, "partner")
        client = await open_client(self.nodes[number].url, issued.api_key)
        assert (await client.next())["type"] == "connected"
        self.links.cut(number)
        started, seconds = time.monotonic(), self.chance.choice((2.0, 6.0, PAUSE_SECONDS))
        try:
            await asyncio.sleep(0.5)
            asked = self.nodes[(number + 1) % len(self.nodes.daemons)]
            await asyncio.to_thread(self.nodes.store.revoke, issued.record.id, None, ACTOR)
            answer = await asyncio.to_thread(asked.call, "key_changed", {"key_id": issued.record.id})
            self.ledger.unnamed += answer["silent_nodes"] != [f"node{number}"]
            await asyncio.sleep(max(started + seconds - time.monotonic(), 0))
        finally:
            self.links.mend(number)
        ended = time.monotonic()
        await client.closed()
        self.ledger.closed_after_return.append(time.monotonic() - ended)

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
