"""The event loop's lag."""

from __future__ import annotations

import asyncio

from swim_server.daemon.metrics.loop_lag import KEPT_TICKS, LoopLagMonitor


class CountingWheel:
    def __init__(self) -> None:
        self.advances = 0

    def advance(self) -> None:
        self.advances += 1


def _pulse(*lags: float) -> LoopLagMonitor:
    pulse = LoopLagMonitor(CountingWheel())  # type: ignore[arg-type]  # only what the monitor calls
    pulse._lags.extend(lags)
    return pulse


def test_lag_before_the_first_tick_is_none() -> None:
    assert _pulse().lag_ms() == {"p50": 0, "p99": 0, "max": 0}


def test_lag_is_told_by_median_99th_percentile_and_maximum() -> None:
    lags = [number / 1000 for number in range(100)]
    assert _pulse(*reversed(lags)).lag_ms() == {"p50": 50, "p99": 99, "max": 99}


def test_one_bad_tick_shows_in_the_maximum_alone() -> None:
    assert _pulse(*[0.001] * 599, 2.0).lag_ms() == {"p50": 1, "p99": 1, "max": 2000}


def test_only_the_last_minute_is_remembered() -> None:
    assert _pulse(5.0, *[0.001] * KEPT_TICKS).lag_ms()["max"] == 1


async def test_each_tick_advances_the_wheel() -> None:
    wheel = CountingWheel()
    task = asyncio.create_task(LoopLagMonitor(wheel).run())  # type: ignore[arg-type]  # only what the monitor calls
    async with asyncio.timeout(5):
        while wheel.advances < 2:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
