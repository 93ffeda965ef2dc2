"""The pace of a recording that is played: steps as long as they were recorded, divided by the speed."""

from __future__ import annotations

from swim_server.concurrency.clock import Clock
from swim_server.protocol.timestamps import format_ms
from swim_server.sources.source import SourceStatus

MAX_STEP_MS = 300_000
"""Longer gaps of a recording are shortened to this."""
MIN_ROUND_SECONDS = 0.1
"""Minimum time between the end of one round and the beginning of the next, whatever the speed."""
MAX_DELAY_BEHIND_SECONDS = 1.0
"""If further behind than this, it continues from now instead of catching up in a burst."""
TOGETHER_SECONDS = 0.02
"""Events due within this time are published together."""
LOOK_AGAIN_SECONDS = 2.0
"""How often it is checked whether there is something to play."""


class Pace:
    """When the next event of a recording is due."""

    def __init__(
        self,
        speed: float,
        status: SourceStatus,
        *,
        clock: Clock,
    ) -> None:
        if not speed > 0:
            raise ValueError(f"the speed of a recording must be above 0, got {speed}")
        self.last_step_seconds = 0.0
        self._speed = speed
        self._status = status
        self._clock = clock
        self._due: float | None = None
        """When the current event is due; None: at once, and the others follow it."""
        self._moment_ms: int | None = None
        """Time of the previous event."""

    def begin(self) -> None:
        """Make the next event due at once."""
        self._due = self._moment_ms = None

    def begin_round(self) -> None:
        """Begin the recording again: its first event is due now."""
        self._moment_ms = None

    def pass_over(self, moment_ms: int) -> None:
        """Treat an event as played; the next one is due as long after now as it was recorded after this one."""
        self._moment_ms = moment_ms

    def must_wait(self, moment_ms: int) -> bool:
        """Advance to an event; tell whether it is not due yet."""
        step_ms = 0 if self._moment_ms is None else max(0, moment_ms - self._moment_ms)
        if step_ms > MAX_STEP_MS:
            hours = step_ms / 3_600_000
            self._status.details["shortened_gap"] = f"{hours:.1f} h before {format_ms(moment_ms)}"
        self._moment_ms = moment_ms
        if step_ms:
            self.last_step_seconds = min(step_ms, MAX_STEP_MS) / 1000 / self._speed
        now = self._clock.monotonic()
        due = (now if self._due is None else self._due) + min(step_ms, MAX_STEP_MS) / 1000 / self._speed
        self._due = due if due > now - MAX_DELAY_BEHIND_SECONDS else now
        return self._due - now > TOGETHER_SECONDS

    async def await_turn(self) -> None:
        """Wait until the current event is due."""
        if self._due is not None and (left := self._due - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)

    async def wait(self, seconds: float) -> None:
        """Wait between two rounds."""
        now = self._clock.monotonic()
        self._due = max(now, now if self._due is None else self._due) + seconds
        await self._clock.sleep(self._due - now)
