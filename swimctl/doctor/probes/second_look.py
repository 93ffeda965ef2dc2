"""Looking again before something is reported that may just be changing: a restart, a reload, a start."""

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
    """Return what a second look finds where the first one found something bad.

    These facts, by the beginnings of their names, are observed anew, and all that the kernel and the disk say.

    A first look that took long has waited for an answer that did not come: it is not repeated.
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
