"""Long work on the loop's thread in short slices, so that nothing live waits for all of it."""

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
    """Yield the items one by one; after each slice the rest of the loop runs.

    After each item, the caller must expect shared state to have changed.
    """
    monotonic = clock.monotonic
    end = monotonic() + turn_seconds
    for item in items:
        yield item
        if monotonic() >= end:
            await asyncio.sleep(0)
            end = monotonic() + turn_seconds
