"""The sources that publish: started, stopped, and replaced when the configuration changes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from swim_server.daemon.sources import build_sources
from swim_server.logs import get_logger
from swim_server.sources.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from swim_server.brokers.broker import Publish
    from swim_server.concurrency.tasks import Tasks
    from swim_server.config import Config
    from swim_server.daemon.home import Home
    from swim_server.daemon.running_config import RunningConfig
    from swim_server.protocol.channels import Catalogue
    from swim_server.sources.source import Source, SourceStatus


class RunningSources:
    """Owns the supervisor of the sources. At most one runs at a time."""

    def __init__(self, config: RunningConfig, home: Home, catalogue: Catalogue, publish: Publish, tasks: Tasks) -> None:
        self._config = config
        self._home = home
        self._catalogue = catalogue
        self._publish = publish
        self._tasks = tasks
        self.wrap: Callable[[Config, list[Source]], list[Source]] | None = None
        """Takes the sources that were built; returns those to run."""
        self._built: list[Source] | None = None
        """Built but not started yet."""
        self._supervisor: Supervisor | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether they were started and not stopped since."""
        return self._task is not None

    def build(self, config: Config | None = None) -> None:
        """Build what ``start`` will start, so that errors occur before anything depends on it."""
        config = config or self._config.values
        self._built = build_sources(config, self._home, self._catalogue)
        if self.wrap is not None:
            self._built = self.wrap(config, self._built)

    def start(self) -> None:
        """Start publishing from the configured sources."""
        if self._built is None:
            self.build()
        sources, self._built = self._built or [], None
        self._supervisor = Supervisor(sources, self._publish, get_logger("sources"))
        self._task = self._tasks.start(self._supervisor.run())

    async def stop(self) -> None:
        """Stop every source; what it took from its input is published or still there. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def replace(self, config: Config) -> None:
        """Switch to the sources of another configuration; unchanged ones continue where they were."""
        self.build(config)
        await self.stop()
        self._config.values = msgspec.structs.replace(
            self._config.values, sources=config.sources, adl=config.adl, detection=config.detection
        )
        self.start()

    def statuses(self) -> list[SourceStatus]:
        """Return every source's status, in the order of the configuration."""
        return list(self._supervisor.statuses()) if self._supervisor is not None else []

    def event_ages(self) -> dict[str, float | None]:
        """Return how long ago each source's last event was, in seconds."""
        return {status.name: age(status.last_event_monotonic) for status in self.statuses()}


def age(moment: float | None) -> float | None:
    """Return the seconds since a monotonic moment."""
    return round(time.monotonic() - moment, 1) if moment is not None else None
