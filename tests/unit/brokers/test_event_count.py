"""Events are counted in the background: a request does not wait for a large history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from support.brokers import Listener, LocalRig, numbered
from swim_server.brokers.event_count import EventCount
from swim_server.brokers.history_reader import HistoryReader


class Counters(msgspec.Struct):
    events_stored: int = 0
    events_pruned: int = 0


async def test_who_asks_is_told_that_a_large_history_is_still_being_counted() -> None:
    may_go_on, counters = asyncio.Event(), Counters()

    async def read(_: Callable[[HistoryReader], Any]) -> tuple[int, int | None]:
        await may_go_on.wait()
        return 1000, None

    count = EventCount(read, counters)
    assert await count.ask() is None
    may_go_on.set()
    assert await count.ask() == 1000
    counters.events_stored, counters.events_pruned = 7, 2
    assert await count.ask() == 1005
    await count.close()


async def test_pieces_are_all_there_is(tmp_path: Path) -> None:
    rig = LocalRig(tmp_path)
    broker = rig.broker()
    await broker.open(Listener())
    await broker.publish(numbered(0, 25))
    reader = HistoryReader(rig.path)
    found, after = [], 0
    while True:
        number, last = reader.count_some(after, 10)
        found.append(number)
        if last is None:
            break
        after = last
    assert found == [10, 10, 5]
    assert (await broker.span()).events == 25
    reader.close()
    await broker.close()


async def test_closing_does_not_wait_for_the_count() -> None:
    async def read(_: Callable[[HistoryReader], Any]) -> tuple[int, int | None]:
        await asyncio.sleep(3600)
        return 0, None

    count = EventCount(read, Counters())
    assert await count.ask() is None
    async with asyncio.timeout(10):
        await count.close()
