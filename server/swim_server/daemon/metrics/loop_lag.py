"""Measures how late the event loop runs, and the rates of events; drives the timer wheel."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from swim_server.daemon.gc_tuning import GcTuning

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.concurrency.timer_wheel import TimerWheel
    from swim_server.streaming.hub import Hub

WINDOW_SECONDS = 10


class Rate:
    """How fast a counter grew over the last ten seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque(maxlen=WINDOW_SECONDS + 1)

    def sample(self, moment: float, count: int) -> None:
        """Note the counter at a moment (seconds, monotonic)."""
        self._samples.append((moment, count))

    def per_second(self) -> float:
        """Return the mean growth per second; 0 before two samples."""
        if len(self._samples) < 2:
            return 0.0
        (first, low), (last, high) = self._samples[0], self._samples[-1]
        return round((high - low) / (last - first), 2) if last > first else 0.0


class Throughput:
    """Events received and deliveries per second."""

    def __init__(self, hub: Hub, *, clock: Clock) -> None:
        self.events = Rate()
        self.deliveries = Rate()
        self._hub = hub
        self._monotonic = clock.monotonic

    async def run(self) -> None:
        """Sample once a second until cancelled."""
        while True:
            now = self._monotonic()
            self.events.sample(now, self._hub.events_delivered)
            self.deliveries.sample(now, self._hub.deliveries)
            await asyncio.sleep(1)


TICK_SECONDS = 0.1
KEPT_TICKS = 600


class LoopLagMonitor:
    """Ten ticks per second. Everything else on the loop is delayed as much as a tick is."""

    def __init__(self, wheel: TimerWheel) -> None:
        self._wheel = wheel
        self._lags: deque[float] = deque(maxlen=KEPT_TICKS)

    async def run(self) -> None:
        """Tick until cancelled."""
        loop = asyncio.get_running_loop()
        garbage = GcTuning(loop.time())
        garbage.begin()
        while True:
            due = loop.time() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            self._lags.append(max(loop.time() - due, 0.0))
            self._wheel.advance()
            garbage.tick(loop.time())

    def lag_ms(self) -> dict[str, float]:
        """Return median, 99th percentile and maximum of the last minute, in milliseconds."""
        lags = sorted(self._lags) or [0.0]
        chosen = {"p50": lags[len(lags) // 2], "p99": lags[int(len(lags) * 0.99)], "max": lags[-1]}
        return {name: round(lag * 1000, 2) for name, lag in chosen.items()}
