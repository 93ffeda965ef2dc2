"""Answers: awaited, waited for, or ignored."""

from __future__ import annotations

import asyncio
import threading

import pytest
from swim_client import ClientStopped, SWIMClient
from swim_client.subscriptions import Answer


async def test_it_can_be_awaited_more_than_once() -> None:
    answer = Answer()
    waiters = [asyncio.ensure_future(_wait(answer)) for _ in range(3)]
    await asyncio.sleep(0)
    answer.resolve("pong")
    assert await asyncio.gather(*waiters) == ["pong"] * 3


async def _wait(answer: Answer) -> object:
    return await answer


async def test_an_error_is_raised_where_it_is_awaited() -> None:
    answer = Answer()
    answer.fail(ClientStopped())
    with pytest.raises(ClientStopped):
        await answer
    assert "stopped" in repr(answer)


async def test_cancelling_who_waits_leaves_the_answer_to_others() -> None:
    answer = Answer()
    waiter = asyncio.ensure_future(_wait(answer))
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.sleep(0)
    answer.resolve(1)
    assert await answer == 1


def test_the_first_answer_counts() -> None:
    answer = Answer()
    answer.resolve(1)
    answer.resolve(2)
    answer.fail(ClientStopped())
    assert answer.result() == 1


def test_another_thread_can_block_for_it() -> None:
    answer = Answer()
    threading.Timer(0.01, answer.resolve, [7]).start()
    assert answer.result(5) == 7


def test_it_does_not_wait_for_ever() -> None:
    with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s"):
        Answer().result(0.01)


def test_the_thread_that_brings_it_is_told_that_it_can_not_block() -> None:
    with pytest.raises(RuntimeError, match="await it instead"):
        Answer(lambda: True).result()


async def test_requests_without_a_connection_fail_at_once() -> None:
    client = SWIMClient("key")
    with pytest.raises(Exception, match="no connection"):
        await client.ping()
    with pytest.raises(Exception, match="isn't running"):
        client.publish("flight.departed", {})
    await client.unsubscribe()
    await client.disconnect()
