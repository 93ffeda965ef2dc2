"""Tasks that come and go with connections have an owner."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest
from swim_server.concurrency.tasks import Tasks


async def test_task_is_kept_until_it_ends() -> None:
    failures: list[BaseException] = []
    tasks = Tasks(failures.append)
    gate = asyncio.Event()

    async def waiting() -> None:
        await gate.wait()

    task = tasks.start(waiting())
    assert len(tasks) == 1
    gate.set()
    await task
    await asyncio.sleep(0)
    assert len(tasks) == 0


async def test_failure_is_told() -> None:
    failures: list[BaseException] = []
    tasks = Tasks(failures.append)

    async def failing() -> None:
        raise RuntimeError("as the test asked")

    tasks.start(failing())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [str(failure) for failure in failures] == ["as the test asked"]


async def test_closing_cancels_what_runs_and_what_that_starts() -> None:
    failures: list[BaseException] = []
    tasks = Tasks(failures.append)
    ended: list[str] = []

    async def stubborn(name: str) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(name)
            if name == "first":
                tasks.start(stubborn("second"))
                await asyncio.sleep(0)

    tasks.start(stubborn("first"))
    await asyncio.sleep(0)
    await tasks.close()
    await tasks.close()
    assert ended == ["first", "second"]
    assert len(tasks) == 0
    assert not failures


async def test_closing_ends_where_gathering_finished_tasks_does_not_let_the_loop_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Python 3.13 has it: the task has ended, and the loop has not yet called what it calls then."""
    real, rounds = asyncio.gather, 0

    def gather(*awaited: asyncio.Future[object], return_exceptions: bool = False) -> Awaitable[object]:
        nonlocal rounds
        rounds += 1
        assert rounds < 10, "it spins"
        if all(each.done() for each in awaited):
            return _at_once()
        return real(*awaited, return_exceptions=return_exceptions)

    monkeypatch.setattr(asyncio, "gather", gather)
    failures: list[BaseException] = []
    tasks = Tasks(failures.append)

    async def failing() -> None:
        raise RuntimeError("as the test asked")

    task = tasks.start(failing())
    while not task.done():
        await asyncio.sleep(0)
        if task.done():
            break
    tasks._running.add(task)  # as it is before the loop has called what it calls when a task ends
    task.add_done_callback(tasks._ended)
    await tasks.close()
    assert len(tasks) == 0
    assert failures


async def _at_once() -> list[object]:
    return []
