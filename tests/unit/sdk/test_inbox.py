"""The bounded queue from the network to the handlers."""

from __future__ import annotations

import asyncio
import threading

import pytest
from swim_client.inbox import Inbox, Item


def item(number: int, size: int = 1) -> Item:
    return Item({"n": number}, size)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_items_come_out_in_order() -> None:
    inbox = Inbox()
    for number in range(5):
        await inbox.put(item(number))
    got = [await inbox.get() for _ in range(5)]
    assert [one.message["n"] for one in got if one] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("inbox", [Inbox(max_items=4), Inbox(max_bytes=4)])
async def test_a_full_one_holds_the_writer_up_until_it_is_half_empty(inbox: Inbox) -> None:
    for number in range(4):
        await inbox.put(item(number))
    writer = asyncio.ensure_future(inbox.put(item(4)))
    await settle()
    assert inbox.is_held_up
    assert not writer.done()
    await inbox.get()
    await settle()
    assert not writer.done()
    await inbox.get()
    await settle()
    assert writer.done()
    assert not inbox.is_held_up


async def test_a_single_item_over_the_limit_still_comes_through() -> None:
    inbox = Inbox(max_bytes=10)
    await inbox.put(item(1, size=1000))
    writer = asyncio.ensure_future(inbox.put(item(2, size=1000)))
    await settle()
    assert not writer.done()
    await inbox.get()
    await settle()
    assert writer.done()


async def test_what_no_server_sends_gets_in_all_the_same() -> None:
    inbox = Inbox(max_items=1)
    await inbox.put(item(0))
    inbox.put_now(item(1))
    assert len(inbox) == 2


async def test_a_waiting_handler_makes_room_but_not_without_end() -> None:
    inbox = Inbox(max_items=2)
    inbox.hold_open()
    for number in range(20):
        await asyncio.wait_for(inbox.put(item(number)), 1)
    writer = asyncio.ensure_future(inbox.put(item(20)))
    await settle()
    assert not writer.done()
    inbox.release()
    writer.cancel()


async def test_a_held_up_writer_goes_on_once_a_handler_waits() -> None:
    inbox = Inbox(max_items=1)
    await inbox.put(item(0))
    writer = asyncio.ensure_future(inbox.put(item(1)))
    await settle()
    inbox.hold_open()
    await settle()
    assert writer.done()


async def test_after_the_end_the_rest_comes_and_then_nothing() -> None:
    inbox = Inbox()
    await inbox.put(item(0))
    error = RuntimeError("over")
    inbox.end(error)
    inbox.end()
    assert await inbox.get() is not None
    assert await inbox.get() is None
    assert inbox.error is error


async def test_a_reader_that_waits_hears_of_the_end() -> None:
    inbox = Inbox()
    reader = asyncio.ensure_future(inbox.get())
    await settle()
    inbox.end()
    assert await asyncio.wait_for(reader, 1) is None


async def test_an_abandoned_one_holds_nobody_up() -> None:
    inbox = Inbox(max_items=1)
    await inbox.put(item(0))
    writer = asyncio.ensure_future(inbox.put(item(1)))
    await settle()
    inbox.abandon()
    await asyncio.wait_for(writer, 1)
    await inbox.put(item(2))
    inbox.put_now(item(3))
    assert len(inbox) == 0


async def test_two_loops_in_two_threads_lose_and_reorder_nothing() -> None:
    inbox = Inbox(max_items=7)
    total = 3000

    def write() -> None:
        async def main() -> None:
            for number in range(total):
                await inbox.put(item(number))
            inbox.end()

        asyncio.run(main())

    writer = threading.Thread(target=write)
    writer.start()
    got = []
    while (one := await asyncio.wait_for(inbox.get(), 10)) is not None:
        got.append(one.message["n"])
    await asyncio.get_running_loop().run_in_executor(None, writer.join)
    assert got == list(range(total))
