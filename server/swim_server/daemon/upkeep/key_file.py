"""Notices that the key database's file was replaced while in use, as by a restored backup, and opens the new one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from swim_server.daemon.upkeep.upkeep import Identity, identity

if TYPE_CHECKING:
    from swim_server.daemon.key_watch import KeyWatch
    from swim_server.keys.authenticator import Authenticator
    from swim_server.logs import Logger
    from swim_server.sql.database import Database


class KeyFile:
    """The database file that this process has open. Does nothing if the database is a server's."""

    def __init__(self, database: Database, authenticator: Authenticator, key_watch: KeyWatch, *, log: Logger) -> None:
        url = database.engine.url
        is_file = url.get_backend_name() == "sqlite" and url.database
        self.path = Path(str(url.database)) if is_file else None
        self._database = database
        self._authenticator = authenticator
        self._key_watch = key_watch
        self._log = log
        self._opened: Identity | None = identity(self.path) if self.path is not None else None

    async def look(self) -> bool:
        """Compare device and inode; True if another file has the name: only that one is read from now on.

        If there is no file, the open one continues to be used.
        """
        found = identity(self.path) if self.path is not None else None
        if found is None or found == self._opened:
            return False
        previous, self._opened = self._opened, found
        if previous is None:
            return False
        await asyncio.to_thread(self._database.close)
        self._authenticator.forget_all()
        self._log.warning("the key database was replaced by another file: reopened", path=str(self.path))
        await self._key_watch.recheck_all()
        return True
