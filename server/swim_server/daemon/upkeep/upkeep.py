"""Maintains what others may remove while the process runs: control socket, lockfile, log, key database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from swim_server.daemon.lockfile import Lockfile
    from swim_server.daemon.log_stream import LogStream
    from swim_server.gateway.listeners import Listeners
    from swim_server.logs import Logger

LOOK_SECONDS = 1.0

Identity = tuple[int, int]
"""Device and inode."""


class Upkeep:
    """Recreates what is gone, every second; not while two processes share the home, as then either may write it."""

    def __init__(
        self,
        control_socket: Path,
        lockfile: Lockfile,
        listeners: Listeners,
        log_stream: LogStream | None,
        *,
        is_alone: Callable[[], bool],
        look_at_keys: Callable[[], Awaitable[object]],
        log: Logger,
    ) -> None:
        self._control_socket = control_socket
        self._lockfile = lockfile
        self._listeners = listeners
        self._log_stream = log_stream
        self._is_alone = is_alone
        self._look_at_keys = look_at_keys
        self._log = log
        self._bound: Identity | None = None
        self._problems: dict[str, str] = {}
        """What could not be recreated, by name: each reason is logged once."""

    async def listen_locally(self) -> None:
        """Bind the control socket, and remember its identity. Raises OSError."""
        await self._listeners.listen_locally(self._control_socket)
        self._bound = identity(self._control_socket)

    async def run(self) -> None:
        """Check until cancelled. Never raises."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._log_stream is not None:
                self._log_stream.keep_in_place()
            await self._look_at_keys()
            if self._is_alone():
                await self.look()

    async def look(self) -> None:
        """Recreate what is gone."""
        try:
            if self._lockfile.keep():
                self._log.warning("the lockfile had been removed or changed: recreated", path=str(self._lockfile.path))
            self._problems.pop("lockfile", None)
        except OSError as error:
            self._tell("lockfile", error)
        try:
            if self._bound is not None and identity(self._control_socket) != self._bound:
                self._control_socket.parent.mkdir(mode=0o700, exist_ok=True)
                await self.listen_locally()
                self._log.warning("the control socket had been removed: recreated", path=str(self._control_socket))
            self._problems.pop("control socket", None)
        except OSError as error:
            self._tell("control socket", error)

    def _tell(self, name: str, error: OSError) -> None:
        reason = error.strerror or str(error)
        if self._problems.get(name) != reason:
            self._problems[name] = reason
            self._log.error(f"the {name} is gone and can't be recreated", reason=reason)


def identity(path: Path) -> Identity | None:
    """Return the identity of the file with this name; None if there is none, or it can't be examined."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
