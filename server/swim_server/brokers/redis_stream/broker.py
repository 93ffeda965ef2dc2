"""The broker of several nodes: the server gives ids and keeps the order, this node's copy is read and delivered."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from swim_server.brokers.broker import BrokerUnavailable, Deliver, HistorySpan, InvalidEvent, Page, Published
from swim_server.brokers.history_file import FileOptions
from swim_server.brokers.pending import Call, Pending
from swim_server.brokers.redis_stream.commits import Commits, Encoded, Fence, encode_call, newest_of
from swim_server.brokers.redis_stream.errors import ServerRefused
from swim_server.brokers.redis_stream.local_copy import LocalCopy
from swim_server.brokers.redis_stream.names import Names
from swim_server.brokers.redis_stream.server import Server, ServerAddress
from swim_server.brokers.redis_stream.stream_state import last_stored
from swim_server.brokers.redis_stream.tail import Tail
from swim_server.brokers.served_history import Intervals
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.logs import get_logger
from swim_server.protocol.event_id import MAX_MILLISECONDS, ZERO, EventId
from swim_server.protocol.events import Event, NewEvent

if TYPE_CHECKING:
    from swim_server.brokers.broker import StorageState
    from swim_server.brokers.counters import Counters
    from swim_server.brokers.retention import Retention

COMMIT_EVENTS = 1000
PENDING_EVENTS = 20_000
OPEN_SECONDS = 30.0
"""How long a start waits until this node has everything that the others published while it was away."""
OWN_TAIL_SECONDS = 5.0
"""How long an answer waits until this node has seen the event in the stream. It is stored there in any case."""

_log = get_logger("broker")


class RedisBroker:
    """One node's broker. An acknowledged event is in the server's stream and, as a rule, in this node's copy.

    While the server is unavailable nothing can be published; what was copied can still be read and resumed from.
    """

    def __init__(
        self,
        path: Path,
        address: ServerAddress,
        *,
        prefix: str = "swim",
        node: str,
        clock: Clock = SYSTEM_CLOCK,
        now_ms: Callable[[], int] | None = None,
        retention: Retention,
        options: FileOptions = FileOptions(),
        intervals: Intervals = Intervals(),
    ) -> None:
        self.node = node
        self.names = Names(prefix)
        self.server = Server(address)
        self.copy = LocalCopy(path, clock=clock, retention=retention, options=options, intervals=intervals)

        def now() -> str:
            """Return the time from which ids are made; empty: the server uses its own."""
            moment = None if now_ms is None else now_ms()
            return "" if moment is None else str(moment if 0 <= moment < MAX_MILLISECONDS else 0)

        self.tail = Tail(self.server, self.names, self.copy, clock=SYSTEM_CLOCK, now=now)
        self._commits = Commits(
            self.server, self.names, self.tail, writer=f"{node}:{secrets.token_hex(4)}", clock=SYSTEM_CLOCK, now=now,
            retention=retention,
        )  # fmt: skip
        self._commit_turn = asyncio.Lock()
        self._pending = Pending(PENDING_EVENTS)
        self._committer_task: asyncio.Task[None] | None = None
        self._tail_task: asyncio.Task[None] | None = None
        self._late_task: asyncio.Task[None] | None = None
        self._closing_task: asyncio.Task[None] | None = None
        self._last_published = ZERO
        self.on_opened_late: Callable[[EventId], None] | None = None

    @property
    def newest_id(self) -> EventId:
        """The last id delivered; ``ZERO`` before the first."""
        return self.copy.newest_id

    @property
    def epoch(self) -> str:
        """Identifies the order of events of this node's copy."""
        return self.copy.epoch

    @property
    def counters(self) -> Counters:
        """What this node has done."""
        return self.copy.counters

    @property
    def on_unreadable(self) -> Callable[[EventId, EventId], None] | None:
        """Called with each range of the copy that no longer holds what was stored."""
        return self.copy.on_unreadable

    @on_unreadable.setter
    def on_unreadable(self, told: Callable[[EventId, EventId], None] | None) -> None:
        self.copy.on_unreadable = told

    async def open(self, deliver: Deliver) -> None:
        """Connect and copy what is missing. Raises ServerRefused; BrokerUnavailable if there is nothing to serve.

        A node that has a copy starts without the server too, and publishes as soon as the server is available.
        """
        await self.copy.open(deliver)
        self._tail_task = asyncio.create_task(self.tail.run(), name="stream-tail")
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(OPEN_SECONDS):
                    await self._wait_until(self._has_started)
            if self.tail.refusal is not None:
                raise self.tail.refusal
            if self.tail.last_read_at is None and self.tail.trouble and (await self.copy.look()).is_empty:
                raise ServerRefused(f"{self.tail.trouble}; a node that has no history yet can't start without it")
            if not self._has_started():
                _log.warning("not everything is copied yet: the rest follows")
        except BaseException:
            await self.close()
            raise
        if self.tail.last_read_at is None:
            self._late_task = asyncio.create_task(self._begin_late(), name="stream-late")
        else:
            self.copy.begin()
        self._committer_task = asyncio.create_task(self._run(), name="stream-committer")

    def _has_started(self) -> bool:
        must_wait = self.tail.is_loading and self.copy.newest_id == ZERO
        return self.tail.last_read_at is not None or (self.tail.failures > 0 and not must_wait)

    async def _begin_late(self) -> None:
        """Let the live stream begin after what is copied, if the server was unavailable at the start."""
        await self._wait_until(lambda: self.tail.last_read_at is not None)
        if self.on_opened_late is not None:
            self.on_opened_late(self.copy.newest_id)
        self.copy.begin()

    async def publish(self, events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        """Store, then deliver, then answer. ``durable``: this node's copy is on its disk too."""
        published: list[Published] = []
        if events:
            if self._committer_task is None:
                raise BrokerUnavailable("it is not open")
            published = await self._pending.put(tuple(events))
            await self._seen(published)
        if durable:
            await self.copy.sync()
        return published

    async def publish_fenced(
        self, fence: Fence, events: Sequence[NewEvent], *, durable: bool = False
    ) -> list[Published]:
        """Publish for a leased source. Raises Fenced if another node runs it by now."""
        published: list[Published] = []
        if events:
            encoded = encode_call(events)
            if isinstance(encoded, InvalidEvent):
                raise encoded
            async with self._commit_turn:
                (answer,) = await self._store([encoded], fence)
            if isinstance(answer, InvalidEvent):
                raise answer
            published = answer
            await self._seen(published)
        if durable:
            await self.copy.sync()
        return published

    async def read(
        self,
        after: EventId,
        until: EventId | None = None,
        *,
        types: Collection[str] | None = None,
        limit: int = 500,
    ) -> Page:
        """Read a page of this node's copy."""
        return await self.copy.read(after, until, types=types, limit=limit)

    async def read_last(
        self, count: int, *, types: Collection[str] | None = None, before: EventId | None = None
    ) -> list[Event]:
        """Read the newest events of this node's copy."""
        return await self.copy.read_last(count, types=types, before=before)

    async def has_gap(self, after: EventId, *, types: Collection[str] | None = None) -> bool:
        """Tell whether an event after ``after`` may be gone. Waits for an id that another node gave."""
        if after > self.copy.newest_id and self.tail.epoch is not None:
            with contextlib.suppress(BrokerUnavailable):
                await self._reach(min(after, await self._last_stored()))
        return await self.copy.has_gap(after, types=types)

    async def span(self) -> HistorySpan:
        """Return what this node's copy contains."""
        return await self.copy.span()

    async def state(self) -> StorageState:
        """Return the state of the copy and of the connection to the server. Never raises."""
        state = await self.copy.state()
        return msgspec.structs.replace(state, writing_problem=self.tail.trouble or state.writing_problem)

    async def close(self) -> None:
        """Store what is pending, then release all resources. Idempotent."""
        if self._closing_task is None:
            self._closing_task = asyncio.create_task(self._close(), name="stream-closing")
        await asyncio.shield(self._closing_task)

    async def _close(self) -> None:
        self._commits.is_closing = True
        self._pending.close()
        if self._committer_task is not None:
            await self._committer_task
            with contextlib.suppress(BrokerUnavailable):
                await self._reach(self._last_published)
        tasks = [task for task in (self._tail_task, self._late_task) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._commits.close()
        await self.copy.close()

    # Storing.

    async def _run(self) -> None:
        """Commit what waits. Ends when closed and nothing waits."""
        while self._pending or not self._pending.is_closed:
            await self._pending.wake.wait()
            self._pending.wake.clear()
            while calls := self._pending.take(COMMIT_EVENTS):
                async with self._commit_turn:
                    await self._commit(calls)

    async def _commit(self, calls: Sequence[Call]) -> None:
        encoded = [encode_call(call.events) for call in calls]
        sound = [each for each in encoded if isinstance(each, Encoded)]
        try:
            answers = iter(await self._store(sound) if sound else ())
        except BrokerUnavailable as error:
            for call in calls:
                call.answer(type(error)(error.reason))
            return
        except Exception as error:  # noqa: BLE001 - whatever it was, those who wait must hear of it
            _log.exception("storing events failed")
            for call in calls:
                call.answer(BrokerUnavailable(f"an internal error, see the log: {error!r}"))
            return
        for call, each in zip(calls, encoded, strict=True):
            call.answer(each if isinstance(each, InvalidEvent) else next(answers))

    async def _store(
        self, calls: Sequence[Encoded], fence: Fence | None = None
    ) -> list[list[Published] | InvalidEvent]:
        try:
            answers = await self._commits.store(calls, fence)
        except BrokerUnavailable:
            self.counters.failures += 1
            raise
        for answer in answers:
            if isinstance(answer, list):
                duplicates = sum(published.duplicate for published in answer)
                self.counters.duplicates += duplicates
                self.counters.events_published += len(answer) - duplicates
                self._last_published = max(self._last_published, newest_of(answer))
        return answers

    async def _seen(self, published: Sequence[Published]) -> None:
        """Wait until this node has seen in the stream what it published, so that it can be read here."""
        await self._reach(newest_of(published))

    async def _reach(self, event_id: EventId) -> None:
        """Wait until the copy has reached an id, for a bounded time."""
        if self.copy.newest_id >= event_id:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OWN_TAIL_SECONDS):
                await self._wait_until(lambda: self.copy.newest_id >= event_id)

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        async with self.tail.changed:
            await self.tail.changed.wait_for(condition)

    async def _last_stored(self) -> EventId:
        session = await self.server.open(self.names.state)
        try:
            return await last_stored(session, self.names)
        finally:
            await session.close()
