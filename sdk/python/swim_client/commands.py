"""Requests of the program on their way to the network."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Deque, Dict, Optional

from swim_client.answer import Answer
from swim_client.errors import SwimError
from swim_client.inbox import Signal
from swim_client.subscriptions import PendingSubscription

MAX_WAITING = 1000


class Command:
    """One request, and where its answer goes."""

    def __init__(
        self,
        message: Dict[str, Any],
        answer_type: str,
        answer: Answer,
        *,
        version: int = 0,
        wish: Optional[PendingSubscription] = None,
        is_repeatable: bool = False,
    ) -> None:
        self.message = message
        self.answer_type = answer_type
        self.answer = answer
        self.version = version
        """Of ``subscribe`` and ``unsubscribe``: the change of the subscriptions that it tells the server."""
        self.wish = wish
        self.is_repeatable = is_repeatable
        """May be sent again over the next connection: it does no harm if the server got it twice."""

    @property
    def action(self) -> str:
        return str(self.message["action"])


class TooManyRequests(SwimError):
    """The program asks faster than the server may be asked."""

    def __str__(self) -> str:
        return f"{MAX_WAITING} requests wait already; await their answers"


class Commands:
    """A bounded queue. Any thread puts in; the network's loop, in which it is made, takes out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Deque[Command] = deque()
        self._closed_with: Optional[SwimError] = None
        self._signal = Signal()

    def put(self, command: Command) -> None:
        """Add a request. Its answer fails at once when there is no room, or nobody left to send it."""
        with self._lock:
            error = self._closed_with or (TooManyRequests() if len(self._waiting) >= MAX_WAITING else None)
            if error is None:
                self._waiting.append(command)
        if error is None:
            self._signal.set()
        else:
            command.answer.fail(error)

    def put_back(self, command: Command) -> None:
        """Let a request that was interrupted be the next one."""
        with self._lock:
            self._waiting.appendleft(command)
        self._signal.set()

    async def get(self) -> Command:
        """Take the oldest; waits while there is none."""
        while True:
            with self._lock:
                if self._waiting:
                    return self._waiting.popleft()
                self._signal.clear()
            await self._signal.wait()

    async def wait(self) -> None:
        """Wait until there is one."""
        while not self._waiting:
            self._signal.clear()
            if not self._waiting:
                await self._signal.wait()

    def close(self, error: SwimError) -> None:
        """Fail all that wait, and all that come."""
        with self._lock:
            self._closed_with = error
            waiting, self._waiting = self._waiting, deque()
        for command in waiting:
            command.answer.fail(error)
