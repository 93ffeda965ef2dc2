"""Syncs and checkpoints of the history file, in a thread of their own."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from swim_server.brokers import history_file
from swim_server.brokers.counters import Counters
from swim_server.brokers.trouble import unavailable
from swim_server.logs import get_logger

_log = get_logger("broker")


class Checkpoints:
    """Checkpoints the write-ahead log when there is something new in it. Belongs to the loop.

    ``sync`` blocks until every commit so far is on the disk; it is called in this class's thread.
    """

    def __init__(
        self,
        path: Path,
        sync: Callable[[], None],
        counters: Counters,
        *,
        interval_seconds: float,
        on_end: Callable[[], None],
    ) -> None:
        """Start nothing yet. ``on_end`` is called after each checkpoint, once the counters tell how it went."""
        self._path = path
        self._on_end = on_end
        self._sync_file = sync
        self._counters = counters
        self._interval_seconds = interval_seconds
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="history-checkpoint")
        self._sync_task: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._started_at = 0.0
        self._done = (0, 0)
        """Commits and removals up to the last checkpoint."""

    async def sync(self) -> None:
        """Wait for a sync that begins now or later; callers that come while one runs share the next one."""
        loop = asyncio.get_running_loop()
        running = self._sync_task
        if running is not None and not running.done():
            await asyncio.wait([running])  # it began earlier and may miss what was stored since
        if self._sync_task is running or self._sync_task is None or self._sync_task.done():
            self._sync_task = loop.run_in_executor(self._executor, self._sync_file)
        await asyncio.shield(self._sync_task)

    def start_if_due(self) -> None:
        """Start a checkpoint in the background, unless one runs or nothing was written since the last one.

        Under ``full`` a checkpoint brings nothing to the disk sooner, and concurrent commits wait for it: hence the
        interval. A checkpoint that failed is tried again at the next call.
        """
        now = time.monotonic()
        if self._counters.checkpoint_error is None and now - self._started_at < self._interval_seconds:
            return
        self._started_at = now
        written = self._counters.commits, self._counters.events_pruned
        if written != self._done and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._checkpoint(written), name="history-checkpoint")

    async def _checkpoint(self, written: tuple[int, int]) -> None:
        trouble = await asyncio.get_running_loop().run_in_executor(self._executor, _checkpoint, self._path)
        if trouble is None:
            self._done = written
            if self._counters.checkpoint_error is not None:
                _log.info("history's write-ahead log can be checkpointed again")
        elif trouble != self._counters.checkpoint_error:
            _log.error("history's write-ahead log can't be checkpointed at the moment", reason=trouble)
        self._counters.checkpoint_error = trouble
        self._on_end()

    async def wait(self) -> None:
        """Wait for the checkpoint in progress, if there is one."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def close(self) -> None:
        """Release the thread. Nothing may be started afterwards."""
        self._executor.shutdown(wait=False)


def _checkpoint(path: Path) -> str | None:
    """Checkpoint the file; return why that failed, or None."""
    try:
        history_file.checkpoint(path)
    except sqlite3.Error as error:
        return unavailable(error, path).reason
    return None
