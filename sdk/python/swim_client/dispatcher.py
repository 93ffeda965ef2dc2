"""Takes messages out of the inbox and gives each to its handlers, one after the other; remembers how far it came."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Callable, Optional

from swim_client.decoding import decode
from swim_client.flights import FlightMirror
from swim_client.handlers import Handlers, NotHandled
from swim_client.inbox import Inbox, Item
from swim_client.resume import EventId
from swim_client.resume_file import ResumeFile

SAVE_SECONDS = 1.0
TURN_SECONDS = 0.01
"""After so long without a pause the loop's other tasks get a turn."""
_LAST_WORDS = frozenset({"disconnected", "error"})

_log = logging.getLogger("swim_client")


class Dispatcher:
    """Hands each event over exactly once, in order. The program's handlers run in the thread that runs this."""

    def __init__(
        self,
        inbox: Inbox,
        handlers: Handlers,
        *,
        flights: FlightMirror,
        resume_file: Optional[ResumeFile],
        handled: Optional[EventId],
        on_connected: Callable[[], None],
    ) -> None:
        self.handled = handled
        """From where to resume: everything up to it has been handled."""
        self.task: Optional[asyncio.Task[object]] = None
        """The task that runs the handlers."""
        self.is_stopping = False
        """Set from any thread: events that still wait are dropped, not handled."""
        self._inbox = inbox
        self._handlers = handlers
        self._flights = flights
        self._resume_file = resume_file
        self._on_connected = on_connected
        self._saving: Optional[asyncio.Future[None]] = None
        self._save_due: Optional[asyncio.TimerHandle] = None

    async def run(self) -> None:
        """Work until the inbox ends. Raises the error that ended it."""
        self.task = asyncio.current_task()
        turn_end = time.monotonic() + TURN_SECONDS
        try:
            while True:
                item = self._inbox.get_now() or await self._inbox.get()
                if item is None:
                    break
                await self._hand_over(item)
                if time.monotonic() >= turn_end:
                    await asyncio.sleep(0)
                    turn_end = time.monotonic() + TURN_SECONDS
        finally:
            await self._save_at_last()
        if self._inbox.error is not None:
            raise self._inbox.error

    async def _hand_over(self, item: Item) -> None:
        kind = item.message["type"]
        if self.is_stopping and kind not in _LAST_WORDS:
            return
        if not self._flights.take(item.message) and self._handlers.of(kind):
            try:
                await self._handlers.hand_over(decode(item.message))
            except NotHandled:
                return
        if kind == "connected":
            self._on_connected()
        if item.point is not None and item.point != self.handled:
            self.handled = item.point
            self._save_soon()

    def _save_soon(self) -> None:
        if self._resume_file is not None and self._save_due is None:
            self._save_due = asyncio.get_running_loop().call_later(SAVE_SECONDS, self._begin_saving)

    def _begin_saving(self) -> None:
        self._save_due = None
        if self._saving is not None and not self._saving.done():
            self._save_soon()
            return
        assert self._resume_file is not None and self.handled is not None, "saving was asked for"
        loop = asyncio.get_running_loop()
        self._saving = loop.run_in_executor(None, self._save, self._resume_file, self.handled)

    def _save(self, resume_file: ResumeFile, event_id: EventId) -> None:
        try:
            resume_file.save(event_id)
        except OSError as error:
            _log.error("resume file %s can't be written: %s", resume_file.path, error)

    async def _save_at_last(self) -> None:
        if self._save_due is not None:
            self._save_due.cancel()
        if self._saving is not None:
            await asyncio.wait({self._saving})
        resume_file = self._resume_file
        if resume_file is not None and self.handled is not None and self.handled != resume_file.saved:
            self._save(resume_file, self.handled)
