"""One timer for the deadlines and heartbeats of ten thousand connections, with one callback per tick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from swim_server.concurrency.clock import Clock


class Timed(Protocol):
    """Something with one deadline at a time."""

    wheel_tick: int | None
    """The tick at which it is due; None if it is not scheduled. Set by the wheel."""

    def on_due(self) -> None:
        """Act on the deadline. Called once, in the scheduled tick; may schedule itself again."""


class TimerWheel:
    """Deadlines in buckets of ``tick_seconds``. Its driver calls ``advance`` about once per tick."""

    def __init__(
        self,
        clock: Clock,
        *,
        on_failure: Callable[[BaseException], None],
        tick_seconds: float = 0.1,
    ) -> None:
        self._monotonic = clock.monotonic
        self._on_failure = on_failure
        self._tick_seconds = tick_seconds
        self._buckets: dict[int, dict[Timed, None]] = {}
        self._current = self._tick_at(self._monotonic())

    def _tick_at(self, moment: float) -> int:
        return int(moment / self._tick_seconds)

    def schedule(self, item: Timed, delay_seconds: float) -> None:
        """Schedule it after a delay, never earlier; replaces its previous deadline."""
        self.cancel(item)
        tick = max(self._tick_at(self._monotonic() + delay_seconds) + 1, self._current + 1)
        item.wheel_tick = tick
        self._buckets.setdefault(tick, {})[item] = None

    def cancel(self, item: Timed) -> None:
        """Cancel its deadline. Idempotent."""
        if item.wheel_tick is not None:
            bucket = self._buckets.get(item.wheel_tick)
            if bucket is not None:
                bucket.pop(item, None)
                if not bucket:
                    del self._buckets[item.wheel_tick]
            item.wheel_tick = None

    def advance(self) -> None:
        """Call ``on_due`` for everything that is due."""
        target = self._tick_at(self._monotonic())
        if target - self._current > len(self._buckets):
            ticks = sorted(tick for tick in self._buckets if tick <= target)
        else:
            ticks = [tick for tick in range(self._current + 1, target + 1) if tick in self._buckets]
        self._current = target
        for tick in ticks:
            for item in self._buckets.pop(tick, ()):
                if item.wheel_tick == tick:  # not cancelled or rescheduled by another's on_due
                    item.wheel_tick = None
                    self._call(item)

    def _call(self, item: Timed) -> None:
        try:
            item.on_due()
        except Exception as error:  # noqa: BLE001  # one connection's trouble must not stop everybody's deadlines
            self._on_failure(error)


class Alarm:
    """A separate deadline for something that already has one."""

    __slots__ = ("_call", "wheel_tick")

    def __init__(self, call: Callable[[], None]) -> None:
        self.wheel_tick: int | None = None
        self._call = call

    def on_due(self) -> None:
        """Call its callback."""
        self._call()
