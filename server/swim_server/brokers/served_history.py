"""A history in one file, as a running process serves it: read, watched, pruned and delivered, but not published to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec

from swim_server.brokers import history_file
from swim_server.brokers.broker import BrokerUnavailable, Deliver, HistorySpan, StorageState
from swim_server.brokers.checkpoints import Checkpoints
from swim_server.brokers.counters import Counters
from swim_server.brokers.event_count import EventCount
from swim_server.brokers.history import History
from swim_server.brokers.history_file import FileOptions
from swim_server.brokers.history_reader import Rotten
from swim_server.brokers.origin import Hole
from swim_server.brokers.reader_pool import PooledReading, ReaderPool
from swim_server.brokers.recovery.background_check import BackgroundCheck, CheckStatus, Findings
from swim_server.brokers.recovery.unreadable import UnreadableRanges
from swim_server.brokers.retention import Retention
from swim_server.brokers.storing import NAMES_ROTTEN
from swim_server.brokers.trouble import DiskTrouble
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.concurrency.serial_thread import SerialThread
from swim_server.logs import get_logger
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import Event

FULL_CHECKPOINT_SECONDS = 2.0
"""Interval of checkpoints under ``full``: each makes concurrent commits wait for the same disk."""

_log = get_logger("broker")
T = TypeVar("T")


class Intervals(msgspec.Struct, frozen=True):
    """How often history is maintained."""

    tick_seconds: float = 0.25
    """Interval of retention, checkpoints and the search for events of other processes."""
    check_after_seconds: float = 1.0
    """Delay of the first check in the background: clients come first."""


class ServedHistory(PooledReading):
    """One history file with its writer thread, its readers and its maintenance. Belongs to the loop.

    Several processes may have the same file open, as in a restart: ids stay in one order, and each process also
    delivers the events of the others.
    """

    history_type: ClassVar[type[History]] = History

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock = SYSTEM_CLOCK,
        retention: Retention,
        options: FileOptions = FileOptions(),
        intervals: Intervals = Intervals(),
    ) -> None:
        self.path = path
        self.counters = Counters()
        self.on_opened_late: Callable[[EventId], None] | None = None
        """Called with the newest id once history opens after a failed start, before anything is delivered."""
        self.on_unreadable: Callable[[EventId, EventId], None] | None = None
        """Called with each range (after, up to) found unreadable: clients may already have read past it."""
        self._history = self.history_type(path, clock=clock, retention=retention, options=options)
        self._is_open = False
        self._newest = ZERO
        self._deliver: Deliver | None = None
        self._writer = SerialThread("history-writer")
        self._checkpoints = Checkpoints(
            path,
            self._history.sync,
            self.counters,
            interval_seconds=FULL_CHECKPOINT_SECONDS if options.synchronous == "full" else 0.0,
            on_end=self._note_checkpoint,
        )
        self._readers = ReaderPool(path, self.generation)
        self._event_count = EventCount(self._read, self.counters)
        self.check = BackgroundCheck(
            path,
            self.generation,
            Findings(self.note_rotten, self._note_damage, self._note_rotten_names, self._note_types),
            first_seconds=intervals.check_after_seconds,
        )
        self._check_task: asyncio.Task[None] | None = None
        self._damage: tuple[str, int] | None = None
        """Damage found, and in which generation of the file; handled by the writer thread."""
        self._unreadable = UnreadableRanges(self._record_unreadable, self.counters)
        self._wake = asyncio.Event()
        """Set whenever the maintenance task has something to do."""
        self._tick_seconds = intervals.tick_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._is_tick_due = False
        self._looked_waiters: list[asyncio.Future[None]] = []
        self._is_behind = False
        """Retention has more to remove."""
        self._is_closing = False
        self._run_task: asyncio.Task[None] | None = None
        self._closing_task: asyncio.Task[None] | None = None

    def generation(self) -> int:
        """Return which file is the current one: a damaged one is replaced."""
        return self._history.generation

    @property
    def newest_id(self) -> EventId:
        """The last id delivered; ``ZERO`` before the first."""
        return self._newest

    @property
    def epoch(self) -> str:
        """Names the order of events: ids of different epochs may not be compared."""
        return self._history.identity.epoch

    @property
    def check_status(self) -> CheckStatus:
        """How far the check in the background has come."""
        return self.check.status

    async def open(self, deliver: Deliver) -> None:
        """Open history, or create it. A damaged file is set aside; raises BrokerUnavailable if none can be created.

        Where only disk space is missing it opens later by itself; until then publishing and reading raise.
        """
        self._deliver = deliver
        try:
            await self._write(self._history.open)
        except DiskTrouble as error:
            self._tell_trouble("history can't be opened yet", error)
        else:
            self._is_open = True
        self._newest = self._history.newest_shown
        self._check_task = asyncio.create_task(self.check.run(), name="history-check")
        self._run_task = asyncio.create_task(self._run(), name="history-committer")
        self._set_timer()

    async def state(self) -> StorageState:
        """Return the state of the storage."""
        files = await asyncio.get_running_loop().run_in_executor(None, history_file.damaged_files, self.path)
        counters, check = self.counters, self.check.status
        return StorageState(
            writing_problem=counters.last_error or counters.checkpoint_error or check.trouble,
            failures=counters.failures,
            corrupt_ranges=counters.rotten,
            checked_at=check.checked_at,
            damaged_files=[str(path) for path in files],
        )

    # Reading.

    async def has_gap(self, after: EventId, *, types: Collection[str] | None = None) -> bool:
        """Tell whether an event after ``after`` may be gone: exact to the event for what retention removed."""
        if after > self._newest:
            await self._look_now()
        if after > self._newest or self._unreadable.has_unrecorded_after(after):
            return True
        return await self._read(lambda reader: reader.has_gap(after, types))

    async def span(self) -> HistorySpan:
        """Return history's range and size. The events of a large one are counted once, in the background."""
        oldest, newest = await self._read(lambda reader: reader.span())
        events = await self._event_count.ask()
        size_bytes = await self._readers.read(lambda _: history_file.size_on_disk(self.path))
        return HistorySpan(oldest, newest, events or 0, size_bytes, is_counted=events is not None)

    def _suspect(self) -> None:
        self.check.look_now()

    # What reading and checking find.

    async def note_rotten(self, rotten: Rotten) -> None:
        """Record ranges found damaged while reading."""
        try:
            new = await self._unreadable.record(rotten)
        except BrokerUnavailable as error:
            self._tell_trouble("damaged parts of history can't be recorded", error)
            return
        for hole in new:
            if self.on_unreadable is not None:
                self.on_unreadable(hole.after, hole.up_to)

    async def _record_unreadable(self, rotten: Rotten) -> list[Hole]:
        return await self._write(lambda: self._history.record_unreadable(rotten))

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

    def _tell_trouble(self, what: str, error: BrokerUnavailable) -> None:
        """Log trouble once, not at every attempt while it lasts; note elsewhere how far clients may have got."""
        self._history.trouble_note.put_down(self._newest)
        if error.reason != self.counters.last_error:
            self.counters.last_error = error.reason
            _log.error(what, reason=error.reason)

    def _note_checkpoint(self) -> None:
        if self.counters.checkpoint_error is not None:
            self._history.trouble_note.put_down(self._newest)
        elif self.counters.last_error is None:
            self._history.trouble_note.remove()

    # Delivering.

    def _note_open(self) -> None:
        """Let the live stream begin after what is stored, where history opens only now."""
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

    # Maintaining the file.

    async def _write(self, work: Callable[[], T]) -> T:
        """Run ``work`` in the one thread that writes."""
        return await self._writer.run(work)

    def _has_work(self) -> bool:
        """Tell whether something waits to be stored, for which retention makes room."""
        return False

    async def _store_waiting(self) -> None:
        """Store everything that waits."""

    async def _run(self) -> None:
        """Store what waits; in between, maintain the file. Ends when closed and nothing waits."""
        while self._has_work() or not self._is_closing:
            await self._wake.wait()
            self._wake.clear()
            await self._store_waiting()
            if self._is_tick_due:
                await self._look_after()

    async def _look_now(self) -> None:
        """Deliver what another process has stored by now: after a restart a client may know it before this one."""
        if self._run_task is None or self._run_task.done():
            return
        looked_waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._looked_waiters.append(looked_waiter)
        self._tick()
        await asyncio.wait([looked_waiter, self._run_task], return_when=asyncio.FIRST_COMPLETED)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._tick_seconds, self._tick)

    def _tick(self) -> None:
        self._is_tick_due = True
        self._wake.set()

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
        while self._is_behind and not self._has_work() and not self._is_closing:
            await self._prune()
        self._checkpoints.start_if_due()
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

    # Closing.

    async def close(self) -> None:
        """Store what is pending, deliver it, close the file. Idempotent, also while it is still closing."""
        if self._closing_task is None:
            self._closing_task = asyncio.create_task(self._close(), name="history-closing")
        await asyncio.shield(self._closing_task)

    async def _close(self) -> None:
        self._is_closing = True
        self._wake.set()
        await self._event_count.close()
        if self._check_task is not None:
            self._check_task.cancel()
            await asyncio.wait([self._check_task])
        if self._run_task is not None:
            await self._run_task
        if self._timer is not None:
            self._timer.cancel()
        await self._checkpoints.wait()
        await self._readers.close()
        await self._write(self._history.close)
        self._writer.close()
        self._checkpoints.close()
