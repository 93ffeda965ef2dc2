"""Tasks that come and go with connections have an owner."""

from __future__ import annotations

import asyncio

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
