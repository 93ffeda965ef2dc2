"""Looks up presented keys: each once for all callers, and all that wait together in one query."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from swim_server.keys.decision_cache import Digest
from swim_server.keys.records import KeyRecord
from swim_server.sql.errors import StoreUnavailable

FindMany = Callable[[Sequence[str]], Awaitable[Mapping[str, KeyRecord]]]
Waiter = asyncio.Future[KeyRecord | None]


class Lookups:
    """The lookups in progress. Keys that arrive while a query runs are in the next one."""

    def __init__(self, find_many: FindMany, *, reader_limit: int = 2, batch_limit: int = 500) -> None:
        self.reader_limit = reader_limit
        """Maximum number of concurrent queries."""
        self.batch_limit = batch_limit
        """Maximum number of keys per query; each takes two of SQL Server's 2,100 parameters."""
        self._find_many = find_many
        self._waiters: dict[Digest, Waiter] = {}
        """One for each key being looked up; removed when it is answered."""
        self._waiting: dict[Digest, str] = {}
        """Keys that are not in a query yet, in the order of their arrival."""
        self._readers: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._waiters)

    def begin(self, digest: Digest, api_key: str) -> Waiter:
        """Begin the lookup of a key, or join one in progress. Never cancel the result: others wait for it too."""
        waiter = self._waiters.get(digest)
        if waiter is None:
            loop = asyncio.get_running_loop()
            waiter = self._waiters[digest] = loop.create_future()
            waiter.add_done_callback(_look_at)
            self._waiting[digest] = api_key
            if len(self._readers) < self.reader_limit:
                self._readers.add(loop.create_task(self._read(), name="key lookups"))
        return waiter

    async def close(self) -> None:
        """Cancel the queries in progress and fail all that wait."""
        readers = list(self._readers)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        self._readers.clear()
        self._waiting.clear()
        for digest in list(self._waiters):
            self._fail(digest, StoreUnavailable("the service is stopping"))

    async def _read(self) -> None:
        """Run queries until no key waits."""
        while self._waiting:
            batch = {digest: self._waiting[digest] for digest in list(self._waiting)[: self.batch_limit]}
            for digest in batch:
                del self._waiting[digest]
            await self._read_batch(batch)
        # Here and not in a later callback: a key that arrives in between must get a new reader.
        reader = asyncio.current_task()
        assert reader is not None, "a reader is a task"
        self._readers.discard(reader)

    async def _read_batch(self, batch: Mapping[Digest, str]) -> None:
        try:
            found = await self._find_many(list(batch.values()))
        except Exception as error:  # noqa: BLE001 - handed to those who wait
            for digest in batch:
                self._fail(digest, error)
        else:
            for digest, api_key in batch.items():
                self._waiters.pop(digest).set_result(found.get(api_key))

    def _fail(self, digest: Digest, error: Exception) -> None:
        self._waiters.pop(digest).set_exception(error)


def _look_at(waiter: Waiter) -> None:
    """Retrieve the exception, so that asyncio doesn't complain when all callers have gone."""
    waiter.exception()
