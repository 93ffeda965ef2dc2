"""The place where HTTP gets the metrics, which exists before the service does."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock

FEW_READS = 6
"""A reader that has read this often reads regularly, and is missed when it stops."""


class Exposition:
    """Returns the metrics of the service that has been connected to it."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._reads: deque[float] = deque(maxlen=FEW_READS)
        self.gather: Callable[[], Awaitable[tuple[bytes, str]]] | None = None
        """Set once the service exists."""

    async def write(self) -> tuple[bytes, str]:
        """Return all metrics, with the content type."""
        assert self.gather is not None, "nobody can ask before it serves"
        self._reads.append(self._clock.monotonic())
        return await self.gather()

    @property
    def read_age_seconds(self) -> float | None:
        """How long ago they were last read; None: not since the start."""
        return self._clock.monotonic() - self._reads[-1] if self._reads else None

    @property
    def pace_seconds(self) -> float | None:
        """The interval of the last few reads; None: there were too few."""
        if len(self._reads) < FEW_READS:
            return None
        return (self._reads[-1] - self._reads[0]) / (FEW_READS - 1)
