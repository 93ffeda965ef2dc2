"""Where HTTP asks for the figures, before there is a process that they could be of."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock

FEW_READS = 6
"""Who has read so often does it by a clock, and is missed when that ends."""


class Exposition:
    """Writes the figures of the service that has been connected to it."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._reads: deque[float] = deque(maxlen=FEW_READS)
        self.gather: Callable[[], Awaitable[tuple[bytes, str]]] | None = None
        """Set once the service is there."""

    async def write(self) -> tuple[bytes, str]:
        """Write all figures, with the content type."""
        assert self.gather is not None, "nobody can ask before it serves"
        self._reads.append(self._clock.monotonic())
        return await self.gather()

    @property
    def read_age_seconds(self) -> float | None:
        """How long ago somebody read them last; None: nobody has since the start."""
        return self._clock.monotonic() - self._reads[-1] if self._reads else None

    @property
    def pace_seconds(self) -> float | None:
        """How often they are read, by the last few times; None: they were not read so often."""
        if len(self._reads) < FEW_READS:
            return None
        return (self._reads[-1] - self._reads[0]) / (FEW_READS - 1)
