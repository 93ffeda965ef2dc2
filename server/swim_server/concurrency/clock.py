"""The process's source of time and randomness: whatever waits, measures or chooses randomly takes a ``Clock``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time, monotonic time, sleeping and randomness. Tests pass one whose time they control."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970; jumps when the system's clock is set."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, from an arbitrary start."""
        ...

    async def sleep(self, seconds: float, /) -> None:
        """Suspend the calling task."""
        ...

    def block(self, seconds: float, /) -> None:
        """Suspend the calling thread: for commands and worker threads, never on an event loop."""
        ...

    def random(self) -> float:
        """Return a number from 0 to 1, 1 excluded."""
        ...


class SystemClock:
    """The machine's time and randomness."""

    monotonic = staticmethod(time.monotonic)
    block = staticmethod(time.sleep)

    @staticmethod
    def now_ms() -> int:
        """Return milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    @staticmethod
    async def sleep(seconds: float, /) -> None:
        """Suspend the calling task."""
        import asyncio  # commands without a loop need not load it

        await asyncio.sleep(seconds)

    @staticmethod
    def random() -> float:
        """Return a number from 0 to 1."""
        import random

        return random.random()


SYSTEM_CLOCK: Clock = SystemClock()


def utc_now(clock: Clock) -> datetime:
    """Return the clock's wall time as a date."""
    return datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
