"""The bounded queue from the network to the handlers, which may run in different threads.

When it is full, the network side stops reading, so that TCP slows the server down. The network side can tell that it is
waiting, and keeps the connection alive meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import Any, Deque, Mapping, Optional

from swim_client.resume import EventId

OVERFLOW_FACTOR = 10
"""How far it may exceed its limits while a handler waits for an answer that stands behind unread events."""


class Item:
    """One message on its way to the handlers."""

    __slots__ = ("message", "point", "size_bytes")

    def __init__(self, message: Mapping[str, Any], size_bytes: int = 0, point: Optional[EventId] = None) -> None:
        self.message = message
        self.size_bytes = size_bytes
        self.point = point
        """From where to resume once this item has been handled."""


class Signal:
    """An asyncio.Event of one loop that any thread may set. Must be created in that loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._event = asyncio.Event()

    def set(self) -> None:
        """Wake the waiting task."""
        if threading.get_ident() == self._thread:
            self._event.set()
            return
        with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits in it any more
            self._loop.call_soon_threadsafe(self._event.set)

    def clear(self) -> None:
        self._event.clear()

    async def wait(self) -> None:
        await self._event.wait()


class Inbox:
    """A queue with one writer and one reader, each in a loop of its own or both in one.

    Per item, only atomic operations are used (an append, a counter with a single writer); the lock is only for waiting.
    """

    def __init__(self, max_items: int = 1000, max_bytes: int = 8 * 1024 * 1024) -> None:
        self.is_held_up = False
        """Whether the writer waits for room."""
        self.error: Optional[BaseException] = None
        """After the end: the error that ended it, if any."""
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._items: Deque[Item] = deque()
        self._put_bytes = 0
        """Written only by the writer."""
        self._taken_bytes = 0
        """Written only by the reader."""
        self._has_ended = False
        self._is_abandoned = False
        self._waiting_handlers = 0
        self._room: Optional[Signal] = None
        self._news: Optional[Signal] = None
        self._reader_waits = False

    async def put(self, item: Item) -> None:
        """Add an item, waiting while there is no room."""
        await self.room()
        self.put_now(item)

    async def room(self) -> None:
        """Wait until there is room. Only the writer may call it."""
        if self._room is None:
            self._room = Signal()
        while True:
            with self._lock:
                if self._is_abandoned or self.has_room():
                    self.is_held_up = False
                    return
                self.is_held_up = True
                self._room.clear()
            await self._room.wait()

    def has_room(self) -> bool:
        """Return True if the writer may continue."""
        factor = OVERFLOW_FACTOR if self._waiting_handlers else 1
        size_bytes = self._put_bytes - self._taken_bytes
        return len(self._items) < self._max_items * factor and size_bytes < self._max_bytes * factor

    def put_now(self, item: Item) -> None:
        """Add an item even if there is no room."""
        if self._is_abandoned:
            return
        self._put_bytes += item.size_bytes
        self._items.append(item)
        if self._reader_waits:
            with self._lock:
                self._wake_reader()

    def _wake_reader(self) -> None:
        if self._reader_waits and self._news is not None:
            self._reader_waits = False
            self._news.set()

    def get_now(self) -> Optional[Item]:
        """Return the oldest item; None if there is none at the moment."""
        try:
            item = self._items.popleft()
        except IndexError:
            return None
        self._taken_bytes += item.size_bytes
        if self.is_held_up:
            with self._lock:
                self._wake_writer()
        return item

    async def get(self) -> Optional[Item]:
        """Return the oldest item, waiting for one if there is none. None after the end."""
        if self._news is None:
            self._news = Signal()
        while True:
            item = self.get_now()
            if item is not None:
                return item
            with self._lock:
                self._reader_waits = True
                self._news.clear()
                if self._items or self._has_ended:  # what comes from now on wakes this reader
                    self._reader_waits = False
                    if self._items:
                        continue
                    return None
            await self._news.wait()

    def _wake_writer(self) -> None:
        # Only once it is half empty, so that the two don't wake each other for every single item.
        size_bytes = self._put_bytes - self._taken_bytes
        is_half_empty = len(self._items) <= self._max_items // 2 and size_bytes <= self._max_bytes // 2
        if self.is_held_up and self._room is not None and (is_half_empty or self._waiting_handlers):
            self.is_held_up = False
            self._room.set()

    def hold_open(self) -> None:
        """Allow more items until ``release``: a handler waits for an answer that stands behind unread events."""
        with self._lock:
            self._waiting_handlers += 1
            self._wake_writer()

    def release(self) -> None:
        """Undo one ``hold_open``."""
        with self._lock:
            self._waiting_handlers -= 1

    def end(self, error: Optional[BaseException] = None) -> None:
        """Mark the end: nothing more is added. The reader still gets the remaining items."""
        with self._lock:
            if not self._has_ended:
                self._has_ended = True
                self.error = error
                self._wake_reader()

    def abandon(self) -> None:
        """Stop reading: drop everything, including items added later."""
        with self._lock:
            self._is_abandoned = True
            self._items.clear()
            self._taken_bytes = self._put_bytes
            self._wake_writer()

    def __len__(self) -> int:
        return len(self._items)
