"""Keeps requests below the server's limit of messages in a second."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Callable, Deque

WINDOW_SECONDS = 1.0


class Pace:
    """Lets at most so many through in any second; the rest wait their turn."""

    def __init__(self, per_second: int = 8, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._sent: Deque[float] = deque(maxlen=per_second)
        self._monotonic = monotonic

    def wait_seconds(self) -> float:
        """How long the next one has to wait from now."""
        if len(self._sent) < (self._sent.maxlen or 1):
            return 0.0
        return max(0.0, self._sent[0] + WINDOW_SECONDS - self._monotonic())

    async def turn(self) -> None:
        """Wait for the turn of one request, and take it."""
        wait = self.wait_seconds()
        if wait:
            await asyncio.sleep(wait)
        self._sent.append(self._monotonic())
