"""How long an event takes from its id to its last write to a client: sampled a few times a second."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from itertools import accumulate, zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.streaming.hub import Hub

SAMPLE_SECONDS = 0.1
KEPT_SECONDS = 60.0
MAX_TURNS = 100_000
"""How many turns to wait for a hub that never finishes under load."""


BOUNDS_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, float("inf"))


class Histogram:
    """Counts latencies by size, since the start."""

    def __init__(self) -> None:
        self.sum_seconds = 0.0
        self._counts = [0] * len(BOUNDS_SECONDS)

    def add(self, seconds: float) -> None:
        """Count one latency."""
        self.sum_seconds += seconds
        self._counts[bisect_left(BOUNDS_SECONDS, seconds)] += 1

    @property
    def latency_seconds(self) -> float:
        """Their sum."""
        return self.sum_seconds

    @property
    def latency_counts(self) -> list[int]:
        """The number of latencies by size."""
        return list(self._counts)

    def include(self, sum_seconds: float, counts: Sequence[int]) -> None:
        """Add the latencies that other processes have counted."""
        self.sum_seconds += sum_seconds
        self._counts = [mine + theirs for mine, theirs in zip_longest(self._counts, counts, fillvalue=0)]

    def cumulative(self) -> list[tuple[float, int]]:
        """Return each bound, and how many latencies were at most that."""
        return list(zip(BOUNDS_SECONDS, accumulate(self._counts), strict=True))


class Latency:
    """The samples of the last minute. Ids have whole milliseconds, so each sample is up to one too long."""

    def __init__(
        self,
        hub: Hub,
        *,
        clock: Clock,
        wall_ms: Callable[[], float],
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None:
        """Sample with ``wall_ms``, milliseconds since 1970 with a fraction, which ``now_ms`` of a clock lacks."""
        self._hub = hub
        self._wall_ms = wall_ms
        self._monotonic = clock.monotonic
        self._call_soon = call_soon
        self._samples: deque[tuple[float, float]] = deque(maxlen=int(KEPT_SECONDS / SAMPLE_SECONDS))
        self.histogram = Histogram()
        self._sample_at = 0.0
        self._is_waiting = False

    def delivered(self, milliseconds: int) -> None:
        """Note that an event whose id has this time was just handed to the hub."""
        if not self._is_waiting and self._monotonic() >= self._sample_at:
            self._is_waiting = True
            self._await_writes(milliseconds, 0)

    def _await_writes(self, milliseconds: int, turns: int) -> None:
        def look() -> None:
            if not self._hub.is_idle and turns < MAX_TURNS:
                self._await_writes(milliseconds, turns + 1)
                return
            now = self._monotonic()
            latency_ms = max(self._wall_ms() - milliseconds, 0.0)
            self._samples.append((now, latency_ms))
            self.histogram.add(latency_ms / 1000)
            self._sample_at, self._is_waiting = now + SAMPLE_SECONDS, False

        self._call_soon(look)

    def summary_ms(self) -> dict[str, float] | None:
        """Return median, 99th percentile and maximum of the last minute; None: there was no event."""
        since = self._monotonic() - KEPT_SECONDS
        found = sorted(latency for at, latency in self._samples if at >= since)
        if not found:
            return None
        chosen = {"p50": found[len(found) // 2], "p99": found[int(len(found) * 0.99)], "max": found[-1]}
        return {name: round(latency, 2) for name, latency in chosen.items()}
