"""Events for an ``async for`` loop: handed over one by one, each counted as handled when the loop comes back."""

from __future__ import annotations

import asyncio
from typing import Optional

from swim_client.events import Event
from swim_client.handlers import NotHandled


class EventQueue:
    """Between the dispatcher, which waits for the loop's body, and the loop. Lives in one asyncio loop."""

    def __init__(self) -> None:
        self._offered: Optional[Event] = None
        self._returned: Optional[asyncio.Future[bool]] = None
        """Of the event that was offered or is out: whether it was handled."""
        self._news = asyncio.Event()
        self._has_ended = False
        self._error: Optional[BaseException] = None

    async def deliver(self, event: Event, _timestamp: str) -> None:
        """Offer an event, and wait until it was handled. Raises NotHandled if nobody took it."""
        if self._has_ended:
            raise NotHandled
        self._offered = event
        self._returned = asyncio.get_running_loop().create_future()
        self._news.set()
        if not await self._returned:
            raise NotHandled

    async def take(self) -> Optional[Event]:
        """Give back the event before, as handled, and take the next; None at the end, or the error that ended it."""
        self._give_back(is_handled=True)
        while self._offered is None:
            if self._error is not None:
                raise self._error
            if self._has_ended:
                return None
            self._news.clear()
            await self._news.wait()
        event, self._offered = self._offered, None
        return event

    def end(self, error: Optional[BaseException] = None) -> None:
        """Let the loop end, with an error where there is one."""
        if not self._has_ended:
            self._has_ended = True
            self._error = error
            if self._offered is not None:
                self._offered = None
                self._give_back(is_handled=False)
            self._news.set()

    def close(self) -> None:
        """End the loop: what it had in hand counts as handled."""
        self.end()
        self._give_back(is_handled=True)

    def _give_back(self, *, is_handled: bool) -> None:
        if self._offered is None and self._returned is not None and not self._returned.done():
            self._returned.set_result(is_handled)
