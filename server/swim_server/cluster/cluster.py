"""This node among the others: its heartbeat, slots for connections, and messages between nodes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.redis_stream.broker import RedisBroker
from swim_server.brokers.redis_stream.stream_state import StreamState
from swim_server.brokers.redis_stream.tail import Message
from swim_server.cluster.admission import SharedAdmission
from swim_server.cluster.line import Line
from swim_server.cluster.membership import LEASE_SECONDS, Node, NodeReport, read_nodes
from swim_server.cluster.scripts import BEAT, LEAVE
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.concurrency.tasks import Tasks
from swim_server.logs import get_logger

BEAT_SECONDS = 1.0
WAIT_SECONDS = 0.2
GRACE_SECONDS = 2.5
"""How long new clients wait after a new order of ids began, so that every node first reports its connections."""
PROBE_SECONDS = 2.0
PROBE_LIMIT_SECONDS = 8.0
"""A node whose own event has not come back for this long is not ready for clients."""
TOLD_SECONDS = 1.5
"""How long the answers of other nodes are waited for."""
LOOK_SECONDS = 0.02

_log = get_logger("cluster")


class Told(msgspec.Struct, frozen=True):
    """The result of announcing a change to all nodes."""

    closed: int
    """Connections closed by the other nodes."""
    silent: list[str]
    """Live nodes that have not answered."""


class Cluster:
    """What this node does for and with the others."""

    def __init__(
        self,
        broker: RedisBroker,
        admission: SharedAdmission,
        tasks: Tasks,
        *,
        configuration: str,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.node = broker.node
        self.broker = broker
        self.admission = admission
        self.line = Line(broker.server, broker.names)
        self.is_paused = False
        """Whether another process of this node reports for it."""
        self.trouble: str | None = None
        """Why the server does not know this node's current state."""
        self.alive = 1
        """Number of nodes, including this one, as of the last heartbeat."""
        self.on_key_changed: Callable[[int, str | None], Awaitable[int]] | None = None
        """Called for a key that changed on another node; the text is an ending that is not stored yet."""
        self.on_keys_unknown: Callable[[], Awaitable[None]] | None = None
        """Called if changes of some keys may have been missed: all must be checked."""
        self.report = NodeReport(configuration=configuration)
        """What this node reports about itself."""
        self.describe: Callable[[NodeReport], NodeReport] = lambda report: report
        """Updates the report."""
        self.on_excess: Callable[[str, int], None] | None = None
        """Called to give up connections of a tier: this node was away, and other nodes used its slots."""
        self._has_beaten = False
        self._tasks = tasks
        self._clock = clock
        self._probe_sent_at = float("-inf")
        self._probe_seen_at: float | None = None
        self._revision: int | None = None
        broker.tail.on_message = self._receive
        broker.tail.on_attached = self._attached

    @property
    def probe_age_seconds(self) -> float | None:
        """How long ago an event of this node came back through the stream; None: none has yet."""
        return None if self._probe_seen_at is None else self._clock.monotonic() - self._probe_seen_at

    @property
    def readiness_problem(self) -> str | None:
        """Why clients should go to another node; None: events come through."""
        age = self.probe_age_seconds
        if age is None or age > PROBE_LIMIT_SECONDS:
            return "events do not come through from the other nodes"
        return None

    # The heartbeat.

    async def run(self) -> None:
        """Report that this node is alive, and take slots, until cancelled."""
        while True:
            if not self.is_paused:
                await self.beat()
            waits = WAIT_SECONDS if self.admission.takes else BEAT_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.admission.wake.wait(), waits)

    async def beat(self) -> None:
        """Report this node's connections, and decide about those that wait for a slot."""
        admission = self.admission
        takes = admission.begin_takes()
        words: list[Any] = []
        for take in takes:
            limit = admission.limits[take.tier]
            per_key = limit.connections_per_key
            words += [take.tier, limit.connections, take.key_id, "" if per_key is None else per_key]
        now = self._clock.monotonic()
        is_probe_due = now >= self._probe_sent_at + PROBE_SECONDS
        names = self.broker.names
        try:
            was_alive, self.alive, flat, answers = await self.line.script(
                BEAT,
                (names.nodes, names.places, names.state, names.control),
                self.node,
                int(LEASE_SECONDS * 1000),
                int(GRACE_SECONDS * 1000),
                msgspec.json.encode(self._current_report()),
                msgspec.json.encode(admission.counts()),
                int(is_probe_due),
                len(takes),
                *words,
            )
        except BrokerUnavailable as error:
            self._fail(error)
            for take in takes:
                admission.decide_alone(take)
            return
        if is_probe_due:
            self._probe_sent_at = now
        if self.trouble is not None:
            self.trouble = None
            _log.info("the other nodes can see this node again", was_counted=bool(was_alive))
        for take, answer in zip(takes, answers, strict=True):
            admission.decide(take, answer.decode())
        totals = {name.decode(): int(count) for name, count in zip(flat[::2], flat[1::2], strict=True)}
        admission.settle(totals)
        if self._has_beaten and not was_alive:
            self._give_up_excess()
        self._has_beaten = True

    def _give_up_excess(self) -> None:
        """Give up connections for those that others admitted while this node's slots were free."""
        for tier, limit in self.admission.limits.items():
            excess = self.admission.totals.get(tier, 0) - limit.connections
            if excess > 0 and self.on_excess is not None:
                self.on_excess(tier, min(excess, self.admission.current(tier)))

    def _fail(self, error: BrokerUnavailable) -> None:
        if error.reason != self.trouble:
            self.trouble = error.reason
            _log.error("the other nodes can't see this node: it admits no more than its last share",
                       reason=error.reason)  # fmt: skip

    def _current_report(self) -> NodeReport:
        age = self.probe_age_seconds
        return msgspec.structs.replace(
            self.describe(self.report),
            newest_id=str(self.broker.newest_id),
            clock_ms=self._clock.now_ms(),
            probe_age_seconds=None if age is None else round(age, 1),
            trouble=self.broker.tail.trouble,
        )

    def pause(self) -> None:
        """Let another process of this node report for it."""
        self.is_paused = True

    def resume(self) -> None:
        """Report for this node again."""
        self.is_paused = False
        self.admission.wake.set()

    async def close(self, *, is_leaving: bool) -> None:
        """Close the connection. ``is_leaving``: no other process continues as this node."""
        if is_leaving:
            with contextlib.suppress(BrokerUnavailable):  # its lease expires by itself
                await self.line.script(LEAVE, (self.broker.names.nodes, self.broker.names.places), self.node)
        await self.line.close()

    async def nodes(self) -> list[Node]:
        """Return all nodes, by name. Raises BrokerUnavailable."""
        return await read_nodes(self.line)

    # Messages between nodes.

    async def tell_key_changed(self, key_id: int, ending: str | None = None) -> Told:
        """Have every node check a key again; return once all live ones have, or which have not. Never raises."""
        names = self.broker.names
        try:
            await self.line.call("HINCRBY", names.state, "revision", 1)
            message = await self.line.call(
                "XADD", names.control, "MAXLEN", "~", 1000, "*", "kind", "key", "node", self.node,
                "key", key_id, "ending", ending or "",
            )  # fmt: skip
            return await self._await_answers(message.decode())
        except BrokerUnavailable as error:
            _log.error("the other nodes can't be told that a key has changed", key_id=key_id, reason=error.reason)
            return Told(0, ["all others"])

    async def _await_answers(self, message_id: str) -> Told:
        deadline = self._clock.monotonic() + TOLD_SECONDS
        while True:
            rows = await self.line.call("HGETALL", self.broker.names.answers(message_id))
            answered = {name.decode(): int(count) for name, count in zip(rows[::2], rows[1::2], strict=True)}
            missing = [
                node.name
                for node in await self.nodes()
                if node.is_alive and node.name != self.node and node.name not in answered
            ]
            if not missing or self._clock.monotonic() >= deadline:
                return Told(sum(answered.values()), missing)
            await self._clock.sleep(LOOK_SECONDS)

    def _receive(self, message: Message) -> None:
        fields = message.fields
        is_own = fields.get("node") == self.node
        if fields.get("kind") == "probe":
            if is_own:
                self._probe_seen_at = self._clock.monotonic()
        elif fields.get("kind") == "key" and not is_own:
            self._tasks.start(self._look_at_key(message))

    async def _look_at_key(self, message: Message) -> None:
        key_id = message.fields.get("key", "")
        if not key_id.isdecimal() or self.on_key_changed is None:
            return
        closed = await self.on_key_changed(int(key_id), message.fields.get("ending") or None)
        answers = self.broker.names.answers(message.id)
        with contextlib.suppress(BrokerUnavailable):  # the node that asked reports that this one did not answer
            await self.line.call("HSET", answers, self.node, closed)
            await self.line.call("EXPIRE", answers, 60)

    def _attached(self, state: StreamState) -> None:
        """Check all keys after an absence: changes may have been missed."""
        if self._revision is not None and state.revision != self._revision and self.on_keys_unknown is not None:
            self._tasks.start(self._look_at_all_keys())
        self._revision = state.revision

    async def _look_at_all_keys(self) -> None:
        assert self.on_keys_unknown is not None, "else nothing was started"
        await self.on_keys_unknown()
