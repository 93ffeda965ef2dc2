"""The number of events in history: counted in pieces in the background, then kept up to date."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from swim_server.brokers.history_reader import HistoryReader

QUICK_SECONDS = 0.05
"""A history that can be counted this quickly is counted again for every request."""
PATIENCE_SECONDS = 0.5
"""How long a request waits for the count of a large history."""
Piece = tuple[int, int | None]
Read = Callable[[Callable[[HistoryReader], Piece]], Awaitable[Piece]]


class _Counters(Protocol):
    events_stored: int
    events_pruned: int


class EventCount:
    """The count of one history. Belongs to the loop."""

    def __init__(
        self, read: Callable[[Callable[[HistoryReader], Piece]], Awaitable[Piece]], counters: _Counters
    ) -> None:
        self._read = read
        self._counters = counters
        self._more = 0
        """By how many events history exceeds ``stored - pruned``."""
        self._seconds: float | None = None
        """How long counting took; None: it has not been counted yet."""
        self._task: asyncio.Task[None] | None = None

    async def ask(self) -> int | None:
        """Return the number of events; None: they are still being counted. Raises BrokerUnavailable."""
        if self._task is None and (self._seconds is None or self._seconds <= QUICK_SECONDS):
            self._task = asyncio.create_task(self._count(), name="history-count")
        task = self._task
        if task is not None:
            await asyncio.wait([task], timeout=PATIENCE_SECONDS)
            if task.done():
                self._task = None
                task.result()
        return None if self._seconds is None else max(self._more + self._change, 0)

    async def close(self) -> None:
        """Stop counting. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _count(self) -> None:
        """Count all events in the background: 2 GiB take seconds, or a minute from a slow disk."""
        started, pruned = time.perf_counter(), self._counters.events_pruned
        count, change = 0, 0
        after: int | None = 0
        while after is not None:
            change = self._change
            number, after = await self._read(partial(HistoryReader.count_some, after=after))
            count += number
        gone = self._counters.events_pruned - pruned  # they were counted earlier: retention removes the oldest first
        self._more, self._seconds = count - gone - change, time.perf_counter() - started

    @property
    def _change(self) -> int:
        return self._counters.events_stored - self._counters.events_pruned
