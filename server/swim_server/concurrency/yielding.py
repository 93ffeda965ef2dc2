"""Long work on the loop's thread in short turns, so that nothing live waits for the whole of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock

T = TypeVar("T")
TURN_SECONDS = 0.002


async def yielding(
    items: Iterable[T], *, turn_seconds: float = TURN_SECONDS, clock: Clock = SYSTEM_CLOCK
) -> AsyncIterator[T]:
    """Give the items one by one; whenever a turn is used up, everybody else on the loop has theirs.

    Whoever works through it must expect that what it knows of shared state is old after each item.
    """
    monotonic = clock.monotonic
    end = monotonic() + turn_seconds
    for item in items:
        yield item
        if monotonic() >= end:
            await asyncio.sleep(0)
            end = monotonic() + turn_seconds
