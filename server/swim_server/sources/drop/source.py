"""The drop folder: providers rename files of JSON lines into it; each is published line by line and removed."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path

import msgspec

from swim_server.brokers.broker import Publish
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.concurrency.worker_thread import WorkerThread
from swim_server.files.opening import look_at, open_to_read
from swim_server.logs import get_logger
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.events import NewEvent
from swim_server.sources.drop.folder import DropFolder, FolderTrouble, Taken, ends_line, read_lines
from swim_server.sources.drop.lines import InvalidLine, Rejected, read_line, reject
from swim_server.sources.event_file.folder import is_being_written
from swim_server.sources.event_file.reporter import WRITERS_KNOWN, WRITERS_UNKNOWN
from swim_server.sources.event_file.source import UNKNOWN_SECONDS
from swim_server.sources.folder_watch import watch_folder
from swim_server.sources.health import Health
from swim_server.sources.publisher import EventPublisher
from swim_server.sources.source import SourceStatus
from swim_server.sources.state_file import StateFile
from swim_server.sources.unknown_types import UnknownTypes
from swim_server.streaming.publishing import Publishing

BATCH_LINES = 500
RETRY_SECONDS = 0.5
LOGGED_REASONS = 5


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the current file is stored."""

    batch: str = ""
    offset: int = 0
    line: int = 0
    """Number of lines before ``offset``."""
    rejects_bytes: int = 0
    """Length of the rejects file for those lines."""
    rejected: int = 0


class Remembered(Progress, frozen=True, kw_only=True):
    """What the state file contains: the progress of the current file, and of those that may still be written to."""

    waiting: list[Progress] = []


class _Waiting(msgspec.Struct):
    """A file read to its end that a process has, or may have, open."""

    progress: Progress
    size_bytes: int
    grown_at: float
    """When it was last seen to grow, by the monotonic clock."""


class _Page(msgspec.Struct, frozen=True):
    """Some lines of a file."""

    events: list[NewEvent]
    rejected: list[Rejected]
    lines: dict[str, tuple[int, bytes]]
    """By event id: number and text, in case the broker refuses one."""
    offset: int
    line: int


class DropSource:
    """Publishes the files of one folder, one after the other.

    Events without an ``event_id`` get one from file and line, and how far a file has been stored is remembered: after a
    kill it continues there, and the broker recognises what is repeated.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        interval_seconds: float,
        catalogue: Catalogue,
        state_path: Path | None = None,
        is_watching: bool = True,
        retry_seconds: float = RETRY_SECONDS,
        unknown_seconds: float = UNKNOWN_SECONDS,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        details: dict[str, str | int | float | None] = {"folder": str(folder), "files": 0, "lines": 0, "rejected": 0}
        details["writers"] = WRITERS_KNOWN
        self.status = SourceStatus(name=name, kind="drop", details=details)
        self._folder = DropFolder(folder.absolute())
        self._interval_seconds = interval_seconds
        self._publishing = Publishing(catalogue)
        self._state_file = StateFile(state_path, Remembered)
        self._progress = Progress()
        self._waiting: dict[str, _Waiting] = {}
        """By batch: files read to their end that may still be written to."""
        self._unknown_seconds = unknown_seconds
        self._clock = clock
        self._is_watching = is_watching
        self._retry_seconds = retry_seconds
        self._wake = asyncio.Event()
        self._log = get_logger("sources").bind(source=name)
        self._health = Health(self.status, self._log, "the drop folder", clock=clock)
        self._unknown_types = UnknownTypes(self.status, self._log)
        self._publisher = EventPublisher(self.status, self._log, clock=clock)

    async def run(self, publish: Publish) -> None:
        """Publish until cancelled. A file taken before a crash comes first."""
        with WorkerThread("drop") as worker:
            await worker.pass_through(self._load)
            async with asyncio.TaskGroup() as tasks:
                if self._is_watching:
                    tasks.create_task(watch_folder(self._folder, self._wake))
                await self._look_for_ever(publish, worker)

    def _load(self) -> None:
        saved = self._state_file.load()
        if self._state_file.fault is not None:
            self._health.trouble(self._state_file.fault)
        if saved is not None:
            self._progress = msgspec.convert(saved, Progress, from_attributes=True)
            now = self._clock.monotonic()
            self._waiting = {each.batch: _Waiting(each, each.offset, now) for each in saved.waiting}

    def _save(self) -> None:
        waiting = [each.progress for each in self._waiting.values()]
        self._state_file.save(Remembered(**msgspec.structs.asdict(self._progress), waiting=waiting))

    async def _look_for_ever(self, publish: Publish, worker: WorkerThread) -> None:
        while True:
            delay = self._interval_seconds
            self._wake.clear()
            try:
                taken = await worker.pass_through(self._take)
                while taken is not None:
                    await self._work_off(taken, publish, worker)
                    taken = await worker.pass_through(self._take)
            except (FolderTrouble, OSError) as trouble:
                self._health.trouble(str(trouble))
                delay = max(delay, self._retry_seconds)
            else:
                self._health.well()
            await _wait(self._wake, delay)

    def _take(self) -> Taken | None:
        """Return the file to publish next: one that was already taken, else the first that can be taken."""
        left = [taken for taken in self._folder.taken() if self._is_due(taken)]
        offered = self._folder.offered()
        self.status.details["waiting"] = len(left) + len(offered)
        if left:
            return left[0]
        return next((taken for name in offered if (taken := self._folder.take(name)) is not None), None)

    def _is_due(self, taken: Taken) -> bool:
        """Tell whether a taken file needs attention: not while it waits for its writer."""
        waiting = self._waiting.get(taken.batch)
        if waiting is None:
            return True
        try:
            size_bytes = look_at(taken.path).st_size
        except OSError:
            return True
        now = self._clock.monotonic()
        if size_bytes != waiting.size_bytes:
            waiting.size_bytes, waiting.grown_at = size_bytes, now
            return True
        writer = is_being_written(taken.path)
        return writer is False or (writer is None and now - waiting.grown_at >= self._unknown_seconds)

    async def _work_off(self, taken: Taken, publish: Publish, worker: WorkerThread) -> None:
        """Publish a file from where it was left, and remove it."""
        if self._progress.batch != taken.batch:
            known = self._waiting.get(taken.batch)
            self._progress = Progress(batch=taken.batch) if known is None else known.progress
        self.status.details["file"] = taken.name
        for is_end in (False, True):
            while (page := await worker.pass_through(partial(self._read, taken, is_end))) is not None:
                await self._publish(taken, page, publish, worker)
                self._health.well()
            if not is_end and await worker.pass_through(lambda: self._let_wait(taken)):
                return
        await self._publisher.sync(publish)  # the file is removed only when its events survive a power cut
        rejected = self._progress.rejected
        aside = await worker.pass_through(lambda: self._folder.finish(taken))
        self._waiting.pop(taken.batch, None)
        self._health.count("files")
        self.status.details["file"] = None
        if aside is not None:
            self.status.details["last_rejected"] = str(aside)
            self._log.warning(
                "lines of a dropped file were set aside", file=taken.name, lines=rejected, aside=str(aside)
            )

    def _let_wait(self, taken: Taken) -> bool:
        """Keep a file that was read to its end while a process has, or may have, it open."""
        try:
            writer, size_bytes = is_being_written(taken.path), look_at(taken.path).st_size
        except OSError:
            return False
        now = self._clock.monotonic()
        waiting = self._waiting.get(taken.batch)
        if writer is None:
            self.status.details["writers"] = WRITERS_UNKNOWN
        is_quiet = waiting is not None and now - waiting.grown_at >= self._unknown_seconds
        if writer is False or (writer is None and is_quiet):
            return False
        if waiting is None:
            waiting = self._waiting[taken.batch] = _Waiting(self._progress, size_bytes, now)
        waiting.progress, waiting.size_bytes = self._progress, size_bytes
        self._progress = Progress()
        self._save()
        return True

    def _read(self, taken: Taken, is_end: bool) -> _Page | None:
        """Read the next lines; None at the end of the file, or if it is gone.

        ``is_end``: nobody writes to it any more; otherwise a last line without its end is still being written.
        """
        progress = self._progress
        try:
            with open_to_read(taken.path) as file:
                file.seek(progress.offset)
                lines = read_lines(file, BATCH_LINES)
                offset = file.tell()
                if lines and not is_end and not ends_line(file, offset):
                    offset = lines.pop()[0]
        except FileNotFoundError:
            return None
        if not lines:
            return None
        page = _Page([], [], {}, offset, progress.line + len(lines))
        for number, (_, line) in enumerate(lines, progress.line + 1):
            try:
                read = read_line(line, number, taken.batch, self._publishing)
            except InvalidLine as invalid:
                page.rejected.append(reject(line, number, invalid.reason, invalid.unknown_type))
                continue
            if read is not None and read.event.event_id is not None:
                page.events.append(read.event)
                page.lines[read.event.event_id] = number, line
                page.rejected.extend(read.rejected)
        return page

    async def _publish(self, taken: Taken, page: _Page, publish: Publish, worker: WorkerThread) -> None:
        """Store the lines, set aside those that can't be stored, and remember the progress."""

        def refuse(event: NewEvent, reason: str) -> None:
            number, line = page.lines[event.event_id or ""]
            page.rejected.append(reject(line, number, reason))

        await self._publisher.publish(publish, page.events, refuse)
        before = self._progress

        def remember() -> None:
            rejects_bytes = self._folder.set_aside(taken, page.rejected, before.rejects_bytes)
            self._progress = Progress(
                batch=taken.batch,
                offset=page.offset,
                line=page.line,
                rejects_bytes=rejects_bytes,
                rejected=before.rejected + len(page.rejected),
            )
            self._save()

        await self._publisher.sync(publish)
        await worker.pass_through(remember)
        self._health.count("lines", page.line - before.line)
        self._health.count("rejected", len(page.rejected))
        self.status.errors += len(page.rejected)
        self._unknown_types.count(Counter(each.unknown_type for each in page.rejected if each.unknown_type))
        told = [each for each in page.rejected if not each.unknown_type]
        for piece in told[: max(0, LOGGED_REASONS - before.rejected)]:
            self._log.warning("a line is not an event", file=taken.name, line=piece.line, reason=piece.reason)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
