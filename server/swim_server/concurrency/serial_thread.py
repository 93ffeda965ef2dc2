"""One thread that does short pieces of blocking work for the event loop, in order, with little cost on both ways.

An executor takes twice as long for that: it passes two futures, a lock and a condition for each piece.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class _Job(NamedTuple):
    work: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    waiter: asyncio.Future[Any]


class SerialThread:
    """Runs work in one daemon thread, which starts with the first piece."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """Run ``work`` in the thread, after everything before it. Raises what it raises.

        A call that is cancelled before its turn comes has no effect.
        """
        if self._is_closed:
            raise RuntimeError(f"the thread {self._name} is closed")
        if self._thread is None:
            thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            thread.start()  # where the system gives no more threads this raises, and the next call tries again
            self._thread = thread
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work, loop, waiter))
        return await waiter

    def close(self) -> None:
        """Let the thread end after what was given to it. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.waiter.cancelled():
                _do(job)
            del job  # its result may be large, and the next piece may be long in coming


def _do(job: _Job) -> None:
    answer: Callable[[asyncio.Future[Any], Any], None] = _succeed
    try:
        value = job.work()
    except StopIteration as error:  # which no future takes, so that nobody would be told
        answer, value = _fail, RuntimeError("the work raised StopIteration")
        value.__cause__ = error
    except BaseException as error:  # noqa: BLE001  # whoever waits for it is told, whatever it is
        answer, value = _fail, error
    with suppress(RuntimeError):  # the loop is closed: nobody waits
        job.loop.call_soon_threadsafe(answer, job.waiter, value)


def _succeed(waiter: asyncio.Future[Any], value: object) -> None:
    if not waiter.done():
        waiter.set_result(value)


def _fail(waiter: asyncio.Future[Any], error: BaseException) -> None:
    if not waiter.done():
        waiter.set_exception(error)
