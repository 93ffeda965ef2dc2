"""Messages from one node to the others, and their answers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

import msgspec

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.cluster.membership import read_nodes
from swim_server.cluster.scripts import ANNOUNCE

if TYPE_CHECKING:
    from swim_server.cluster.line import Line
    from swim_server.concurrency.clock import Clock

TOLD_SECONDS = 1.5
"""How long the answers of other nodes are waited for."""
LOOK_SECONDS = 0.02
KEPT_SECONDS = 60
MAX_MESSAGES = 1000


class Collected(msgspec.Struct, frozen=True):
    """What the other nodes have answered."""

    found: dict[str, bytes]
    """By node."""
    silent: list[str]
    """Live nodes that have not answered."""


class Answers:
    """Sends messages to all nodes, and collects what they answer."""

    def __init__(self, node: str, line: Line, clock: Clock) -> None:
        self._node = node
        self._line = line
        self._clock = clock

    async def send(self, fields: Mapping[str, str]) -> str:
        """Send a message; return its id. Raises BrokerUnavailable."""
        sent: bytes = await self._line.call(
            "XADD", self._line.names.control, "MAXLEN", "~", MAX_MESSAGES, "*", *self._words(fields)
        )
        return sent.decode()

    async def announce(self, fields: Mapping[str, str]) -> str:
        """Send a message that a key has changed, and count it; return its id. Raises BrokerUnavailable."""
        names = self._line.names
        sent: bytes = await self._line.script(
            ANNOUNCE, (names.state, names.control), MAX_MESSAGES, *self._words(fields)
        )
        return sent.decode()

    def _words(self, fields: Mapping[str, str]) -> list[str]:
        return ["node", self._node, *(word for pair in fields.items() for word in pair)]

    async def collect(self, message_id: str, seconds: float, *, nodes: Collection[str] | None = None) -> Collected:
        """Wait until all other live nodes have answered, or those given. Raises BrokerUnavailable."""
        deadline, key = self._clock.monotonic() + seconds, self._line.names.answers(message_id)
        while True:
            answered = {name.decode() for name in await self._line.call("HKEYS", key)}
            missing = [name for name in await self._expected(nodes) if name not in answered]
            if not missing or self._clock.monotonic() >= deadline:
                rows = await self._line.call("HGETALL", key)
                found = {name.decode(): answer for name, answer in zip(rows[::2], rows[1::2], strict=True)}
                return Collected(found, missing)
            await self._clock.sleep(LOOK_SECONDS)

    async def _expected(self, nodes: Collection[str] | None) -> list[str]:
        is_expected: Callable[[str], bool] = (lambda _: True) if nodes is None else nodes.__contains__
        return [
            node.name
            for node in await read_nodes(self._line)
            if node.is_alive and node.name != self._node and is_expected(node.name)
        ]

    async def give(self, message_id: str, answer: str | bytes) -> None:
        """Answer a message. Never raises: the node that asked reports that this one did not answer."""
        answers = self._line.names.answers(message_id)
        with contextlib.suppress(BrokerUnavailable):
            await self._line.call("HSET", answers, self._node, answer)
            await self._line.call("EXPIRE", answers, KEPT_SECONDS)
