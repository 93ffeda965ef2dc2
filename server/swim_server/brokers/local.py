"""The local broker: one process's history in SQLite, with commits that several publishers share."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from swim_server.brokers import history_file
from swim_server.brokers.broker import BrokerUnavailable, Deliver, HistorySpan, Page, Published, StorageState
from swim_server.brokers.event_count import EventCount
from swim_server.brokers.history import History
from swim_server.brokers.history_file import Synchronous
from swim_server.brokers.history_reader import HistoryReader, Rotten
from swim_server.brokers.pending import Call, Pending
from swim_server.brokers.reader_pool import ReaderPool
from swim_server.brokers.recovery.background_check import BackgroundCheck, CheckStatus, Findings
from swim_server.brokers.retention import Retention
from swim_server.brokers.storing import NAMES_ROTTEN
from swim_server.brokers.trouble import DiskTrouble, unavailable
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.logs import get_logger
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import Event, NewEvent

COMMIT_EVENTS = 1000
"""Approximate number of events in one commit; a single call is never split."""
PENDING_EVENTS = 20_000
FULL_CHECKPOINT_SECONDS = 2.0
"""Interval of checkpoints under ``full``: each makes concurrent commits wait for the same disk."""
TICK_SECONDS = 0.25
"""Interval of retention, checkpoints and the search for events of other processes."""

_log = get_logger("broker")
T = TypeVar("T")


class Counters(msgspec.Struct):
    """What the broker has done since it was made."""

    events_published: int = 0
    """New ones, as the publishers count them."""
    events_stored: int = 0
    """New ones, as history counts them: a large batch of positions is several."""
    duplicates: int = 0
    commits: int = 0
    failures: int = 0
    """Commits that could not be made, and deliveries that raised."""
    events_pruned: int = 0
    last_commit_seconds: float = 0.0
    last_error: str | None = None
    """Why history can't be used at the moment; None once it has gone well again."""
    checkpoint_error: str | None = None
    """Why the write-ahead log can't be written back at the moment: it grows meanwhile."""
    rotten: int = 0
    """Stretches that were found not to be what was stored, since the start."""


class LocalBroker:
    """Keeps history in one file. An acknowledged event survives the death of the process at any moment.

    ``synchronous="full"`` makes it survive a power cut too, at one fsync a commit. With ``normal`` the last moments
    before one may be missing; clients that resume over it are told of a gap. Several processes may have the same
    file open, as in a restart: ids stay in one order, and each hands on the others' events too.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock = SYSTEM_CLOCK,
        keep_ms: int,
        keep_positions_ms: int,
        max_bytes: int,
        synchronous: Synchronous = "normal",
        connect: history_file.Connect = history_file.connect,
        boot_id: str | None = None,
        tick_seconds: float = TICK_SECONDS,
        check_after_seconds: float = 1.0,
        history: type[History] = History,
        notes: Path | None = None,
    ) -> None:
        self.path = path
        self.counters = Counters()
        self._history = history(
            path,
            clock=clock,
            retention=Retention(keep_ms, keep_positions_ms, max_bytes),
            synchronous=synchronous,
            connect=connect,
            boot_id=boot_id,
            notes=notes,
        )
        self._tick_seconds = tick_seconds
        self._newest = ZERO
        self._deliver: Deliver | None = None
        self._pending = Pending(PENDING_EVENTS)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="history-writer")
        self._checkpointer = ThreadPoolExecutor(1, thread_name_prefix="history-checkpoint")
        self._readers = ReaderPool(path, lambda: self._history.generation)
        self.on_opened_late: Callable[[EventId], None] | None = None
        """Told of the newest id where history could not be opened at the start, before anything is delivered."""
        self._is_open = False
        self.on_unreadable: Callable[[EventId, EventId], None] | None = None
        """Told of each stretch (after, up to) that turns out not to be what was stored: it may have been read over."""
        self._check = BackgroundCheck(
            path,
            lambda: self._history.generation,
            Findings(self._note_rotten, self._note_damage, self._note_rotten_names, self._note_types),
            first_seconds=check_after_seconds,
        )
        self._check_task: asyncio.Task[None] | None = None
        self._damage: tuple[str, int] | None = None
        """Damage found, and in which generation of the file; handled by the writing thread."""
        self._unrecorded: Rotten = []
        """Stretches that are known to be bad, and that could not be written down yet."""
        self._sync_task: asyncio.Future[None] | None = None
        self._committer_task: asyncio.Task[None] | None = None
        self._checkpoint_waiter: asyncio.Task[None] | None = None
        self._checkpoint_seconds = FULL_CHECKPOINT_SECONDS if synchronous == "full" else 0.0
        self._checkpoint_at = 0.0
        self._checkpointed = (0, 0)
        """Commits and removals up to the last checkpoint."""
        self._closing_task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_tick_due = False
        self._looked_waiters: list[asyncio.Future[None]] = []
        self._is_behind = False
        """Retention has more to let go of."""
        self._event_count = EventCount(self._read, self.counters)

    @property
    def newest_id(self) -> EventId:
        """The last id handed on; ``ZERO`` before the first."""
        return self._newest

    async def open(self, deliver: Deliver) -> None:
        """Open history, or begin one. A damaged one is set aside; raises BrokerUnavailable where it can't be made.

        Where only space is missing it opens later by itself; until then publishing and reading raise.
        """
        self._deliver = deliver
        try:
            await self._write(self._history.open)
        except DiskTrouble as error:
            self._tell_trouble("history can't be opened yet", error)
        else:
            self._is_open = True
        self._newest = self._history.newest_shown
        self._check_task = asyncio.create_task(self._check.run(), name="history-check")
        self._committer_task = asyncio.create_task(self._run(), name="history-committer")
        self._set_timer()

    @property
    def epoch(self) -> str:
        """Names the order of events: ids of different epochs may not be compared."""
        return self._history.identity.epoch

    @property
    def check_status(self) -> CheckStatus:
        """How far the check in the background has come."""
        return self._check.status

    async def state(self) -> StorageState:
        """Tell how the storage is doing."""
        files = await asyncio.get_running_loop().run_in_executor(None, history_file.damaged_files, self.path)
        counters, check = self.counters, self._check.status
        return StorageState(
            trouble=counters.last_error or counters.checkpoint_error or check.trouble,
            failures=counters.failures,
            rotten=counters.rotten,
            checked_at=check.checked_at,
            damaged_files=[str(path) for path in files],
        )

    async def publish(self, events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        """Store, then deliver, then answer. Cancelled before its commit began, a call leaves nothing behind."""
        published: list[Published] = []
        if events:
            if self._committer_task is None:
                raise BrokerUnavailable("it is not open")
            published = await self._pending.put(tuple(events))
        if durable:
            await self._sync()
        return published

    async def _sync(self) -> None:
        """Wait for a sync that begins now or later; callers that come while one runs share the next one."""
        loop = asyncio.get_running_loop()
        running = self._sync_task
        if running is not None and not running.done():
            await asyncio.wait([running])  # it began before: what was stored since may not be in it
        if self._sync_task is running or self._sync_task is None or self._sync_task.done():
            self._sync_task = loop.run_in_executor(self._checkpointer, self._history.sync)
        await asyncio.shield(self._sync_task)

    async def read(
        self,
        after: EventId,
        until: EventId | None = None,
        *,
        types: Collection[str] | None = None,
        limit: int = 500,
    ) -> Page:
        """Read a page: at most ``limit`` events, and about 4 MiB."""
        page, rotten = await self._read(lambda reader: reader.page(after, until, types, max(limit, 1)))
        if rotten:
            await self._note_rotten(rotten)
        return page

    async def read_last(
        self, count: int, *, types: Collection[str] | None = None, before: EventId | None = None
    ) -> list[Event]:
        """Read the newest ``count`` events, all of them into memory."""
        events, rotten = await self._read(lambda reader: reader.last(max(count, 0), types, before))
        if rotten:
            await self._note_rotten(rotten)
        return events

    async def has_gap(self, after: EventId, *, types: Collection[str] | None = None) -> bool:
        """Tell whether an event after ``after`` may be gone: exact to the event for what retention removed."""
        if after > self._newest:
            await self._look_now()
        if after > self._newest or any(up_to > after.to_integer() for _, up_to in self._unrecorded):
            return True
        return await self._read(lambda reader: reader.has_gap(after, types))

    async def span(self) -> HistorySpan:
        """Tell what history holds. A large one is counted once, beside all else, and its count carried on."""
        oldest, newest = await self._read(lambda reader: reader.span())
        events = await self._event_count.ask()
        size_bytes = await self._readers.read(lambda _: _size_bytes(self.path))
        return HistorySpan(oldest, newest, events or 0, size_bytes, is_counted=events is not None)

    async def close(self) -> None:
        """Store what is pending, deliver it, close the file. Idempotent, also while it is still closing."""
        if self._closing_task is None:
            self._closing_task = asyncio.create_task(self._close(), name="history-closing")
        await asyncio.shield(self._closing_task)

    async def _close(self) -> None:
        self._pending.close()
        await self._event_count.close()
        if self._check_task is not None:
            self._check_task.cancel()
            await asyncio.wait([self._check_task])
        if self._committer_task is not None:
            await self._committer_task
        if self._timer is not None:
            self._timer.cancel()
        if self._checkpoint_waiter is not None:
            await asyncio.wait([self._checkpoint_waiter])
        await self._readers.close()
        await self._write(self._history.close)
        self._writer.shutdown(wait=False)
        self._checkpointer.shutdown(wait=False)

    async def _read(self, work: Callable[[HistoryReader], T]) -> T:
        """Read; what seems damaged is checked at once."""
        try:
            return await self._readers.read(work)
        finally:
            if self._readers.is_suspect:
                self._readers.is_suspect = False
                self._check.look_now()

    async def _note_rotten(self, rotten: Rotten) -> None:
        """Record what isn't what was stored, before anybody is told that nothing is missing."""
        self._unrecorded += [stretch for stretch in rotten if stretch not in self._unrecorded]
        try:
            new = await self._write(lambda: self._history.record_unreadable(rotten))
        except BrokerUnavailable as error:
            self._tell_trouble("damaged parts of history can't be recorded", error)
            return
        self._unrecorded = [stretch for stretch in self._unrecorded if stretch not in rotten]
        self.counters.rotten += len(new)
        if new:
            _log.error(
                "events in history are damaged: clients that resume across them are told of a gap",
                after=str(new[0].after), up_to=str(new[-1].up_to), places=len(new),
            )  # fmt: skip
        for hole in new:
            if self.on_unreadable is not None:
                self.on_unreadable(hole.after, hole.up_to)

    async def _note_damage(self, reason: str, generation: int) -> None:
        self._damage = reason, generation
        end = self._newest
        await self._look_now()
        if self.on_unreadable is not None:
            self.on_unreadable(ZERO, end)

    async def _note_rotten_names(self) -> None:
        lost = await self._write(self._history.rebuild_names)
        _log.error(NAMES_ROTTEN, lost=lost)

    async def _note_types(self, types: set[str]) -> None:
        await self._write(lambda: self._history.know_types(types))

    async def _write(self, work: Callable[[], T]) -> T:
        """Do something in the one thread that writes."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, work)

    async def _run(self) -> None:
        """Commit what waits; in between, look after the file. Ends when closed and nothing waits."""
        while self._pending or not self._pending.is_closed:
            await self._pending.wake.wait()
            self._pending.wake.clear()
            while calls := self._pending.take(COMMIT_EVENTS):
                stored = await self._commit(calls)
                if self._is_behind:
                    await self._prune(at_least=2 * stored)
            if self._is_tick_due:
                await self._look_after()

    async def _commit(self, calls: list[Call]) -> int:
        """Store the events of these calls, deliver them, answer. Returns how many were stored."""
        started = time.perf_counter()
        try:
            appended = await self._write(lambda: self._history.append([call.events for call in calls]))
        except BrokerUnavailable as error:
            self._tell_trouble("events can't be stored", error)
            return self._refuse(calls, error)
        except Exception as error:  # noqa: BLE001 - whatever it was, those who wait must hear of it
            _log.exception("storing events failed")
            return self._refuse(calls, BrokerUnavailable(f"an internal error, see the log: {error!r}"))
        if self.counters.last_error is not None:
            self.counters.last_error = None
            _log.info("events can be stored again")
        self._note_open()
        self.counters.commits += 1
        self.counters.last_commit_seconds = time.perf_counter() - started
        self._hand_on(appended.events)
        for call, answer in zip(calls, appended.answers, strict=True):
            if isinstance(answer, list):
                duplicates = sum(published.duplicate for published in answer)
                self.counters.duplicates += duplicates
                self.counters.events_published += len(answer) - duplicates
            call.answer(answer)
        return len(appended.events)

    def _refuse(self, calls: list[Call], error: BrokerUnavailable) -> int:
        self.counters.failures += 1
        for call in calls:
            call.answer(type(error)(error.reason))
        return 0

    def _tell_trouble(self, what: str, error: BrokerUnavailable) -> None:
        """Log trouble once, not at every attempt while it lasts; note elsewhere how far everybody has come."""
        self._history.trouble_note.put_down(self._newest)
        if error.reason != self.counters.last_error:
            self.counters.last_error = error.reason
            _log.error(what, reason=error.reason)

    def _note_open(self) -> None:
        """Let the live stream begin behind what is stored, where history opens only now."""
        if not self._is_open and self._history.generation:
            self._is_open = True
            self._newest = max(self._newest, self._history.found)
            if self.on_opened_late is not None:
                self.on_opened_late(self._history.found)

    def _hand_on(self, events: Sequence[Event]) -> None:
        if not events:
            return
        self._newest = events[-1].id
        self.counters.events_stored += len(events)
        assert self._deliver is not None
        try:
            self._deliver(events)
        except Exception:  # noqa: BLE001 - they are stored: the publisher's answer must not depend on who listens
            self.counters.failures += 1
            _log.exception("delivering events failed", first=str(events[0].id), events=len(events))

    async def _look_now(self) -> None:
        """Hand on what another process has stored by now: after a restart a client may know it before this one."""
        if self._committer_task is None or self._committer_task.done():
            return
        looked_waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._looked_waiters.append(looked_waiter)
        self._tick()
        await asyncio.wait([looked_waiter, self._committer_task], return_when=asyncio.FIRST_COMPLETED)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._tick_seconds, self._tick)

    def _tick(self) -> None:
        self._is_tick_due = True
        self._pending.wake.set()

    async def _look_after(self) -> None:
        self._is_tick_due = False
        looked_waiters, self._looked_waiters = self._looked_waiters, []
        damage, self._damage = self._damage, None
        try:
            await self._write(lambda: self._history.look_after(damage=damage))
            self._note_open()
            self._hand_on(await self._write(self._history.take_foreign))
            self._newest = max(self._newest, self._history.newest_shown)
        except BrokerUnavailable as error:
            self._damage = damage
            self._tell_trouble("history can't be maintained", error)
        except Exception:  # noqa: BLE001 - the next tick tries again
            self.counters.failures += 1
            _log.exception("maintaining history failed")
        for waiter in looked_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._is_behind = True
        while self._is_behind and not self._pending and not self._pending.is_closed:
            await self._prune()
        self._start_checkpoint()
        self._set_timer()

    async def _prune(self, at_least: int = 0) -> None:
        self._is_behind = False
        try:
            self._is_behind = await self._write(lambda: self._history.prune(at_least=at_least))
        except BrokerUnavailable as error:
            self._tell_trouble("history can't be pruned", error)
        except Exception:  # noqa: BLE001 - the next tick tries again
            self.counters.failures += 1
            _log.exception("pruning history failed")
        self.counters.events_pruned = self._history.removed

    def _start_checkpoint(self) -> None:
        """Write the log back. Under ``full`` that brings nothing to the disk sooner, and commits would wait for it."""
        now = time.monotonic()
        if self.counters.checkpoint_error is None and now - self._checkpoint_at < self._checkpoint_seconds:
            return
        self._checkpoint_at = now
        written = self.counters.commits, self.counters.events_pruned
        if written != self._checkpointed and (self._checkpoint_waiter is None or self._checkpoint_waiter.done()):
            self._checkpoint_waiter = asyncio.create_task(self._checkpoint(written), name="history-checkpoint")

    async def _checkpoint(self, written: tuple[int, int]) -> None:
        """Write the log back; one that failed is tried again at the next tick."""
        loop = asyncio.get_running_loop()
        trouble = await loop.run_in_executor(self._checkpointer, _checkpoint, self.path)
        if trouble is None:
            self._checkpointed = written
            if self.counters.checkpoint_error is not None:
                _log.info("history's write-ahead log can be checkpointed again")
            if self.counters.last_error is None:
                self._history.trouble_note.remove()
        elif trouble != self.counters.checkpoint_error:
            _log.error("history's write-ahead log can't be checkpointed at the moment", reason=trouble)
        if trouble is not None:
            self._history.trouble_note.put_down(self._newest)
        self.counters.checkpoint_error = trouble


def _checkpoint(path: Path) -> str | None:
    """Why it could not be done; None: it was."""
    try:
        history_file.checkpoint(path)
    except sqlite3.Error as error:
        return unavailable(error, path).reason
    return None


def _size_bytes(path: Path) -> int:
    """Return what the file and its write-ahead log take on the disk."""
    sizes = 0
    for suffix in ("", "-wal"):
        try:
            sizes += os.stat(f"{path}{suffix}").st_size  # noqa: PTH116 - a name beside the path
        except OSError:
            continue
    return sizes
