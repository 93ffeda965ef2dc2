"""The path of an event into an ``async for`` loop."""

from __future__ import annotations

import asyncio

import pytest
from swim_client.dispatcher import EventQueue, NotHandled
from swim_client.events import decode

EVENT = decode({"type": "flight.departed", "data": {"n": 1}})


async def test_an_event_counts_as_handled_when_the_loop_asks_for_the_next() -> None:
    feed = EventQueue()
    delivery = asyncio.ensure_future(feed.deliver(EVENT, ""))
    assert await feed.take() is EVENT
    await asyncio.sleep(0)
    assert not delivery.done()
    asking = asyncio.ensure_future(feed.take())
    await delivery
    asking.cancel()


async def test_one_in_hand_counts_as_handled_when_the_loop_is_left() -> None:
    feed = EventQueue()
    delivery = asyncio.ensure_future(feed.deliver(EVENT, ""))
    await feed.take()
    feed.close()
    await delivery


async def test_one_that_nobody_took_is_not_handled() -> None:
    feed = EventQueue()
    delivery = asyncio.ensure_future(feed.deliver(EVENT, ""))
    await asyncio.sleep(0)
    feed.end()
    with pytest.raises(NotHandled):
        await delivery
    with pytest.raises(NotHandled):
        await feed.deliver(EVENT, "")
    assert await feed.take() is None


async def test_an_error_ends_the_loop_with_itself() -> None:
    feed = EventQueue()
    asking = asyncio.ensure_future(feed.take())
    await asyncio.sleep(0)
    feed.end(KeyError("why"))
    with pytest.raises(KeyError):
        await asking
