"""How long to wait after one failure or several in a row."""

from __future__ import annotations

from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock


class Backoff:
    """Delays that double up to a limit, each with a jitter of half its length, so that clients don't retry in step."""

    def __init__(self, first_seconds: float, longest_seconds: float, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self._random = clock.random
        self.failures = 0
        """Consecutive failures."""

    def succeed(self) -> None:
        """Reset the count of failures."""
        self.failures = 0

    def fail(self) -> float:
        """Count a failure and return the delay after it, in seconds."""
        mean = min(self._first_seconds * 2.0 ** min(self.failures, 30), self._longest_seconds)
        self.failures += 1
        return min(mean * (0.5 + self._random()), self._longest_seconds)
