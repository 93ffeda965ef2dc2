"""The world at the start: the newest checkpoint that history reaches back to, and the events since."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from swim_server.concurrency.yielding import yielding
from swim_server.protocol.event_id import EventId
from swim_server.state.checkpoint import InvalidCheckpoint, decode
from swim_server.state.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from swim_server.brokers.broker import Broker
    from swim_server.logs import Logger
    from swim_server.state.checkpoint import Checkpoint
    from swim_server.state.kinds import Kind

PAGE_EVENTS = 500
PROGRESS_EVENTS = 100_000
"""Progress is saved after this many events, so that a process killed during a long fold need not begin again."""

Progress = Callable[[World], Awaitable[None]]
READS_TRIED, READ_PAUSE_SECONDS = 40, 0.05
"""A disk that fails to read a checkpoint may succeed later: it may contain what history no longer has."""


async def load_world(
    kinds: Sequence[Kind],
    broker: Broker,
    checkpoints: Sequence[Path],
    *,
    epoch: str,
    until: EventId,
    log: Logger,
    progress: Progress | None = None,
) -> World:
    """Build the world as of ``until``, the newest stored event. Raises BrokerUnavailable.

    ``checkpoints``: files that may hold one. One that is newer than history (which a power cut may have truncated)
    would contain events that never were, so an older one is used, or none: then all of history is folded. ``progress``
    is awaited with the unfinished world after every ``PROGRESS_EVENTS`` events.
    """
    world = World(kinds)
    found = await asyncio.to_thread(newest_checkpoint, checkpoints, epoch, until, log)
    missing: Sequence[Kind] = ()
    if found is not None:
        missing = found.restore_into(world)
    if missing:
        await _fold_missing(world, missing, broker)
    await _fold_history(world, broker, until, progress)
    world.as_of = until
    return world


def newest_checkpoint(paths: Sequence[Path], epoch: str, until: EventId, log: Logger) -> Checkpoint | None:
    """Return the newest checkpoint that history reaches back to; None: there is none. Blocks."""
    found: list[Checkpoint] = []
    for path in paths:
        try:
            checkpoint = decode(_read(path), epoch)
        except FileNotFoundError:
            continue
        except (InvalidCheckpoint, OSError) as error:
            log.warning("a checkpoint of the state is not used", path=str(path), reason=str(error))
            continue
        if checkpoint.id <= until:
            found.append(checkpoint)
        else:
            log.warning("a checkpoint of the state is newer than history", path=str(path), as_of=checkpoint.as_of)
    return max(found, key=lambda each: each.id, default=None)


def _read(path: Path) -> bytes:
    """Read a file, retrying a few times. Raises OSError."""
    for _ in range(READS_TRIED - 1):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise
        except OSError:
            time.sleep(READ_PAUSE_SECONDS)
    return path.read_bytes()


async def _fold_missing(world: World, missing: Sequence[Kind], broker: Broker) -> None:
    """Fold all of history for kinds that are new, or defined differently than before."""
    other = World(missing)
    await _fold_history(other, broker, world.as_of)
    for name, entries in other.kinds.items():
        world.kinds[name].restore((entry, entries.touched_ms[key]) for key, entry in entries.by_key.items())


async def _fold_history(world: World, broker: Broker, until: EventId, progress: Progress | None = None) -> None:
    cursor, folded = world.as_of, 0
    while cursor < until:
        page = await broker.read(cursor, until, limit=PAGE_EVENTS)
        async for event in yielding(page.events):
            world.fold(event)
        if page.is_last:
            return
        cursor = page.next_after
        folded += len(page.events)
        if progress is not None and folded >= PROGRESS_EVENTS:
            folded = 0
            await progress(world)
