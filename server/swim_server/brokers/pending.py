"""Publishers' calls that wait for the next commit: a bounded queue, first in, first out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from swim_server.brokers.broker import BrokerUnavailable, Published
from swim_server.protocol.events import NewEvent


class Call:
    """A call of ``publish`` that waits for its commit."""

    __slots__ = ("events", "waiter")

    def __init__(self, events: Sequence[NewEvent], waiter: asyncio.Future[list[Published]]) -> None:
        self.events = events
        self.waiter = waiter

    def answer(self, answer: list[Published] | Exception) -> None:
        """Answer the caller, if it still waits."""
        if self.waiter.done():
            return
        if isinstance(answer, list):
            self.waiter.set_result(answer)
        else:
            self.waiter.set_exception(answer)


class Pending:
    """The queue. At its limit further callers wait too, in the order of their arrival."""

    def __init__(self, limit_events: int, *, wake: asyncio.Event | None = None) -> None:
        self._limit_events = limit_events
        self._calls: deque[Call] = deque()
        self._events = 0
        self._entrance = asyncio.Lock()
        """Held by the caller that waits for space; the others queue for it, and asyncio's locks are fair."""
        self._room = asyncio.Event()
        self._is_closed = False
        self.wake = wake or asyncio.Event()
        """Set whenever there is something to do."""

    def __bool__(self) -> bool:
        return bool(self._calls)

    @property
    def is_closed(self) -> bool:
        """Whether it accepts no further calls."""
        return self._is_closed

    async def put(self, events: Sequence[NewEvent]) -> list[Published]:
        """Wait until the events are stored. A call cancelled before a commit took it has no effect."""
        call = Call(events, asyncio.get_running_loop().create_future())
        async with self._entrance:
            while self._events >= self._limit_events and not self._is_closed:
                self._room.clear()
                await self._room.wait()
            if self._is_closed:
                raise BrokerUnavailable("it is closed")
            self._calls.append(call)
            self._events += len(events)
            self.wake.set()
        return await call.waiter

    def take(self, about_events: int) -> list[Call]:
        """Take the oldest calls, with about this many events together, without those whose caller has gone."""
        taken: list[Call] = []
        size = 0
        while self._calls and size < about_events:
            call = self._calls.popleft()
            self._events -= len(call.events)
            if not call.waiter.done():
                taken.append(call)
                size += len(call.events)
        self._room.set()
        return taken

    def close(self) -> None:
        """Accept no more calls; those that wait can still be taken."""
        self._is_closed = True
        self._room.set()
        self.wake.set()
