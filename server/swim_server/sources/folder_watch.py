"""Notices within milliseconds that the event file has appeared; polling remains as a fallback."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from watchfiles import awatch

from swim_server.logs import get_logger

STEP_MS = 3
"""How often the watching thread checks for the kernel's notifications; a change is passed on after two checks."""
DEBOUNCE_MS = 10
"""Maximum time for which a busy folder delays a notification."""
RESTART_SECONDS = 1.0

_log = get_logger("sources")


class WatchedFolder(Protocol):
    """A folder, and which of its files are relevant."""

    path: Path
    """A path in it."""

    def is_ours(self, file: str) -> bool:
        """Tell whether a changed file is relevant. Does not block."""

    def identity(self) -> tuple[int, int] | None:
        """Return the folder's current identity; None if it does not exist. Blocks."""


async def watch_folder(folder: WatchedFolder, wake: asyncio.Event) -> None:
    """Set ``wake`` whenever the event file, or one taken from it, has changed; also survives a missing folder."""
    is_told = False
    while True:
        watching = asyncio.create_task(_watch_once(folder, wake))
        try:
            identity = await asyncio.to_thread(folder.identity)
            while not watching.done() and await asyncio.to_thread(folder.identity) == identity:
                await asyncio.wait([watching], timeout=RESTART_SECONDS)
        finally:
            watching.cancel()
            await asyncio.wait([watching])
        if not watching.cancelled() and (error := watching.exception()) is not None and not is_told:
            _log.warning("the folder can't be watched: polling it instead", reason=str(error))
        is_told = True
        await asyncio.sleep(RESTART_SECONDS)


async def _watch_once(folder: WatchedFolder, wake: asyncio.Event) -> None:
    changes = awatch(
        folder.path.parent,
        watch_filter=lambda _, path: folder.is_ours(path),
        debounce=DEBOUNCE_MS,
        step=STEP_MS,
        recursive=False,
        ignore_permission_denied=True,
    )
    async for _ in changes:
        wake.set()
