"""Looking again before something is reported that may just be changing: a restart, a reload, a start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, Status

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

AGAIN_SECONDS = 0.3
LOOKS = 2


async def twice(context: DoctorContext, look: Callable[[], Awaitable[Answer]], *facts: str) -> Answer:
    """Return what a second look finds where the first one found something bad; these facts are found out anew."""
    answer = await look()
    for _ in range(LOOKS - 1):
        if answer.status in (Status.OK, Status.SKIP):
            break
        await asyncio.sleep(AGAIN_SECONDS)
        context.forget(*facts)
        answer = await look()
    return answer
