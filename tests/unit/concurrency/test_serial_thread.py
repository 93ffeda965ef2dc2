"""Work in one thread: in order, with its results and errors, and without effect where it was cancelled in time."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest
from swim_server.concurrency.serial_thread import SerialThread


async def test_work_is_done_in_order_in_one_thread() -> None:
    thread = SerialThread("in-order")
    done: list[int] = []

    def work(number: int) -> str:
        done.append(number)
        return threading.current_thread().name

    names = await asyncio.gather(*(thread.run(partial(work, number)) for number in range(50)))
    assert done == list(range(50))
    assert set(names) == {"in-order"}
    thread.close()


async def test_an_error_reaches_whoever_waits_and_nobody_else() -> None:
    thread = SerialThread("failing")

    def fail() -> None:
        raise OSError("the disk of this test is full")

    with pytest.raises(OSError, match="this test is full"):
        await thread.run(fail)
    assert await thread.run(lambda: 7) == 7
    thread.close()


async def test_a_call_cancelled_before_its_turn_has_no_effect() -> None:
    thread, may_go_on = SerialThread("waiting"), threading.Event()
    done: list[str] = []
    first = asyncio.create_task(thread.run(lambda: may_go_on.wait(30)))
    second = asyncio.create_task(thread.run(lambda: done.append("second")))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    may_go_on.set()
    assert await first
    await thread.run(lambda: done.append("third"))
    assert done == ["third"]
    thread.close()


async def test_a_call_cancelled_while_it_runs_is_ended_without_its_caller() -> None:
    thread, has_begun, may_go_on = SerialThread("running"), threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        has_begun.set()
        may_go_on.wait(30)
        done.append("first")

    first = asyncio.create_task(thread.run(work))
    await asyncio.to_thread(has_begun.wait, 30)
    first.cancel()
    may_go_on.set()
    await thread.run(lambda: done.append("second"))
    assert done == ["first", "second"]
    thread.close()


async def test_what_was_given_is_done_before_the_thread_ends() -> None:
    thread = SerialThread("ending")
    last = asyncio.create_task(thread.run(lambda: threading.current_thread()))
    await asyncio.sleep(0)
    thread.close()
    thread.close()
    ended = await last
    await asyncio.to_thread(ended.join, 30)
    assert not ended.is_alive()
    with pytest.raises(RuntimeError, match="the thread ending is closed"):
        await thread.run(lambda: None)


async def test_a_thread_that_can_not_be_started_is_started_for_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = SerialThread("refused")

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            await thread.run(lambda: 1)
    async with asyncio.timeout(30):
        assert await thread.run(lambda: 2) == 2
    thread.close()


async def test_work_that_raises_what_no_future_takes_has_an_answer() -> None:
    thread = SerialThread("exhausted")
    async with asyncio.timeout(30):
        with pytest.raises(RuntimeError, match="the work raised StopIteration") as raised:
            await thread.run(lambda: next(iter(())))
    assert isinstance(raised.value.__cause__, StopIteration)
    thread.close()


def test_a_loop_that_is_closed_meanwhile_harms_nobody() -> None:
    thread, may_go_on = SerialThread("late"), threading.Event()

    async def give_up() -> None:
        waiting = asyncio.create_task(thread.run(lambda: may_go_on.wait(30)))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(give_up())
    may_go_on.set()
    assert asyncio.run(thread.run(lambda: "alive")) == "alive"
    thread.close()
