"""Events and deliveries a second, from counters looked at once a second."""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 10


class Rate:
    """How fast a counter grew over the last ten seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque(maxlen=WINDOW_SECONDS + 1)

    def sample(self, moment: float, count: int) -> None:
        """Note the counter at a moment (seconds, monotonic)."""
        self._samples.append((moment, count))

    def per_second(self) -> float:
        """The mean growth per second; 0 before two samples."""
        if len(self._samples) < 2:
            return 0.0
        (first, low), (last, high) = self._samples[0], self._samples[-1]
        return round((high - low) / (last - first), 2) if last > first else 0.0
