"""Notices that the key database's file was replaced, as by a restored backup, or is another installation's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from swim_server.daemon.upkeep.upkeep import Identity, identity
from swim_server.files.installation import read_installation
from swim_server.keys.integrity.installation import claim
from swim_server.sql.errors import StoreError

if TYPE_CHECKING:
    from swim_server.daemon.key_watch import KeyWatch
    from swim_server.keys.store import KeyStore
    from swim_server.logs import Logger


class KeyFile:
    """The database file that this process has open. Does nothing if the database is a server's."""

    def __init__(self, store: KeyStore, key_watch: KeyWatch, *, log: Logger) -> None:
        url = store.database.engine.url
        is_file = url.get_backend_name() == "sqlite" and url.database
        self.path = Path(str(url.database)) if is_file else None
        self._store = store
        self._key_watch = key_watch
        self._log = log
        self._opened: Identity | None = identity(self.path) if self.path is not None else None

    async def claim(self) -> None:
        """Report a key database that was made by another installation, and make it this one's.

        Its keys are accepted as they are: an operator may have brought them along on purpose.
        """
        try:
            former = await asyncio.to_thread(self._claim)
        except (StoreError, OSError) as error:
            self._log.warning("it can't be told to which installation the key database belongs", reason=str(error))
            return
        if former is not None:
            self._log.error(
                "the key database was made by another installation: its keys are those that are good here now",
                path=str(self.path), installation=former,
            )  # fmt: skip

    def _claim(self) -> str | None:
        here = read_installation(self.path.parent) if self.path is not None else None
        if here is None:
            return None
        self._store.tables.schema()  # a new file gets its tables
        return claim(self._store.database, here)

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
        await asyncio.to_thread(self._store.close)
        self._log.warning("the key database was replaced by another file: reopened", path=str(self.path))
        await self._key_watch.start_over()
        await self.claim()
        return True
