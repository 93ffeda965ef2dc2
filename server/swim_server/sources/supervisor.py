"""Runs the sources independently: one that fails is restarted with growing delays, and affects no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from swim_server.brokers.broker import Publish
from swim_server.concurrency.backoff import Backoff
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.sources.source import Source, SourceStatus

if TYPE_CHECKING:
    from swim_server.logs import Logger

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 60.0
STABLE_SECONDS = 60.0
"""After running this long without a failure, a source restarts at the first delay again."""
STOP_SECONDS = 5.0


class Supervisor:
    """Owns the tasks of all sources."""

    def __init__(
        self,
        sources: Sequence[Source],
        publish: Publish,
        log: Logger,
        *,
        clock: Clock = SYSTEM_CLOCK,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._sources = list(sources)
        self._publish = publish
        self._log = log
        self._clock = clock
        self._stop_seconds = stop_seconds
        self._is_stopping = False

    def statuses(self) -> list[SourceStatus]:
        """Return the status of each source, in the order of the configuration."""
        return [source.status for source in self._sources]

    async def run(self) -> None:
        """Run all sources until each has ended. When cancelled, stops them and waits a bounded time."""
        tasks = [
            asyncio.create_task(self._keep_running(source), name=f"source-{source.status.name}")
            for source in self._sources
        ]
        try:
            if tasks:
                await asyncio.wait(tasks)
        finally:
            await self._stop(tasks)

    async def _stop(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        self._is_stopping = True
        running = [task for task in tasks if not task.done()]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=self._stop_seconds)
        for task in running:
            if not task.done():
                self._log.error("a source does not stop: shutting down without it", task=task.get_name())
            elif not task.cancelled() and (error := task.exception()) is not None:
                self._log.error("a source failed while it stopped", task=task.get_name(), exc_info=error)

    async def _keep_running(self, source: Source) -> None:
        """Run one source, restarting it after each failure."""
        status = source.status
        backoff = Backoff(FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS, clock=self._clock)
        try:
            while True:
                started = self._clock.monotonic()
                if await self._run_once(source):
                    status.state = "finished"
                    return
                if self._clock.monotonic() - started >= STABLE_SECONDS:
                    backoff.succeed()
                delay = backoff.fail()
                self._log.warning("restarting the source", source=status.name, in_seconds=round(delay, 1))
                await self._clock.sleep(delay)
        finally:
            if self._is_stopping:
                status.state = "stopped"

    async def _run_once(self, source: Source) -> bool:
        """Run a source to its end; False if it failed."""
        status = source.status
        status.state = "starting"
        try:
            await source.run(self._publish)
        except (Exception, asyncio.CancelledError) as error:  # logged with its traceback, and counted
            if self._is_stopping:
                raise  # else the CancelledError is the source's own, and a failure like any other
            status.state = "failed"
            status.errors += 1
            status.last_error = _explain(error)
            self._log.exception("the source failed", source=status.name, reason=status.last_error)
            return False
        self._log.info("the source has finished", source=status.name, events=status.events)
        return True


def _explain(error: BaseException) -> str:
    """Return the root cause in one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
