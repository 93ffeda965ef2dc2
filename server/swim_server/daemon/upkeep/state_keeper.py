"""Keeps the state of the world: loads it at the start, writes checkpoints, and ends entries that have aged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from swim_server.brokers.broker import BrokerUnavailable, InvalidEvent
from swim_server.concurrency.backoff import Backoff
from swim_server.files.replacing import rename_durably, replace_durably
from swim_server.state import checkpoint
from swim_server.state.ageing import aged_out
from swim_server.state.kinds import BUILT_IN, Kind, declare
from swim_server.state.loading import load_world

if TYPE_CHECKING:
    from pathlib import Path

    from swim_server.brokers.node_broker import NodeBroker
    from swim_server.concurrency.clock import Clock
    from swim_server.concurrency.tasks import Tasks
    from swim_server.config import StateConfig
    from swim_server.logs import Logger
    from swim_server.protocol.event_id import EventId
    from swim_server.state.world import World
    from swim_server.streaming.hub import Hub

CHECKPOINT_SECONDS = 60.0
CHECKPOINT_EVENTS = 100_000
"""A checkpoint is due after this time, or this many events; later events are read from history at a start."""
LOOK_SECONDS = 2.0
"""How often the number of events is checked."""
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 30.0
START_SECONDS = 5.0
"""How long a start waits for the world."""


def state_kinds(config: StateConfig) -> tuple[Kind, ...]:
    """Return the built-in kinds and those of ``[state.kinds]``. Raises InvalidKind."""
    declared = (declare(name, kind.family, kind.key, kind.ends) for name, kind in config.kinds.items())
    return (*BUILT_IN, *declared)


class StateKeeper:
    """Owns the checkpoint files. The world itself belongs to the hub."""

    def __init__(
        self,
        hub: Hub,
        broker: NodeBroker,
        path: Path,
        *,
        kinds: Sequence[Kind],
        max_age_ms: int,
        is_publishing: Callable[[], bool],
        clock: Clock,
        log: Logger,
    ) -> None:
        """Build it; ``is_publishing`` tells whether this process runs the sources, and so ends aged entries."""
        self._hub = hub
        self._broker = broker
        self._path = path
        self._kinds = kinds
        self._max_age_ms = max_age_ms
        self._is_publishing = is_publishing
        self._clock = clock
        self._log = log
        self._saved: EventId | None = None
        """The last event of the newest checkpoint."""
        self._saved_events = 0
        """How many events the hub had delivered by then."""
        self.aged = 0
        """How many entries were ended because of their age, since the start."""

    @property
    def _previous(self) -> Path:
        return self._path.with_name(f"{self._path.name}.1")

    async def load(self) -> bool:
        """Load the world as of the live stream's position; False if history can't be read at the moment."""
        state, until = self._hub.state, self._hub.delivered_id
        try:
            world = await load_world(
                self._kinds,
                self._broker,
                (self._path, self._previous),
                epoch=self._broker.epoch,
                until=until,
                log=self._log,
                progress=self._save,
            )
        except BrokerUnavailable as error:
            self._log.warning("the state can't be loaded yet", reason=error.reason)
            return False
        self._log.info("state loaded", as_of=str(until), flights=len(world.flights), events=world.events)
        if state.begin(world):
            return True
        await self._save(world)  # too much has arrived meanwhile: the next attempt continues from here
        return False

    async def begin(self, tasks: Tasks) -> None:
        """Begin to load the world; return once it is loaded, can't be read yet, or takes too long for a start.

        In that case it is loaded while clients are served: requests for it wait. A long history without a checkpoint
        may take minutes, and an old process that hands over waits for this one at most half a minute.
        """
        tried = asyncio.Event()
        tasks.start(self._load_until_ready(tried))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                await tried.wait()

    async def _load_until_ready(self, tried: asyncio.Event) -> None:
        backoff = Backoff(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, clock=self._clock)
        try:
            while not await self.load():
                tried.set()
                await self._clock.sleep(backoff.fail())
        finally:
            tried.set()

    async def run(self) -> None:
        """Maintain the world once it is loaded, until cancelled."""
        await self._hub.state.ready()
        while True:
            await self._until_checkpoint()
            await self.save()
            await self._end_aged()
            self._hub.state.rest()

    async def _until_checkpoint(self) -> None:
        """Wait until a checkpoint is due."""
        due = self._clock.monotonic() + CHECKPOINT_SECONDS
        while (left := due - self._clock.monotonic()) > 0:
            await self._clock.sleep(min(left, LOOK_SECONDS))
            if self._hub.events_delivered - self._saved_events >= CHECKPOINT_EVENTS:
                return

    async def save(self) -> None:
        """Write a checkpoint if there were events since the last one, which is kept."""
        if self._hub.state.is_ready:
            await self._save(self._hub.state.world)

    async def _save(self, world: World) -> None:
        if world.as_of == self._saved:
            return
        self._saved_events = self._hub.events_delivered
        as_of, data = world.as_of, checkpoint.encode(world, self._broker.epoch)
        try:
            await asyncio.to_thread(self._write, data)
        except OSError as error:
            self._log.warning("the state's checkpoint can't be written", path=str(self._path), reason=str(error))
        else:
            self._saved = as_of

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(FileNotFoundError):  # the first one
            rename_durably(self._path, self._previous)
        replace_durably(self._path, data)

    async def _end_aged(self) -> None:
        if not self._is_publishing():
            return
        due = aged_out(self._hub.state.world, self._clock.now_ms(), self._max_age_ms)
        if not due:
            return
        try:
            await self._broker.publish(due)
        except (BrokerUnavailable, InvalidEvent) as error:
            self._log.warning("stale entries can't be ended at the moment", entries=len(due), reason=str(error))
            return
        self.aged += len(due)
        self._log.info("entries that no source reports any more were ended", entries=len(due))
