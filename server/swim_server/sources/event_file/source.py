"""The provider's event file: takes it, publishes its content, and removes it only when all of it is stored."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from swim_server.brokers.broker import BrokerUnavailable, InvalidEvent, Publish
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.concurrency.worker_thread import WorkerThread
from swim_server.files.opening import UnsafeFile
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.events import NewEvent
from swim_server.sources.event_file.entry import Batch, EntryReader, RecentNames
from swim_server.sources.event_file.folder import EventFolder, Signature, signature
from swim_server.sources.event_file.reporter import Reporter
from swim_server.sources.event_file.taken_file import Place, TakenFile
from swim_server.sources.folder_watch import watch_folder
from swim_server.sources.source import SourceStatus
from swim_server.sources.state_file import StateFile

PUBLISH_EVENTS = 500
GRACE_SECONDS = 1.5
"""How long a taken file is kept after its last change: a writer may still have it open."""
SHORTEST_INTERVAL_SECONDS = 0.005
"""Minimum time between two looks, however busy the writers are."""
RETRY_SECONDS = 0.5
"""Delay after a problem."""
UNKNOWN_SECONDS = 600.0
"""How long a file must not have grown before it is removed, if it is unknown whether it is open."""
RELIED_SECONDS = 20 * 60 * 60.0
"""How long event ids are relied on to detect repeats; they are kept for a day."""
REMEMBER_SECONDS = 30.0


class Places(msgspec.Struct, frozen=True):
    """How far each taken file has been read."""

    files: dict[str, Place]


class _Survey(NamedTuple):
    """The content of the folder at one moment."""

    signatures: list[Signature | None]
    """Of the taken files, in their order; None: it is gone."""
    taken: Path | None
    """The event file, just taken; its signature is the last one."""
    trouble: OSError | None


class EventFileSource:
    """Reads the file that the provider's processes write, as described in the last section of the wire protocol.

    Each event gets an event id from its content, its time and its ordinal among equal ones: one that a writer's older
    copy repeats, or that is read again after a crash, is not published again. An event without a time is identified by
    its file instead, and counts as repeated only within RECENT_SECONDS.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        interval_seconds: float,
        catalogue: Catalogue,
        grace_seconds: float = GRACE_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
        clock: Clock = SYSTEM_CLOCK,
        is_watching: bool = True,
        state_path: Path | None = None,
        unknown_seconds: float = UNKNOWN_SECONDS,
    ) -> None:
        self._reporter = Reporter(name, path, clock)
        self.status: SourceStatus = self._reporter.status
        self._folder = EventFolder(path.absolute(), clock=clock, pid=os.getpid())
        self._state_file = StateFile(state_path, Places)
        self._remembered: dict[str, Place] = {}
        self._remember_at = 0.0
        self._interval_seconds = interval_seconds
        self._unknown_seconds = unknown_seconds
        self._clock = clock
        self._catalogue = catalogue
        self._grace_seconds = grace_seconds
        self._retry_seconds = retry_seconds
        self._is_watching = is_watching
        self._taken: list[TakenFile] = []
        self._may_take = True
        """False while what was taken can't be stored: the event file may as well stay in place."""
        self._recent = RecentNames()
        self._wake = asyncio.Event()

    async def run(self, publish: Publish) -> None:
        """Publish until cancelled. Files taken and not finished before a crash come first."""
        with WorkerThread("event-file") as worker:
            self._taken = await worker.pass_through(self._find_taken)
            async with asyncio.TaskGroup() as tasks:
                if self._is_watching:
                    tasks.create_task(watch_folder(self._folder, self._wake))
                await self._look_for_ever(publish, worker)

    def _find_taken(self) -> list[TakenFile]:
        """Return the files taken before, to be read from their beginning: event ids detect repeats for a day.

        A file kept open for longer is read from where it stood.
        """
        saved: Places = self._state_file.load() or Places({})
        if self._state_file.fault is not None:
            self._reporter.trouble(self._state_file.fault)
        now, now_ns = self._clock.monotonic(), self._folder.now_ns()
        found = []
        for path in self._folder.find_taken():
            age_seconds = (now_ns - self._folder.taken_at_ns(path)) / 1e9
            place = saved.files.get(path.name) if age_seconds > RELIED_SECONDS else None
            found.append(TakenFile(path, now=now, place=place))
        return found

    async def _remember(self, publish: Publish, worker: WorkerThread) -> None:
        """Save now and then how far the remaining files were read and stored."""
        places = {taken.path.name: taken.boundary for taken in self._taken if taken.published is not None}
        if places == self._remembered or self._clock.monotonic() < self._remember_at:
            return
        self._remember_at = self._clock.monotonic() + REMEMBER_SECONDS
        if places:
            await publish((), durable=True)
        await worker.pass_through(lambda: self._state_file.save(Places(places)))
        self._remembered = places

    async def _look_for_ever(self, publish: Publish, worker: WorkerThread) -> None:
        while True:
            self._wake.clear()
            try:
                await self._look(publish, worker)
            except (BrokerUnavailable, OSError) as error:
                self._may_take = not isinstance(error, BrokerUnavailable)
                self._reporter.trouble(str(error))
                await self._clock.sleep(max(self._interval_seconds, self._retry_seconds))
            else:
                self._reporter.well()
                await self._clock.sleep(SHORTEST_INTERVAL_SECONDS)
                await _wait(self._wake, self._interval_seconds)

    async def _look(self, publish: Publish, worker: WorkerThread) -> None:
        """Take what is there now, publish what is new in the taken files, and remove those that are finished."""
        survey = await worker.pass_through(self._survey)
        if survey.taken is not None:
            self._taken.append(TakenFile(survey.taken, now=self._clock.monotonic()))
        troubles = [survey.trouble]
        for taken, seen in zip(self._taken, survey.signatures, strict=True):
            if seen is not None and seen != taken.published:
                troubles.append(await _trouble_of(self._publish_file(taken, seen, publish, worker)))
        self._may_take = True
        for taken, seen in list(zip(self._taken, survey.signatures, strict=True)):
            if seen is None:
                self._taken.remove(taken)  # another process has removed it
            elif seen == taken.published and self._clock.monotonic() - taken.changed_at >= self._grace_seconds:
                troubles.append(await _trouble_of(self._finish(taken, seen, publish, worker)))
        self._recent.forget(self._clock.monotonic())
        await self._remember(publish, worker)
        self._reporter.taken(len(self._taken))
        for trouble in troubles:
            if trouble is not None:
                raise trouble

    def _survey(self) -> _Survey:
        taken, trouble = None, None
        if self._may_take:
            try:
                taken = self._folder.take()
            except OSError as error:
                trouble = error
        files = [file.path for file in self._taken] + ([] if taken is None else [taken])
        return _Survey([signature(file) for file in files], taken, trouble)

    async def _publish_file(self, taken: TakenFile, seen: Signature, publish: Publish, worker: WorkerThread) -> None:
        """Publish what was added to a file since the last look."""
        taken.changed_at = self._clock.monotonic()
        batches = taken.read(self._make_reader, now=taken.changed_at)
        try:
            while (batch := await worker.pass_through(lambda: next(batches, None))) is not None:
                await self._publish_batch(taken, batch, publish)
        except UnsafeFile as unsafe:
            raise await worker.pass_through(partial(self._folder.refuse, taken.path, unsafe)) from None
        except BaseException:
            taken.begin_anew()  # not everything read is stored; event ids identify what is
            taken.published = None
            raise
        taken.published = seen
        if not taken.waits_for_more:
            taken.whole_at = taken.changed_at
        elif taken.changed_at - taken.whole_at >= self._grace_seconds:
            await self._judge_early(taken, publish, worker)

    async def _judge_early(self, taken: TakenFile, publish: Publish, worker: WorkerThread) -> None:
        """Process entries held back by a cut one, without waiting for the end of the file."""
        batch = await worker.pass_through(lambda: taken.judge_rest(is_end=False))
        taken.whole_at = self._clock.monotonic()
        await self._publish_batch(taken, batch, publish)

    async def _finish(self, taken: TakenFile, seen: Signature, publish: Publish, worker: WorkerThread) -> None:
        """Finish a file that no longer changes, unless a process has, or may have, it open."""
        now = self._clock.monotonic()
        if now - taken.asked_at < self._grace_seconds:
            return
        taken.asked_at, quiet_seconds = now, now - taken.changed_at
        writer = await worker.pass_through(taken.writer)
        if writer is None:
            self._reporter.writers_unknown()
        if writer or (writer is None and quiet_seconds < self._unknown_seconds):
            if taken.waits_for_more:
                await self._judge_early(taken, publish, worker)
            return
        if taken.is_judged_early:
            taken.begin_anew()
            await self._publish_file(taken, seen, publish, worker)
        await self._publish_batch(taken, await worker.pass_through(lambda: taken.judge_rest(is_end=True)), publish)
        await publish((), durable=True)  # the file is removed only when its events survive a power cut
        await self._remove(taken, seen, worker)

    def _make_reader(self, file: str, now: float) -> EntryReader:
        return EntryReader(self._catalogue, file, self._recent, now)

    async def _publish_batch(self, taken: TakenFile, batch: Batch, publish: Publish) -> None:
        taken.reject(batch.rejected)
        for start in range(0, len(batch.events), PUBLISH_EVENTS):
            await self._publish(taken, batch.events[start : start + PUBLISH_EVENTS], publish)

    async def _publish(self, taken: TakenFile, events: list[NewEvent], publish: Publish) -> None:
        while events:
            try:
                published = await publish(events)
            except InvalidEvent as invalid:
                taken.reject_event(events[invalid.index], invalid.reason)
                events = events[: invalid.index] + events[invalid.index + 1 :]
                continue
            new = sum(not answer.duplicate for answer in published)
            self._reporter.published(new, len(published) - new)
            return

    async def _remove(self, taken: TakenFile, seen: Signature, worker: WorkerThread) -> None:
        removal = await worker.pass_through(lambda: taken.remove(self._folder, seen))
        if not removal.is_done:
            taken.changed_at = self._clock.monotonic()  # it is still being written to
            return
        self._taken.remove(taken)
        if removal.aside is not None:
            self._reporter.rejected(taken, removal.aside)


async def _trouble_of(work: Awaitable[None]) -> OSError | None:
    """Await one file's work and return its error, so that the other files are still processed."""
    try:
        await work
    except OSError as error:
        return error
    return None


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
