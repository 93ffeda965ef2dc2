"""A few threads that read history, each with its own connection, so that no read waits for a write."""

from __future__ import annotations

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from swim_server.brokers.broker import BrokerUnavailable, Page
from swim_server.brokers.history_reader import HistoryReader, Rotten
from swim_server.brokers.trouble import HistoryDamaged, is_damage, unavailable
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import Event

THREADS = 2
T = TypeVar("T")


class PooledReading(ABC):
    """Reads a history with a pool of readers; what seems damaged is handed on to whoever looks after the file."""

    _readers: ReaderPool

    @abstractmethod
    def _suspect(self) -> None:
        """Have the file checked at once: a read met damage."""

    @abstractmethod
    async def note_rotten(self, rotten: Rotten) -> None:
        """Have ranges recorded that were found damaged while reading."""

    async def read(
        self,
        after: EventId,
        until: EventId | None = None,
        *,
        types: Collection[str] | None = None,
        limit: int = 500,
    ) -> Page:
        """Read a page: at most ``limit`` events, and about 4 MiB."""
        page, rotten = await self._read(lambda reader: reader.page(after, until, types, max(limit, 1)))
        if rotten:
            await self.note_rotten(rotten)
        return page

    async def read_last(
        self, count: int, *, types: Collection[str] | None = None, before: EventId | None = None
    ) -> list[Event]:
        """Read the newest ``count`` events, all of them into memory."""
        events, rotten = await self._read(lambda reader: reader.last(max(count, 0), types, before))
        if rotten:
            await self.note_rotten(rotten)
        return events

    async def _read(self, work: Callable[[HistoryReader], T]) -> T:
        try:
            return await self._readers.read(work)
        finally:
            if self._readers.is_suspect:
                self._readers.is_suspect = False
                self._suspect()


class ReaderPool:
    """Runs reads off the loop's thread. ``generation`` returns which file is the current one."""

    def __init__(self, path: Path, generation: Callable[[], int]) -> None:
        self.is_suspect = False
        """A read met damage: the file must be checked, and this reset."""
        self._path = path
        self._generation = generation
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="history-reader")
        self._idle: list[tuple[int, HistoryReader]] = []
        self._is_closed = False

    async def read(self, work: Callable[[HistoryReader], T]) -> T:
        """Run ``work`` with a reader. Raises BrokerUnavailable."""
        if self._is_closed:
            raise BrokerUnavailable("it is closed")
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._work, work)

    async def close(self) -> None:
        """Let reads in progress end, then close the connections. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._executor.shutdown)
        for _, reader in self._idle:
            reader.close()
        self._idle.clear()

    def _work(self, work: Callable[[HistoryReader], T]) -> T:
        reader: HistoryReader | None = None
        try:
            generation, reader = self._take()
            result = work(reader)
        except sqlite3.Error as error:
            if reader is not None:
                reader.close()
            if is_damage(error):
                self.is_suspect = True
                raise BrokerUnavailable(f"{self._path} seems damaged: it is being checked") from error
            raise unavailable(error, self._path) from error
        except HistoryDamaged as damage:
            self.is_suspect = True
            if reader is not None:
                reader.close()
            raise BrokerUnavailable(f"{self._path} seems damaged ({damage.reason}): it is being checked") from damage
        except BaseException:
            if reader is not None:
                reader.close()
            raise
        self._idle.append((generation, reader))
        return result

    def _take(self) -> tuple[int, HistoryReader]:
        """Return an idle reader of the current file, or a new one. Readers of an earlier file are closed."""
        current = self._generation()
        while self._idle:
            try:
                generation, reader = self._idle.pop()
            except IndexError:
                break  # another thread was faster
            if generation == current:
                return generation, reader
            reader.close()
        return current, HistoryReader(self._path)
