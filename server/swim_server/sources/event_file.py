"""The provider's event file: takes it, publishes what is in it, and removes it only when all of it is stored."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from swim_server.brokers.broker import BrokerUnavailable, InvalidEvent, Publish
from swim_server.logs import get_logger
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.events import NewEvent
from swim_server.sources.event_entry import Batch, EntryReader, RecentNames
from swim_server.sources.event_folder import EventFolder, Signature, is_being_written, read_chunks, signature
from swim_server.sources.event_text import Unreadable
from swim_server.sources.folder_watch import watch_folder
from swim_server.sources.source import SourceStatus

PUBLISH_EVENTS = 500
GRACE_SECONDS = 1.5
"""A taken file is kept so long after the last change to it: a writer may still have it open."""
SHORTEST_INTERVAL_SECONDS = 0.005
"""Between two looks, however busy the writers are."""
RETRY_SECONDS = 0.5
"""After trouble."""
MAX_REJECTED = 10_000
"""Stretches of one file that are kept; more are only counted."""
LOGGED_REASONS = 5

T = TypeVar("T")


class _Taken:
    """A file that is ours until all of it is stored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.published: Signature | None = None
        """What it looked like when it was last published as a whole."""
        self.changed_at = 0.0
        """When it was last seen to change, by the monotonic clock."""
        self.rejected: list[Unreadable] = []
        self.rejected_count = 0

    def reject(self, pieces: list[Unreadable]) -> None:
        self.rejected += pieces[: max(MAX_REJECTED - len(self.rejected), 0)]
        self.rejected_count += len(pieces)


class EventFileSource:
    """Reads the file that the provider's processes write, as the wire protocol's last section describes them.

    Each event is published under a name made of its content, its time and its place among equal ones: one that a
    writer's older copy brings back, or that is read again after a crash, is not published again. An event without
    a time is known by its file instead, and counts as brought back only within RECENT_SECONDS.
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
        monotonic: Callable[[], float] = time.monotonic,
        clock_ns: Callable[[], int] = time.time_ns,
        is_watching: bool = True,
    ) -> None:
        self.status = SourceStatus(name=name, kind="file", details=_details(path))
        self._folder = EventFolder(path.absolute(), clock_ns=clock_ns, pid=os.getpid())
        self._interval_seconds = interval_seconds
        self._catalogue = catalogue
        self._grace_seconds = grace_seconds
        self._retry_seconds = retry_seconds
        self._monotonic = monotonic
        self._is_watching = is_watching
        self._taken: list[_Taken] = []
        self._recent = RecentNames()
        self._wake = asyncio.Event()
        self._log = get_logger("sources").bind(source=name)

    async def run(self, publish: Publish) -> None:
        """Publish what appears, until cancelled. Files taken and not finished before a crash come first."""
        with ThreadPoolExecutor(1, thread_name_prefix="event-file") as executor:
            door = _Door(executor)
            self._taken = [_Taken(path) for path in await door.pass_through(self._folder.find_taken)]
            async with asyncio.TaskGroup() as tasks:
                if self._is_watching:
                    tasks.create_task(watch_folder(self._folder, self._wake))
                await self._look_for_ever(publish, door)

    async def _look_for_ever(self, publish: Publish, door: _Door) -> None:
        while True:
            self._wake.clear()
            try:
                await self._look(publish, door)
            except (BrokerUnavailable, OSError) as error:
                self._tell_trouble(str(error))
                await asyncio.sleep(max(self._interval_seconds, self._retry_seconds))
            else:
                self._tell_well()
                await asyncio.sleep(SHORTEST_INTERVAL_SECONDS)
                await _wait(self._wake, self._interval_seconds)

    async def _look(self, publish: Publish, door: _Door) -> None:
        """Publish what was taken, remove what is finished, and take what is there now."""
        trouble: OSError | None = None
        signatures = await door.pass_through(lambda: [signature(taken.path) for taken in self._taken])
        for taken, seen in zip(list(self._taken), signatures, strict=True):
            try:
                await self._attend(taken, seen, publish, door)
            except OSError as error:
                trouble = error  # of that file; the others go on
        path = await door.pass_through(self._folder.take)
        if path is not None:
            taken = _Taken(path)
            self._taken.append(taken)
            await self._attend(taken, await door.pass_through(lambda: signature(path)), publish, door)
        self._recent.forget(self._monotonic())
        self.status.details["taken"] = len(self._taken)
        if trouble is not None:
            raise trouble

    async def _attend(self, taken: _Taken, seen: Signature | None, publish: Publish, door: _Door) -> None:
        """Publish a taken file if it has changed since it was last published; else, after the grace, remove it."""
        if seen is None:
            self._taken.remove(taken)  # somebody else has removed it
        elif seen != taken.published:
            taken.changed_at = self._monotonic()
            await self._publish_file(taken, publish, door)
            taken.published = seen
        elif self._monotonic() - taken.changed_at >= self._grace_seconds:
            await self._finish(taken, seen, door)

    async def _publish_file(self, taken: _Taken, publish: Publish, door: _Door) -> None:
        """Publish all of a file, from its beginning: what was published before is known by its event ids."""
        taken.rejected, taken.rejected_count = [], 0
        reader = EntryReader(self._catalogue, taken.path.name, self._recent, self._monotonic())
        batches = _read(taken.path, reader)
        while (batch := await door.pass_through(lambda: next(batches, None))) is not None:
            taken.reject(batch.rejected)
            for start in range(0, len(batch.events), PUBLISH_EVENTS):
                await self._publish(taken, batch.events[start : start + PUBLISH_EVENTS], publish)

    async def _publish(self, taken: _Taken, events: list[NewEvent], publish: Publish) -> None:
        while events:
            try:
                published = await publish(events)
            except InvalidEvent as invalid:
                refused = events[invalid.index]
                taken.reject([Unreadable(f"{refused.type} {refused.data}", invalid.reason, 0, 0)])
                events = events[: invalid.index] + events[invalid.index + 1 :]
                continue
            new = sum(not answer.duplicate for answer in published)
            self.status.events += new
            self._count("duplicates", len(published) - new)
            if new:
                self.status.last_event_monotonic = time.monotonic()
            return

    async def _finish(self, taken: _Taken, seen: Signature, door: _Door) -> None:
        """Set aside what could not be read, then remove the file, unless somebody still writes to it."""

        def finish() -> tuple[bool, Path | None]:
            if is_being_written(taken.path) or signature(taken.path) != seen:
                return False, None
            aside = self._folder.set_aside(taken.path, [piece.text for piece in taken.rejected])
            taken.path.unlink(missing_ok=True)
            return True, aside

        is_finished, aside = await door.pass_through(finish)
        if not is_finished:
            taken.changed_at = self._monotonic()
            return
        self._taken.remove(taken)
        if aside is not None:
            self._tell_rejected(taken, aside)

    def _tell_rejected(self, taken: _Taken, aside: Path) -> None:
        count = taken.rejected_count
        self.status.errors += count
        self._count("rejected", count)
        self.status.details["last_rejected"] = f"{taken.rejected[0].reason}: see {aside}"
        for piece in taken.rejected[:LOGGED_REASONS]:
            self._log.warning(
                "could not be read, set aside",
                reason=piece.reason,
                at_character=piece.position,
                characters=piece.length,
                aside=str(aside),
            )
        if count > LOGGED_REASONS:
            self._log.warning("more could not be read, set aside", count=count - LOGGED_REASONS, aside=str(aside))

    def _count(self, detail: str, number: int) -> None:
        self.status.details[detail] = int(self.status.details[detail] or 0) + number

    def _tell_trouble(self, reason: str) -> None:
        if reason != self.status.last_error:
            self.status.errors += 1
            self._log.error("the event file can't be read just now", reason=reason)
        self.status.state = "degraded"
        self.status.last_error = reason

    def _tell_well(self) -> None:
        if self.status.state == "degraded":
            self._log.info("the event file can be read again")
        self.status.state = "running"
        self.status.last_error = None
        self.status.last_success_monotonic = time.monotonic()


class _Door:
    """The one thread in which this source touches files. What has begun there ends before a cancellation goes on."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self._executor = executor

    async def pass_through(self, work: Callable[[], T]) -> T:
        """Do something in the thread."""
        passing = asyncio.get_running_loop().run_in_executor(self._executor, work)
        try:
            return await asyncio.shield(passing)
        except asyncio.CancelledError:
            await asyncio.wait([passing])
            raise


def _details(path: Path) -> dict[str, str | int | float | None]:
    return {"file": str(path), "duplicates": 0, "rejected": 0, "taken": 0}


def _read(path: Path, reader: EntryReader) -> Iterator[Batch]:
    for chunk in read_chunks(path):
        yield reader.feed(chunk)
    yield reader.finish()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
