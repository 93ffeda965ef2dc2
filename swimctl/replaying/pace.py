"""The pace of a replay: each event is played when it is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from swimctl.replaying.sinks import Sink

LONGEST_WAIT_SECONDS = 5.0
"""Longer pauses, at the requested speed, are cut to this."""


class Replayed(NamedTuple):
    """One event to play."""

    moment_ms: int
    """Its time: when it was stored, or when it happened."""
    event: dict[str, Any]
    """``type``, ``timestamp``, ``data``, and ``id`` if it had one."""
    line: str | None = None
    """Its text as recorded, byte for byte."""


class Pace:
    """Waits until the next event is due. Speed 0: never waits."""

    def __init__(self, speed: float, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._speed = speed
        self._clock = clock
        self._last_moment_ms: int | None = None
        self._due = 0.0

    def await_turn(self, moment_ms: int, before: Callable[[], None]) -> None:
        """Wait as long as the event came after the previous one, divided by the speed; ``before`` is called first."""
        if self._speed <= 0:
            return
        if self._last_moment_ms is None:
            self._due = self._clock.monotonic()
        else:
            step = max(moment_ms - self._last_moment_ms, 0) / 1000 / self._speed
            self._due = max(self._due + min(step, LONGEST_WAIT_SECONDS), self._clock.monotonic() - LONGEST_WAIT_SECONDS)
        self._last_moment_ms = moment_ms
        delay = self._due - self._clock.monotonic()
        if delay > 0:
            before()
            self._clock.block(delay)


def play(events: Iterator[Replayed], sink: Sink, pace: Pace) -> None:
    """Pass every event to the sink when it is due, also those before a damaged place that ends the replay."""
    try:
        for each in events:
            pace.await_turn(each.moment_ms, sink.flush)
            sink.put(each.event, each.line)
    finally:
        sink.flush()
