"""Several daemons, each with its own home, on one Redis server and one key database."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.live_daemon import LiveDaemon
from support.redis_server import RedisServer
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.config import DatabaseConfig
from swim_server.keys.audit import Actor
from swim_server.keys.format import Tier
from swim_server.keys.new_key import NewKey
from swim_server.keys.opening import open_database
from swim_server.keys.store import IssuedKey, KeyStore

START_SECONDS = 120.0


class Nodes:
    """The daemons by number, and the keys that they share."""

    def __init__(
        self,
        folder: Path,
        server: RedisServer,
        count: int,
        *,
        config: str = "",
        url: Callable[[int], str] | None = None,
    ) -> None:
        self.server = server
        self._url = url or (lambda _: server.url)
        self.database = folder / "keys" / "swim.db"
        self.database.parent.mkdir()
        self.prefix = secrets.token_hex(4)
        self.daemons = [
            LiveDaemon(folder / f"node{number}", config=self.config(number, config)) for number in range(count)
        ]
        self._store: KeyStore | None = None

    def config(self, number: int, more: str) -> str:
        """Return the configuration of the daemon with this number."""
        return (
            f'[broker]\nurl = "{self._url(number)}"\nprefix = "{self.prefix}"\n'
            f'[database]\nurl = "sqlite:///{self.database}"\n[cluster]\nnode = "node{number}"\n{more}'
        )

    def __getitem__(self, number: int) -> LiveDaemon:
        return self.daemons[number]

    def start(self) -> None:
        """Start them one after the other; several at once would make a busy machine busier."""
        for daemon in self.daemons:
            daemon.start_seconds = START_SECONDS
        for daemon in self.daemons:
            daemon.start()

    @property
    def store(self) -> KeyStore:
        """The key store that all nodes read."""
        if self._store is None:
            database = open_database(DatabaseConfig(url=f"sqlite:///{self.database}"), self.database)
            self._store = KeyStore(database, clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes)
        return self._store

    def make_key(self, tier: str = "developer", **fields: Any) -> IssuedKey:
        """Create a key in the shared database."""
        return self.store.create(NewKey(tier=Tier(tier), owner_name="a test", **fields), Actor("test", "test"))

    def finish(self) -> None:
        for daemon in self.daemons:
            daemon.finish()
        if self._store is not None:
            self._store.close()


@contextmanager
def running_nodes(folder: Path, server: RedisServer, count: int = 3, *, config: str = "") -> Iterator[Nodes]:
    """Run nodes during a ``with``."""
    nodes = Nodes(folder, server, count, config=config)
    try:
        nodes.start()
        yield nodes
    finally:
        nodes.finish()
