"""Revoked keys: on nodes that can hear of it, within a second; on a node that is away, as soon as it is back."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from support.nodes import Nodes
from support.nodes_chaos.closings import Kept, await_closed
from support.nodes_chaos.ledger import Ledger
from support.redis_server import RedisServer
from support.wire_client import WireClient, open_client
from swim_server.keys.audit import Actor
from swim_server.keys.store import IssuedKey

REVOKED_SECONDS = 1.0
TOLD_SECONDS = 1.5
"""So long ``keys revoke`` waits until nodes have answered; then it names those that have not."""
CLIENT_SECONDS = 30.0
ACTOR = Actor("test", "test")


class Revocations:
    """Revokes keys and judges by the log of each node when it closed their connections."""

    def __init__(self, nodes: Nodes, ledger: Ledger, chance: random.Random) -> None:
        self.nodes = nodes
        self.ledger = ledger
        self.server: RedisServer = nodes.server
        self.held_up = 0.0
        """The longest time for which this program, which has nothing to do with the nodes, did not run."""
        self.held_up_most = 0.0
        self.last = ""
        """What there is to tell of the last revocation."""
        self.away = ""
        """What there is to tell of a revocation while a node was away."""
        self._chance = chance

    async def watch_own_delay(self) -> None:
        """Measure how long this program is kept from the processor, or busy, until cancelled."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            self.held_up = max(self.held_up, time.monotonic() - began - 0.01)
            self.held_up_most = max(self.held_up_most, self.held_up)

    async def check(self) -> None:
        """Revoke a key with a client on each node, through one of them."""
        issued, clients = await self._connect(range(len(self.nodes.daemons)))
        asked = self._chance.randrange(len(self.nodes.daemons))
        self.held_up = 0.0
        kept = self._kept()
        answer, began, answered = await asyncio.to_thread(self._revoke, issued, asked)
        closed = [await await_closed(daemon, issued.record.id) - began for daemon in self.nodes.daemons]
        kept_seconds = kept.seconds()
        async with asyncio.timeout(CLIENT_SECONDS):
            await asyncio.gather(*(client.closed() for client in clients))
        seen = time.time() - began
        self.judge(closed, answered, seen, kept_seconds, answer["silent_nodes"])

    def judge(self, closed: list[float], answered: float, seen: float, kept: float, silent: list[str]) -> None:
        """Note what was late: by the nodes, by a machine that did not let them run, or in this program alone."""
        ledger, seconds = self.ledger, max(closed)
        ledger.revoked += 1
        ledger.slowest_revocation = max(ledger.slowest_revocation, seconds)
        ledger.slowest_seen = max(ledger.slowest_seen, seen)
        late = max(seconds, TOLD_SECONDS if silent else 0.0)
        self.last = f"revoked in {seconds:.2f} s (told after {answered:.2f} s, clients knew after {seen:.2f} s)"
        if late <= REVOKED_SECONDS:
            ledger.seen_late += seen > REVOKED_SECONDS
            return
        found = ledger.revoked_late if late - kept > REVOKED_SECONDS else ledger.revoked_late_by_machine
        found.append(round(seconds, 2))
        each = ", ".join(f"node{number} {after:.2f} s" for number, after in enumerate(closed))
        self.last += (
            f" LATE: {each}; silent: {', '.join(silent) or 'nobody'}; the processes waited {kept:.2f} s for a "
            f"processor, this program was held up for {self.held_up:.2f} s"
        )

    @asynccontextmanager
    async def on_node_away(self, number: int) -> AsyncIterator[None]:
        """Revoke a key of a node during a ``with`` in which that can't be told of it; judge when it has closed it.

        The node closes it within a second after it is back, if it did not before: it may have looked by itself.
        """
        issued, (client,) = await self._connect([number])
        revoking = asyncio.create_task(self._revoke_without(issued, number))
        try:
            yield
        finally:
            back, kept = time.time(), self._kept()
        await revoking
        after = await await_closed(self.nodes[number], issued.record.id) - back
        seconds, kept_seconds = max(after, 0.0), kept.seconds()
        async with asyncio.timeout(CLIENT_SECONDS):
            await client.closed()
        ledger = self.ledger
        ledger.closed_after_return.append(seconds)
        ledger.closed_while_away += after < 0
        self.away = f"revoked meanwhile, closed {after:+.2f} s after the return, "
        if seconds > REVOKED_SECONDS:
            is_late = seconds - kept_seconds > REVOKED_SECONDS
            (ledger.back_late if is_late else ledger.back_late_by_machine).append(round(seconds, 2))
            self.away += f"LATE: the processes waited {kept_seconds:.2f} s for a processor, "

    async def _revoke_without(self, issued: IssuedKey, number: int) -> None:
        await asyncio.sleep(0.5)
        asked = (number + 1) % len(self.nodes.daemons)
        answer, _, _ = await asyncio.to_thread(self._revoke, issued, asked)
        self.ledger.unnamed += answer["silent_nodes"] != [f"node{number}"]

    def _revoke(self, issued: IssuedKey, asked: int) -> tuple[dict[str, Any], float, float]:
        """Return the answer of ``keys revoke``, when it was asked, and how long it took."""
        self.nodes.store.revoke(issued.record.id, None, ACTOR)
        began = time.time()
        answer = self.nodes[asked].call("key_changed", {"key_id": issued.record.id})
        return answer, began, time.time() - began

    async def _connect(self, numbers: list[int] | range) -> tuple[IssuedKey, list[WireClient]]:
        issued = await asyncio.to_thread(self.nodes.make_key, "partner")
        clients = []
        for number in numbers:
            client = await open_client(self.nodes[number].url, issued.api_key)
            answer = await client.next()
            if answer["type"] != "connected":
                raise AssertionError(f"a client of the tier partner was turned away: {answer}")
            clients.append(client)
        return issued, clients

    def _kept(self) -> Kept:
        engine = self.server.process
        return Kept([daemon.info.pid for daemon in self.nodes.daemons] + ([] if engine is None else [engine.pid]))
