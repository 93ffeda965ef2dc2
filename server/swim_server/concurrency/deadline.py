"""A deadline for an answer from outside, which counts if it came in time, though this loop was busy at the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

LAST_LOOK_SECONDS = 0.02


@asynccontextmanager
async def answered_within(seconds: float) -> AsyncIterator[None]:
    """Raise TimeoutError if the block takes longer, and the loop has had a moment to read what has come meanwhile.

    ``asyncio.timeout`` alone cancels after a long turn of the loop whoever waits, before or with the reading.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        due = loop.call_later(seconds, lambda: limit.reschedule(loop.time() + LAST_LOOK_SECONDS))
        try:
            yield
        finally:
            due.cancel()
