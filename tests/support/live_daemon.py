"""A daemon for gateway and lifecycle tests: asked fast, over its control socket and its key store."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.daemon import START_SECONDS, STOP_SECONDS, Daemon, end_all
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.config import DatabaseConfig
from swim_server.daemon.home import Home
from swim_server.daemon.lockfile import Lockfile, LockInfo
from swim_server.keys.audit import Actor
from swim_server.keys.format import Tier
from swim_server.keys.new_key import NewKey
from swim_server.keys.opening import open_database
from swim_server.keys.store import IssuedKey, KeyStore

__all__ = ["START_SECONDS", "STOP_SECONDS", "LiveDaemon", "await_true", "comes_true", "live_daemon"]


def await_true(condition: Callable[[], Any], *, seconds: float = 30.0, what: str = "it") -> Any:
    """Poll until something is true, and return it, for events in another process."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.01)


async def comes_true(condition: Callable[[], Any], *, seconds: float = 30.0, what: str = "it") -> Any:
    """Wait as ``await_true`` does, each look in a thread: a test that is cancelled meanwhile ends at once."""
    deadline = time.monotonic() + seconds
    while not (found := await asyncio.to_thread(condition)):
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what} did not happen within {seconds:g} s")
        await asyncio.sleep(0.01)
    return found


class LiveDaemon(Daemon):
    """``start`` it, then ask. Keys are created directly in its database: a command each would take a second."""

    _store: KeyStore | None = None

    @property
    def info(self) -> LockInfo:
        """The lockfile's content."""
        info = self.lockfile.read()
        assert info is not None and info.url is not None, "nobody serves"
        return info

    @property
    def lockfile(self) -> Lockfile:
        return Lockfile(Home(self.home).lockfile)

    @property
    def is_serving(self) -> bool:
        return self.lockfile.is_held()

    @property
    def url(self) -> str:
        url = self.info.url
        assert url is not None
        return url

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].partition("/")[0])

    @property
    def everything_logged(self) -> str:
        """The log of the process that was started, and of those that took over from it."""
        path = Home(self.home).log
        return self.log + (path.read_text("utf-8", "replace") if path.exists() else "")

    def put(self, *events: tuple[str, Mapping[str, Any]]) -> list[str]:
        """Publish events; return their ids."""
        rows = [{"type": type, "data": data} for type, data in events]
        return [one["id"] for one in self.call("publish", {"events": rows})["published"]]

    def counted(self) -> dict[str, int]:
        """Return the number of clients by tier."""
        by_tier = self.call("status")["connections"]["by_tier"]
        return {tier: counts["current"] for tier, counts in by_tier.items()}

    def make_key(self, tier: str = "developer", **fields: Any) -> IssuedKey:
        """Create a key in the database, with fields of ``NewKey``."""
        if self._store is None:
            self._store = KeyStore(
                open_database(DatabaseConfig(), Home(self.home).database),
                clock=SYSTEM_CLOCK,
                randbytes=secrets.token_bytes,
            )
        return self._store.create(NewKey(tier=Tier(tier), owner_name="a test", **fields), Actor("test", "test"))

    def api_key(self, tier: str = "developer") -> str:
        """Create a key; return the text that a client sends."""
        return self.make_key(tier).api_key

    def signal(self, number: signal.Signals) -> None:
        """Signal the process that the lockfile names."""
        os.kill(self.info.pid, number)

    def ended(self) -> int:
        """Wait until the started process ends by itself; return its exit code."""
        assert self.process is not None
        return self.process.wait(STOP_SECONDS)

    def finish(self) -> None:
        """End whatever is still running."""
        end_all(self)
        if self._store is not None:
            self._store.close()


@contextmanager
def live_daemon(home: Path, **settings: Any) -> Iterator[LiveDaemon]:
    """Run a daemon during a ``with``."""
    daemon = LiveDaemon(home, **settings)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.finish()
