"""A clock that stands still until it is told to go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 16, 14, 30, tzinfo=UTC)


class WallClock:
    """Wall time and monotonic time, moved together by hand."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now
        self.seconds = 1_000.0

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds
