"""Writes what happened to keys: uses, refusals, and endings that the database could not store at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from swim_server.concurrency.backoff import Backoff
from swim_server.concurrency.clock import Clock, utc_now
from swim_server.concurrency.worker_pool import WorkerPool
from swim_server.keys.audit import AuditEntry
from swim_server.keys.write_behind import endings
from swim_server.keys.write_behind.activity import Activity
from swim_server.keys.write_behind.endings import Ending, Endings, store_ending
from swim_server.logs import get_logger
from swim_server.sql.errors import StoreError

FLUSH_SECONDS = 10.0
"""Interval at which uses and refusals are written."""
ENDINGS_SECONDS = 5.0
"""Interval at which an ending that could not be stored is retried."""


class Store(endings.Store, Protocol):
    """What the recorder writes to. Blocking."""

    def touch(self, key_ids: Iterable[int], at: datetime) -> None: ...

    def log_refusals(self, entries: Sequence[AuditEntry]) -> None: ...


class KeyRecorder:
    """Writes in batches, in the background. Lives on one event loop; the store's calls run in the pool's threads."""

    def __init__(self, store: Store, pool: WorkerPool, *, clock: Clock, forget: Callable[[int], None]) -> None:
        """Write to ``store``; ``forget`` is called with the id of each key whose row was changed."""
        self.activity = Activity()
        self.endings = Endings()
        self.problem: str | None = None
        """Why uses and refusals can't be written at the moment; None: they can."""
        self._store = store
        self._pool = pool
        self._clock = clock
        self._forget = forget
        self._backoff = Backoff(max(FLUSH_SECONDS * 2, 5), 60, clock=clock)
        self._log = get_logger("keys")

    async def end(self, ending: Ending) -> bool:
        """End a key at once; tell whether the database has stored it. If not, it is retried until it is."""
        self.endings.add(ending)
        self._forget(ending.key_id)
        await self._store_endings()
        return ending.key_id not in self.endings.key_ids

    async def run(self) -> None:
        """Write every few seconds, until cancelled; less often while the database is away."""
        pause = FLUSH_SECONDS
        while True:
            await self._clock.sleep(min(pause, ENDINGS_SECONDS) if self.endings else pause)
            await self._store_endings()
            if await self.flush():
                self._backoff.succeed()
                pause = FLUSH_SECONDS
            else:
                pause = self._backoff.fail()

    async def flush(self) -> bool:
        """Write what waits; tell whether that worked. If not, uses are kept for the next time and refusals are lost."""
        used, refusals = self.activity.take_used(), self.activity.take_refusals()
        now = utc_now(self._clock)
        try:
            if used:
                await self._pool.run(lambda: self._store.touch(used, now), is_telling=False)
            if refusals:
                await self._pool.run(lambda: self._store.log_refusals(refusals), is_telling=False)
        except StoreError as error:
            for key_id in used:
                self.activity.use(key_id)
            if self.problem is None:
                self._log.warning("uses and refusals of keys can't be recorded", reason=str(error))
            self.problem = str(error)
            return False
        if (used or refusals) and self.problem is not None:
            self._log.info("uses and refusals of keys can be recorded again")
            self.problem = None
        return True

    async def _store_endings(self) -> None:
        for ending in self.endings.waiting():
            try:
                await self._pool.run(partial(store_ending, self._store, ending), is_telling=False)
            except StoreError as error:
                self._log.error(
                    "a key was revoked or expired, but the database can't store it yet",
                    key_id=ending.key_id,
                    reason=str(error),
                )
                continue
            self.endings.stored(ending)
            self._forget(ending.key_id)
            self._log.info("the database has stored that a key was revoked or expired", key_id=ending.key_id)
