"""Runs sources: each in a task of its own, begun again with a growing pause when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from swim_server.brokers.broker import Publish
from swim_server.sources.source import Source, SourceStatus

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0


class Supervisor:
    """Owns the sources' tasks; none of them takes another one or the service down."""

    def __init__(
        self,
        sources: Sequence[Source],
        publish: Publish,
        log: Any,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._sources = list(sources)
        self._publish = publish
        self._log = log
        self._sleep = sleep

    def statuses(self) -> list[SourceStatus]:
        """Each source's own account of itself."""
        return [source.status for source in self._sources]

    async def run(self) -> None:
        """Run all sources until they have come to their end, or until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for source in self._sources:
                tasks.create_task(self._run_one(source))

    async def _run_one(self, source: Source) -> None:
        pause = FIRST_PAUSE_SECONDS
        status = source.status
        while True:
            try:
                await source.run(self._publish)
            except asyncio.CancelledError:
                status.state = "stopped"
                raise
            except Exception as error:  # noqa: BLE001  # one source's failure, whatever it is, is its own
                status.state = "failed"
                status.errors += 1
                status.last_error = f"{type(error).__name__}: {error}"
                self._log.error("a source failed; it begins again", source=status.name, seconds=pause, exc_info=error)
                await self._sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            else:
                status.state = "finished"
                return
