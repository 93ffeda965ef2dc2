"""This node among the others: its heartbeat, slots for connections, and messages between nodes."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.redis_stream.broker import RedisBroker
from swim_server.cluster.admission import SharedAdmission
from swim_server.cluster.answers import Answers
from swim_server.cluster.key_changes import KIND as KEY_KIND
from swim_server.cluster.key_changes import KeyChanges
from swim_server.cluster.line import Line
from swim_server.cluster.membership import LEASE_SECONDS, Node, NodeReport, read_nodes
from swim_server.cluster.messages import MessageTail
from swim_server.cluster.questions import KIND as ASK_KIND
from swim_server.cluster.questions import Questions
from swim_server.cluster.scripts import BEAT, LEAVE
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.concurrency.tasks import Tasks
from swim_server.errors import ExitKind, OperatorError
from swim_server.logs import get_logger

if TYPE_CHECKING:
    from swim_server.brokers.redis_stream.tail import Message

BEAT_SECONDS = 1.0
WAIT_SECONDS = 0.2
GRACE_SECONDS = 2.5
"""How long new clients wait after a new order of ids began, so that every node first reports its connections."""
PROBE_SECONDS = 2.0
PROBE_LIMIT_SECONDS = 8.0
"""A node whose own event has not come back for this long is not ready for clients."""
NAMESAKE_SECONDS = 2.5
"""How long a start looks whether another process reports under this node's name."""
NAMESAKE_BEATS = 3
LOOK_SECONDS = 0.2
AWAY_SECONDS = 5.0
"""A node that has not reported for so long may have lost its slots to others."""
IDENTIFY_SECONDS = 5.0

_log = get_logger("cluster")


class NameTaken(OperatorError):
    """Another process is a node with this name."""

    exit_kind = ExitKind.WRONG_USAGE


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
        self.report = NodeReport(configuration=configuration)
        """What this node reports about itself."""
        self.describe: Callable[[NodeReport], NodeReport] = lambda report: report
        """Updates the report."""
        self.on_excess: Callable[[str, int], None] | None = None
        """Called to give up connections of a tier: this node was away, and other nodes used its slots."""
        self.identify_keys: Callable[[], Awaitable[str]] | None = None
        """Returns a digest that tells this node's key database from another one; empty: not known yet."""
        self._keys_asked_at = float("-inf")
        self._beaten_at: float | None = None
        """When it last reported with success."""
        self._tasks = tasks
        self._clock = clock
        self._writer = secrets.token_hex(4)
        self._beats = 0
        """Numbers the reports, so that the server ignores one that an earlier connection delivers late."""
        self._foreign_beats = 0
        """How many times in a row another process had reported under this node's name."""
        self._probe_sent_at = float("-inf")
        self._probe_seen_at: float | None = None
        self.answers = Answers(self.node, self.line, clock)
        self.keys = KeyChanges(self.node, self.answers, tasks, clock)
        self.questions = Questions(self.node, self.line, self.answers, clock)
        self.messages = MessageTail(broker.server, broker.names, clock)
        self.messages.on_message = self._receive
        self.messages.on_attached = self.keys.attached
        self.messages.on_revision = self.keys.look
        broker.tail.on_message = self._note_probe

    @property
    def probe_age_seconds(self) -> float | None:
        """How long ago an event of this node came back through the stream; None: none has yet."""
        return None if self._probe_seen_at is None else self._clock.monotonic() - self._probe_seen_at

    @property
    def readiness_problem(self) -> str | None:
        """Why clients should go to another node; None: events come through."""
        if self.has_namesake:
            return "another process has this node's name"
        age = self.probe_age_seconds
        if age is None or age > PROBE_LIMIT_SECONDS:
            return "events do not come through from the other nodes"
        return None

    @property
    def has_namesake(self) -> bool:
        """Whether another process reports under this node's name: neither's connections are counted properly."""
        return self._foreign_beats >= NAMESAKE_BEATS

    # The heartbeat.

    async def join(self, *, is_successor: bool) -> None:
        """Report for the first time. Raises NameTaken; ``is_successor``: this process continues as the node.

        What a node of the same home left behind when it was killed is replaced at once.
        """
        with contextlib.suppress(BrokerUnavailable):  # it joins as soon as it can
            if not is_successor:
                await self._look_for_namesake()
            await self.messages.begin(self.line)
        await self.beat()

    async def _look_for_namesake(self) -> None:
        before = await self._find_namesake()
        deadline = self._clock.monotonic() + NAMESAKE_SECONDS
        while before is not None and self._clock.monotonic() < deadline:
            await self._clock.sleep(LOOK_SECONDS)
            now = await self._find_namesake()
            if now is not None and now.report.clock_ms != before.report.clock_ms:
                where = f"pid {now.report.pid}, {now.report.url or 'no address yet'}"
                raise NameTaken(
                    f"another process ({where}) is node {self.node!r} on {self.broker.server.address.shown}: "
                    "give [cluster] node another name here, or [broker] another prefix"
                )

    async def _find_namesake(self) -> Node | None:
        home = self._current_report().home
        found = [node for node in await self.nodes() if node.name == self.node and node.report.home != home]
        return next((node for node in found if not node.is_silent), None)

    async def run(self) -> None:
        """Report that this node is alive, take slots, and follow the messages of other nodes, until cancelled."""
        async with asyncio.TaskGroup() as running:
            running.create_task(self.messages.run())
            running.create_task(self.keys.watch_alone(lambda: self.messages.is_deaf or self.trouble is not None))
            running.create_task(self._run_heartbeat())

    async def _run_heartbeat(self) -> None:
        while True:
            if self.is_paused:
                self.admission.wake.clear()
            else:
                await self.beat()
            waits = WAIT_SECONDS if self.admission.takes else BEAT_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(waits):  # until Python 3.12, ``wait_for`` may swallow a cancellation
                    await self.admission.wake.wait()

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
            self._beats += 1
            was_alive, self.alive, flat, answers, is_foreign, revision = await self.line.report(
                BEAT,
                (names.nodes, names.places, names.state, names.control, names.beats),
                self.node,
                int(LEASE_SECONDS * 1000),
                int(GRACE_SECONDS * 1000),
                msgspec.json.encode(self._current_report()),
                msgspec.json.encode(admission.counts()),
                int(is_probe_due),
                self._writer,
                self._beats,
                len(takes),
                *words,
            )
        except BrokerUnavailable as error:
            self._fail(error)
            for take in takes:
                admission.decide_alone(take)
            return
        self._note_namesake(is_foreign=bool(is_foreign))
        self.keys.heard(revision)
        if is_probe_due:
            self._probe_sent_at = now
        if self.trouble is not None:
            self.trouble = None
            _log.info("the other nodes can see this node again", was_counted=bool(was_alive))
        for take, answer in zip(takes, answers, strict=True):
            admission.decide(take, answer.decode())
        totals = {name.decode(): int(count) for name, count in zip(flat[::2], flat[1::2], strict=True)}
        admission.settle(totals)
        # That it was away it must know by itself, too: the answer that said so may have been lost.
        if self._beaten_at is not None and (not was_alive or now - self._beaten_at > AWAY_SECONDS):
            self._give_up_excess()
        self._beaten_at = now
        self.keys.tell_late()
        if not self.report.keys and self._clock.monotonic() >= self._keys_asked_at + IDENTIFY_SECONDS:
            self._keys_asked_at = self._clock.monotonic()
            self._tasks.start(self._identify_keys())

    async def _identify_keys(self) -> None:
        if self.identify_keys is not None:
            self.report = msgspec.structs.replace(self.report, keys=await self.identify_keys())

    def _note_namesake(self, *, is_foreign: bool) -> None:
        had = self.has_namesake
        self._foreign_beats = self._foreign_beats + 1 if is_foreign else 0
        if self.has_namesake and not had:
            _log.error("another process has this node's name: give [cluster] node another one", node=self.node)

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
            trouble=self.broker.tail.trouble or self.messages.trouble,
            has_namesake=self.has_namesake,
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
        await self.questions.close()
        names = self.broker.names
        if is_leaving:
            with contextlib.suppress(BrokerUnavailable):  # its lease expires by itself
                await self.line.script(LEAVE, (names.nodes, names.places, names.beats), self.node)
        await self.line.close()

    async def nodes(self) -> list[Node]:
        """Return all nodes, by name. Raises BrokerUnavailable."""
        return await read_nodes(self.line)

    def _note_probe(self, message: Message) -> None:
        """Note that an event of this node has come through, with all events before it."""
        if message.fields.get("kind") == "probe" and message.fields.get("node") == self.node:
            self._probe_seen_at = self._clock.monotonic()

    def _receive(self, message: Message, is_fresh: bool) -> None:
        """Handle a message of a node, which may be this one."""
        kind = message.fields.get("kind")
        if kind == KEY_KIND:
            self.keys.receive(message, is_fresh=is_fresh)
        elif kind == ASK_KIND:
            self.questions.receive(message)
