"""Notices that the key database's file was replaced under the process, by a backup say, and opens the new one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swim_server.daemon.upkeep.upkeep import Identity, identity

if TYPE_CHECKING:
    from swim_server.daemon.key_watch import KeyWatch
    from swim_server.keys.authenticator import Authenticator
    from swim_server.sql.database import Database


class KeyFile:
    """The file that this process's connections to the key database have open. Nothing to do where that is a server."""

    def __init__(self, database: Database, authenticator: Authenticator, key_watch: KeyWatch, *, log: Any) -> None:
        url = database.engine.url
        is_file = url.get_backend_name() == "sqlite" and url.database
        self.path = Path(str(url.database)) if is_file else None
        self._database = database
        self._authenticator = authenticator
        self._key_watch = key_watch
        self._log = log
        self._opened: Identity | None = identity(self.path) if self.path is not None else None

    async def look(self) -> bool:
        """Compare device and inode; True when another file has the name: it is read from now on, and nothing before.

        A file that is just not there is not looked for: the one that is open goes on being read.
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
