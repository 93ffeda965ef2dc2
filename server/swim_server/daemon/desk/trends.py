"""The last hour, one sample every ten seconds: rates, latency, connections. Bounded, and cheap enough to run always."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from swim_server.daemon.workers.adding import slowest

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.daemon.components import Components

STEP_SECONDS = 10.0
KEPT_SECONDS = 3600.0


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One sample; sent as a list, in this order."""

    at: int
    """Unix time."""
    connections: int
    events_per_second: float
    deliveries_per_second: float
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    latency_max_ms: float | None
    loop_lag_p99_ms: float
    refused: int
    """Since the start."""


class Trends:
    """Keeps the samples. ``run`` takes them."""

    def __init__(self, components: Components, *, clock: Clock) -> None:
        self._parts = components
        self._now_ms = clock.now_ms
        self.samples: deque[Sample] = deque(maxlen=int(KEPT_SECONDS / STEP_SECONDS))

    async def run(self) -> None:
        """Take a sample every few seconds, until cancelled."""
        while True:
            self.samples.append(self.take())
            await asyncio.sleep(STEP_SECONDS)

    def take(self) -> Sample:
        """Take one sample."""
        parts = self._parts
        reports = [] if parts.workers is None else [worker.report for worker in parts.workers.running.values()]
        found = slowest([parts.latency.summary_ms()] if parts.workers is None else [r.latency_ms for r in reports])
        latency = {} if found is None else msgspec.to_builtins(found)
        refused = sum(parts.endpoints.refusals.counts.values())
        lags = [parts.loop_lag.lag_ms(), *(each.loop_lag_ms for each in reports)]
        return Sample(
            at=self._now_ms() // 1000,
            connections=parts.gateway.clients(),
            events_per_second=parts.throughput.events.per_second(),
            deliveries_per_second=round(
                parts.throughput.deliveries.per_second() + sum(each.deliveries_per_second for each in reports), 2
            ),
            latency_p50_ms=latency.get("p50"),
            latency_p99_ms=latency.get("p99"),
            latency_max_ms=latency.get("max"),
            loop_lag_p99_ms=max(each.get("p99", 0.0) for each in lags),
            refused=refused + (0 if parts.workers is None else sum(parts.workers.counted().refused.values())),
        )
