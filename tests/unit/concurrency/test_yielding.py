"""Long work in slices: other tasks on the loop run in between."""

from __future__ import annotations

import asyncio

from support.virtual_clock import VirtualClock
from swim_server.concurrency.yielding import yielding


async def test_others_have_their_turn_whenever_one_is_used_up() -> None:
    clock = VirtualClock()
    clock.step_seconds = 1
    seen: list[str] = []

    async def other() -> None:
        while True:
            seen.append("other")
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    async for item in yielding(range(6), turn_seconds=2, clock=clock):
        seen.append(str(item))
    task.cancel()
    assert seen == ["0", "1", "other", "2", "3", "other", "4", "5", "other"]


async def test_nothing_takes_no_turn() -> None:
    nothing: tuple[int, ...] = ()
    assert [item async for item in yielding(nothing)] == []
