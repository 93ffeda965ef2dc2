"""Calls wait in order of arrival, up to a limit."""

from __future__ import annotations

import asyncio

import pytest
from support.brokers import numbered
from swim_server.brokers.broker import BrokerUnavailable, Published
from swim_server.brokers.pending import Call, Pending


def sizes(calls: list[Call]) -> list[int]:
    return [len(call.events) for call in calls]


async def started(pending: Pending, *counts: int) -> list[asyncio.Task[list[Published]]]:
    tasks = [asyncio.create_task(pending.put(numbered(0, count))) for count in counts]
    await asyncio.sleep(0)
    return tasks


async def ended(tasks: list[asyncio.Task[list[Published]]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_take_gives_whole_calls_until_about_so_many_events() -> None:
    pending = Pending(100)
    tasks = await started(pending, 1, 2, 50, 3)
    assert sizes(pending.take(4)) == [1, 2, 50]
    assert sizes(pending.take(4)) == [3]
    assert pending.take(4) == []
    await ended(tasks)


async def test_a_call_larger_than_the_limit_is_taken_in_when_nothing_waits() -> None:
    pending = Pending(10)
    tasks = await started(pending, 500, 1)
    assert sizes(pending.take(1)) == [500]
    await asyncio.sleep(0.01)
    assert sizes(pending.take(1)) == [1]
    await ended(tasks)


async def test_beyond_the_limit_callers_wait_in_their_order() -> None:
    pending = Pending(2)
    tasks = await started(pending, 1, 1, 3, 4)
    assert sizes(pending.take(100)) == [1, 1]
    for expected in ([3], [4]):
        await asyncio.sleep(0.01)
        assert sizes(pending.take(100)) == expected
    await ended(tasks)


async def test_a_caller_that_gave_up_is_left_out_wherever_it_waited() -> None:
    pending = Pending(2)
    tasks = await started(pending, 1, 1, 3, 4)
    for gone in (tasks[0], tasks[2]):
        gone.cancel()
    await asyncio.sleep(0)
    assert sizes(pending.take(100)) == [1]
    await asyncio.sleep(0.01)
    assert sizes(pending.take(100)) == [4]
    await ended(tasks)


async def test_closed_it_refuses_new_callers_and_those_at_the_door() -> None:
    pending = Pending(1)
    tasks = await started(pending, 1, 2)
    pending.close()
    with pytest.raises(BrokerUnavailable):
        await pending.put(numbered(0))
    with pytest.raises(BrokerUnavailable):
        await tasks[1]
    assert sizes(pending.take(100)) == [1]
    await ended(tasks)
