"""A clock that stands still until somebody sleeps or the test advances it."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 16, 14, 30, tzinfo=UTC)


class TimeIsUp(Exception):
    """The test has seen enough."""


class VirtualClock:
    """A ``Clock`` whose wall and monotonic time advance together: by hand, and at once with every sleep."""

    def __init__(self, start: datetime = START, *, seconds: float = 1_000.0, until: float = math.inf) -> None:
        self.wall_ms = start.timestamp() * 1000
        """Milliseconds since 1970; a test may set it alone, as somebody sets a machine's clock."""
        self.seconds = seconds
        """The steady time."""
        self.until = until
        """After so many seconds from the start a sleep raises TimeIsUp."""
        self.step_seconds = 0.0
        """What each look at the steady time takes, so that time slices end where a test wants."""
        self.luck = 0.5
        """What ``random`` gives."""
        self.slept: list[float] = []
        self._began = seconds

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.seconds - self._began

    @property
    def now(self) -> datetime:
        """Return the wall time."""
        return START + timedelta(milliseconds=self.wall_ms - START.timestamp() * 1000)

    def now_ms(self) -> int:
        return round(self.wall_ms)

    def monotonic(self) -> float:
        self.seconds += self.step_seconds
        return self.seconds

    async def sleep(self, seconds: float, /) -> None:
        """Advance at once. Raises TimeIsUp instead of passing the end."""
        self.block(seconds)
        await asyncio.sleep(0)

    def block(self, seconds: float, /) -> None:
        """Advance at once, in a thread."""
        if self.elapsed + seconds > self.until:
            self.advance(self.until - self.elapsed)
            raise TimeIsUp
        self.slept.append(seconds)
        self.advance(seconds)

    def random(self) -> float:
        return self.luck

    def advance(self, seconds: float) -> None:
        """Advance both times."""
        self.wall_ms += seconds * 1000
        self.seconds += seconds


def clock_at(wall_ms: int) -> VirtualClock:
    """Create a clock with this wall time in Unix milliseconds."""
    clock = VirtualClock()
    clock.wall_ms = float(wall_ms)
    return clock
