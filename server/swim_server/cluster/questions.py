"""What one node asks the others, for an operator who may be on any of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.cluster.membership import read_nodes
from swim_server.concurrency.tasks import Tasks
from swim_server.logs import get_logger

if TYPE_CHECKING:
    from swim_server.brokers.redis_stream.tail import Message
    from swim_server.cluster.answers import Answers
    from swim_server.cluster.line import Line
    from swim_server.concurrency.clock import Clock

KIND = "ask"
ASK_SECONDS = 5.0
CLOSE_SECONDS = 2.0
LOOK_SECONDS = 0.02
LATE_MS = 10_000
"""A question is answered only for this long: a node that was away for minutes must not restart when it is back."""

_log = get_logger("cluster")


class Reply(msgspec.Struct, kw_only=True):
    """What a node answers: one of both."""

    result: msgspec.Raw = msgspec.Raw(b"null")
    error: dict[str, Any] | None = None
    """Code, message and data of an error."""


class Replies(msgspec.Struct, frozen=True):
    """What the nodes asked have answered."""

    found: dict[str, Reply]
    silent: list[str]
    """Live nodes that have not answered in time."""


class Questions:
    """Asks other nodes, and answers them."""

    def __init__(self, node: str, line: Line, answers: Answers, clock: Clock) -> None:
        self.on_question: Callable[[str, Mapping[str, object]], Awaitable[Reply]] | None = None
        """Called with a method and its params when another node asks this one."""
        self._node = node
        self._clock = clock
        self._line = line
        self._answers = answers
        self._answering = Tasks(_tell)
        """Of its own: what asked this process to end is answered before it does."""

    async def names(self) -> list[str]:
        """Return the names of all live nodes. Raises BrokerUnavailable."""
        return [node.name for node in await read_nodes(self._line) if node.is_alive]

    async def ask(
        self, method: str, params: Mapping[str, object], *, node: str | None = None, seconds: float = ASK_SECONDS
    ) -> Replies:
        """Ask one other node, or all others. Raises BrokerUnavailable."""
        text = msgspec.json.encode(params).decode()
        message_id = await self._answers.send({"kind": KIND, "to": node or "", "method": method, "params": text})
        collected = await self._answers.collect(message_id, seconds, nodes=None if node is None else [node])
        found = {name: msgspec.json.decode(answer, type=Reply) for name, answer in collected.found.items()}
        return Replies(found, collected.silent)

    def receive(self, message: Message) -> None:
        """Answer, if this node is asked."""
        fields = message.fields
        if fields.get("node") != self._node and fields.get("to", "") in ("", self._node):
            self._answering.start(self._answer(message))

    async def close(self) -> None:
        """Finish the answers under way, for a bounded time."""
        deadline = self._clock.monotonic() + CLOSE_SECONDS
        while self._answering and self._clock.monotonic() < deadline:
            await self._clock.sleep(LOOK_SECONDS)
        await self._answering.close()

    async def _answer(self, message: Message) -> None:
        if self.on_question is None or await self._is_late(message):
            return
        params = msgspec.json.decode(message.fields.get("params", "{}"), type=dict[str, object])
        reply = await self.on_question(message.fields.get("method", ""), params)
        await self._answers.give(message.id, msgspec.json.encode(reply))

    async def _is_late(self, message: Message) -> bool:
        seconds, _ = await self._line.call("TIME")
        is_late = int(seconds) * 1000 - int(message.id.partition("-")[0]) > LATE_MS
        if is_late:
            _log.warning("a question of another node is too old to be answered", method=message.fields.get("method"))
        return is_late


def _tell(error: BaseException) -> None:
    _log.error("a question of another node can't be answered", reason=repr(error))
