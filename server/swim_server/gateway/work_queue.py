"""A queue of work: whatever comes at once is done piece by piece, yielding to everything else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock

SLICE_SECONDS = 0.003
"""Time per turn of the loop for one queue's work; ten times as much would delay every live event."""


class WorkQueue:
    """Does work at once while this turn's slice lasts; later work waits for the next turns, in order."""

    def __init__(
        self,
        *,
        call_soon: Callable[[Callable[[], None]], object],
        clock: Clock,
        slice_seconds: float = SLICE_SECONDS,
    ) -> None:
        self._call_soon = call_soon
        self._monotonic = clock.monotonic
        self._slice_seconds = slice_seconds
        self._slice_end = 0.0
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_scheduled = False

    def __len__(self) -> int:
        """Return how many pieces wait."""
        return len(self._waiting)

    def submit(self, work: Callable[[], None]) -> None:
        """Do a piece of work, now or in its turn."""
        if self.has_time():
            work()
        else:
            self._waiting.append(work)

    def has_time(self) -> bool:
        """Tell whether a piece of work may be done at once, with what is left of this turn's slice."""
        if not self._is_scheduled:  # the first piece of this turn
            self._begin_slice()
        return not self._waiting and self._monotonic() < self._slice_end

    def put_off(self, work: Callable[[], None]) -> None:
        """Do a piece of work after everything that waits, and not before this call returns."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self._call_soon(self._next_turn)
        self._waiting.append(work)

    def _begin_slice(self) -> None:
        self._slice_end = self._monotonic() + self._slice_seconds
        self._is_scheduled = True
        self._call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._is_scheduled = False
        if not self._waiting:
            return
        self._begin_slice()
        while self._waiting:
            self._waiting.popleft()()
            if self._monotonic() >= self._slice_end:
                return
