"""The single thread in which a source does blocking work: files, databases, decoding."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
Work = tuple[Callable[[], Any], "Future[Any]"]


class StillBusy(Exception):
    """Earlier work has not ended: nothing is started beside it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        """For how long."""
        super().__init__(seconds)

    def __str__(self) -> str:
        return f"no answer for {self.seconds:.0f} s"


class WorkerThread:
    """Runs work in one thread, one piece after the other.

    A driver that never returns blocks only this thread, and does not keep the process from ending.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._works: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._overdue: Future[Any] | None = None
        """The call that was given up, while it is still running."""
        self._overdue_since = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def pass_through(self, work: Callable[[], T], *, timeout_seconds: float | None = None) -> T:
        """Run ``work`` in the thread. Raises its exceptions, TimeoutError, and StillBusy while earlier work is running.

        Without a timeout a cancellation waits for the end of started work, which may be writing a file.
        """
        if self._overdue is not None and not self._overdue.done():
            raise StillBusy(time.monotonic() - self._overdue_since)
        begun = time.monotonic()
        future: Future[T] = Future()
        self._start()
        self._works.put((work, future))
        passing = asyncio.wrap_future(future)
        passing.add_done_callback(_look_at)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await asyncio.shield(passing)
        except TimeoutError:
            if not future.done():
                self._overdue, self._overdue_since = future, begun
            raise
        except asyncio.CancelledError:
            if timeout_seconds is None:
                await asyncio.wait([passing])
            raise

    def close(self, last: Callable[[], None] | None = None) -> None:
        """Let the thread end after its current call and ``last``, without waiting for it."""
        if self._thread is not None and last is not None:
            self._works.put((last, Future()))
        if self._thread is not None:
            self._works.put(None)
            self._thread = None

    def _start(self) -> None:
        if self._thread is None:
            self._works = queue.SimpleQueue()
            self._thread = threading.Thread(target=_work_off, args=(self._works,), name=self._name, daemon=True)
            self._thread.start()


def _work_off(works: queue.SimpleQueue[Work | None]) -> None:
    while (one := works.get()) is not None:
        work, future = one
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # whoever waits for it is told, whatever it is
            future.set_exception(error)


def _look_at(passing: asyncio.Future[Any]) -> None:
    """Ignore an error that no caller waits for any more."""
    if not passing.cancelled():
        passing.exception()
