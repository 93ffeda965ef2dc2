"""The one thread of a source."""

from __future__ import annotations

import asyncio
import threading

import pytest
from swim_server.concurrency.worker_thread import StillBusy, WorkerThread


async def test_work_is_done_in_one_thread_that_is_not_the_loop_s() -> None:
    with WorkerThread("test") as worker:
        threads = {await worker.pass_through(threading.current_thread) for _ in range(5)}
    (thread,) = threads
    assert thread is not threading.current_thread()
    assert thread.name == "test"


async def test_what_work_raises_is_raised() -> None:
    with WorkerThread("test") as worker:
        with pytest.raises(ZeroDivisionError):
            await worker.pass_through(lambda: 1 // 0)
        assert await worker.pass_through(lambda: 1) == 1


async def test_a_cancellation_waits_for_what_has_begun() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        go_on.wait(5)
        done.append(1)

    with WorkerThread("test") as worker:
        task = asyncio.create_task(worker.pass_through(work))
        await asyncio.to_thread(begun.wait, 5)
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert done == [1]


async def test_work_that_hangs_is_given_up_and_nothing_is_begun_beside_it() -> None:
    go_on = threading.Event()
    before = threading.active_count()
    with WorkerThread("test") as worker:
        with pytest.raises(TimeoutError):
            await worker.pass_through(lambda: go_on.wait(5), timeout_seconds=0.01)
        for _ in range(5):
            with pytest.raises(StillBusy, match="no answer for 0 s"):
                await worker.pass_through(lambda: 1, timeout_seconds=0.01)
        assert threading.active_count() == before + 1
        go_on.set()
        while True:
            try:
                assert await worker.pass_through(lambda: 7, timeout_seconds=5) == 7
                break
            except StillBusy:
                await asyncio.sleep(0.001)


async def test_it_can_be_used_again_after_it_was_closed() -> None:
    worker = WorkerThread("test")
    for _ in range(2):
        with worker:
            assert await worker.pass_through(lambda: 1) == 1


async def test_what_is_done_last_comes_after_all_that_was_begun() -> None:
    done: list[str] = []
    may_go_on, ended = threading.Event(), threading.Event()

    def slow() -> None:
        may_go_on.wait(10)
        done.append("slow")

    def last() -> None:
        done.append("last")
        ended.set()

    worker = WorkerThread("test")
    with pytest.raises(TimeoutError):
        await worker.pass_through(slow, timeout_seconds=0.001)
    worker.close(last)
    may_go_on.set()
    assert await asyncio.to_thread(ended.wait, 10)
    assert done == ["slow", "last"]
    WorkerThread("never used").close(last)
