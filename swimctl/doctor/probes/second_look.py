"""Looking twice before reporting something that may just be changing: a restart, a reload, a start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, Status

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

AGAIN_SECONDS = 0.3
LOOKS = 2
LONG_LOOK_SECONDS = 0.5


async def twice(context: DoctorContext, look: Callable[[], Awaitable[Answer]], *facts: str) -> Answer:
    """Return the outcome of a second look if the first one found a problem.

    The facts whose names begin with these words are observed again, and everything about kernel and disk. A slow first
    look has waited in vain for an answer: it is not repeated.
    """
    began = time.perf_counter()
    answer = await look()
    for _ in range(0 if context.facts.is_saved else LOOKS - 1):
        if answer.status in (Status.OK, Status.SKIP) or time.perf_counter() - began > LONG_LOOK_SECONDS:
            break
        await asyncio.sleep(AGAIN_SECONDS)
        context.forget(*facts, "kernel.", "files.")
        answer = await look()
    return answer
