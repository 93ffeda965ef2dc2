"""The local broker: one process's history in SQLite, with commits that several publishers share."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from swim_server.brokers import history_file
from swim_server.brokers.broker import BrokerUnavailable, Deliver, HistorySpan, InvalidEvent, Page, Published
from swim_server.brokers.history import History
from swim_server.brokers.history_file import DiskTrouble, Synchronous
from swim_server.brokers.reader_pool import ReaderPool
from swim_server.brokers.retention import Retention
from swim_server.logs import get_logger
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import Event, NewEvent

COMMIT_EVENTS = 1000
"""About so many go into one commit; a single call is never divided."""
PENDING_EVENTS = 20_000
"""When so many wait, further publishers wait too, in the order in which they came."""
TICK_SECONDS = 0.25
"""How often retention, the write-ahead log and other processes' events are looked after."""

_log = get_logger("broker")
T = TypeVar("T")


class Counters(msgspec.Struct):
    """What the broker has done since it was opened."""

    events_published: int = 0
    duplicates: int = 0
    commits: int = 0
    failures: int = 0
    """Commits that could not be made, and deliveries that raised."""
    events_pruned: int = 0
    last_commit_seconds: float = 0.0


class _Call:
    """One ``publish`` that waits for its commit."""

    __slots__ = ("events", "waiter")

    def __init__(self, events: Sequence[NewEvent], waiter: asyncio.Future[list[Published]]) -> None:
        self.events = events
        self.waiter = waiter


class LocalBroker:
    """Keeps history in one file. An acknowledged event survives the death of the process at any moment.

    ``synchronous="full"`` makes it survive a power cut too. With ``normal`` the last moments before one may be
    missing; clients that resume over it are told of a gap.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock_ms: Callable[[], int],
        keep_ms: int,
        keep_positions_ms: int,
        max_bytes: int,
        synchronous: Synchronous = "normal",
        connect: history_file.Connect = history_file.connect,
        boot_id: str | None = None,
    ) -> None:
        self.path = path
        self.counters = Counters()
        self._history = History(
            path,
            clock_ms=clock_ms,
            retention=Retention(keep_ms, keep_positions_ms, max_bytes),
            synchronous=synchronous,
            connect=connect,
            boot_id=boot_id,
        )
        self._newest = ZERO
        self._deliver: Deliver = _deliver_nowhere
        self._writer: Executor = ThreadPoolExecutor(1, thread_name_prefix="history-writer")
        self._caretaker: Executor = ThreadPoolExecutor(1, thread_name_prefix="history-checkpoint")
        self._readers = ReaderPool(path, lambda: self._history.generation)
        self._pending: list[_Call] = []
        self._pending_events = 0
        self._entrance = asyncio.Lock()
        """Held by the publisher that waits for room; the others queue behind it in order."""
        self._room = asyncio.Event()
        self._wake = asyncio.Event()
        self._is_tick_due = False
        self._is_behind = False
        """Retention has more to do than it has done."""
        self._is_closing = False
        self._committer_task: asyncio.Task[None] | None = None
        self._checkpoint_waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed_waiter: asyncio.Future[None] | None = None

    @property
    def newest_id(self) -> EventId:
        """The last id handed on; ``ZERO`` before the first."""
        return self._newest

    async def open(self, deliver: Deliver) -> None:
        """Open history, or begin one. Raises BrokerUnavailable.

        Where only space is missing it opens later by itself; until then publishing and reading raise.
        """
        self._deliver = deliver
        try:
            await self._write(self._history.open)
        except DiskTrouble as error:
            _log.error("history can't be opened yet", reason=error.reason)
        self._newest = self._history.newest_shown
        self._committer_task = asyncio.create_task(self._run(), name="history-committer")
        self._set_timer()

    async def publish(self, events: Sequence[NewEvent]) -> list[Published]:
        """Store, then deliver, then answer. Cancelled before its commit began, a call leaves nothing behind."""
        if not events:
            return []
        call = _Call(tuple(events), asyncio.get_running_loop().create_future())
        async with self._entrance:
            while self._pending_events >= PENDING_EVENTS and not self._is_closing:
                self._room.clear()
                await self._room.wait()
            if self._is_closing or self._committer_task is None:
                raise BrokerUnavailable("it is closed")
            self._pending.append(call)
            self._pending_events += len(call.events)
            self._wake.set()
        return await call.waiter

    async def read(
        self,
        after: EventId,
        until: EventId | None = None,
        *,
        types: Collection[str] | None = None,
        limit: int = 500,
    ) -> Page:
        """Read a page of at most ``limit`` events and 4 MiB."""
        return await self._read(lambda reader: reader.page(after, until, types, max(limit, 1)))

    async def read_last(
        self, count: int, *, types: Collection[str] | None = None, before: EventId | None = None
    ) -> list[Event]:
        """Read the newest ``count`` events, all of them into memory."""
        return await self._read(lambda reader: reader.last(max(count, 0), types, before))

    async def has_gap(self, after: EventId, *, types: Collection[str] | None = None) -> bool:
        """Tell whether an event after ``after`` may be gone: exact to the event for what retention removed."""
        return after > self._newest or await self._read(lambda reader: reader.has_gap(after, types))

    async def span(self) -> HistorySpan:
        """Tell what history holds; of a large one, the number of events is carried on rather than counted anew."""
        oldest, newest = await self._read(lambda reader: reader.span())
        return HistorySpan(oldest, newest, await self._count_events(), await self._readers.run(self._size_bytes))

    async def close(self) -> None:
        """Store what is pending, deliver it, let go of the file. Idempotent, and safe to call at once twice."""
        if self._closed_waiter is None:
            self._closed_waiter = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closed_waiter)

    async def _close(self) -> None:
        self._is_closing = True
        self._room.set()
        self._wake.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._committer_task is not None:
            await self._committer_task
        if self._checkpoint_waiter is not None:
            await asyncio.wait([self._checkpoint_waiter])
        await self._readers.close()
        await self._write(self._history.close)
        self._writer.shutdown(wait=False)
        self._caretaker.shutdown(wait=False)

    async def _run(self) -> None:
        """Commit whatever waits; between commits, look after the file. Ends when closing and nothing waits."""
        while self._pending or not self._is_closing:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                await self._commit()
                if self._is_behind:
                    await self._prune()
            if self._is_tick_due:
                await self._look_after()

    async def _commit(self) -> None:
        calls = self._take_pending()
        if not calls:
            return
        started = time.perf_counter()
        try:
            appended = await self._write(lambda: self._history.append([call.events for call in calls]))
        except BrokerUnavailable as error:
            self.counters.failures += 1
            _log.error("events can't be stored", reason=error.reason, calls=len(calls))
            return _refuse(calls, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self.counters.failures += 1
            _log.exception("storing events failed", calls=len(calls))
            return _refuse(calls, BrokerUnavailable(f"an internal error, see the log: {error}"))
        self.counters.commits += 1
        self.counters.last_commit_seconds = time.perf_counter() - started
        self._hand_on(appended.events)
        for call, answer in zip(calls, appended.answers, strict=True):
            self._answer(call, answer)
        return None

    def _take_pending(self) -> list[_Call]:
        """The oldest calls, about COMMIT_EVENTS together, without those whose caller has gone."""
        taken: list[_Call] = []
        count = size = 0
        for call in self._pending:
            if size >= COMMIT_EVENTS:
                break
            count += 1
            self._pending_events -= len(call.events)
            if not call.waiter.done():
                taken.append(call)
                size += len(call.events)
        del self._pending[:count]
        self._room.set()
        return taken

    def _hand_on(self, events: Sequence[Event]) -> None:
        if not events:
            return
        self._newest = events[-1].id
        try:
            self._deliver(events)
        except Exception:  # noqa: BLE001 - they are stored: the publishers' answers must not depend on who listens
            self.counters.failures += 1
            _log.exception("delivering events failed", first=str(events[0].id), events=len(events))

    def _answer(self, call: _Call, answer: list[Published] | InvalidEvent) -> None:
        if isinstance(answer, list):
            duplicates = sum(published.duplicate for published in answer)
            self.counters.duplicates += duplicates
            self.counters.events_published += len(answer) - duplicates
        if call.waiter.done():
            return
        if isinstance(answer, list):
            call.waiter.set_result(answer)
        else:
            call.waiter.set_exception(answer)

    async def _look_after(self) -> None:
        self._is_tick_due = False
        try:
            is_suspect, self._readers.is_suspect = self._readers.is_suspect, False
            await self._write(lambda: self._history.look_after(is_suspect=is_suspect))
            self._hand_on(await self._write(self._history.take_foreign))
            self._newest = max(self._newest, self._history.newest_shown)
            await self._prune()
            while self._is_behind and not self._pending and not self._is_closing:
                await self._prune()
        except BrokerUnavailable as error:
            _log.warning("history can't be looked after just now", reason=error.reason)
        except Exception:  # noqa: BLE001 - the next tick tries again
            self.counters.failures += 1
            _log.exception("looking after history failed")
        self._start_checkpoint()
        if not self._is_closing:
            self._set_timer()
