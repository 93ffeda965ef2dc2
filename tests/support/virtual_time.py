"""Time that passes only when somebody sleeps."""

from __future__ import annotations

import asyncio


class TimeIsUp(Exception):
    """The test has seen enough."""


class VirtualTime:
    """A monotonic clock and a wall clock that jump over every sleep, up to an end."""

    def __init__(self, until: float = 1e9, start_ms: int = 1_768_573_815_123) -> None:
        self.now = 0.0
        self.until = until
        self.start_ms = start_ms
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def clock_ms(self) -> int:
        return self.start_ms + round(self.now * 1000)

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once. Raises TimeIsUp instead of passing the end."""
        if self.now + seconds > self.until:
            self.now = self.until
            raise TimeIsUp
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)
