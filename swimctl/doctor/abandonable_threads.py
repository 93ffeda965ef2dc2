"""Runs a coroutine on a loop whose threads may be abandoned, so that a hanging call does not block the exit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Call = tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]

PATIENCE_SECONDS = 0.02
"""How long a call waits for the ones before it until it gets another thread."""


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to completion on a loop whose threads may be abandoned."""

    async def inside() -> T:
        asyncio.get_running_loop().set_default_executor(AbandonableThreads())
        return await work

    return asyncio.run(inside())


class AbandonableThreads(ThreadPoolExecutor):
    """An executor for ``asyncio.to_thread`` that does not wait for its threads on shutdown.

    Calls share a thread as long as they are short: threads that all read small files hand the interpreter's lock to
    each other at every system call, which costs more than the reading. Calls that wait for something get more threads
    soon, so none waits for another one that hangs.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Call] = SimpleQueue()
        self._threads_started = 0
        self._submitted = self._taken = self._finished = 0
        """How many calls were submitted, begun by a thread, and finished."""
        self._mutex = threading.Lock()
        self._taken_before = 0
        self._relief: asyncio.TimerHandle | None = None

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the call soon. Only on a running loop."""
        future: Future[T] = Future()
        self._submitted += 1
        self._calls.put((future, fn, args, kwargs))
        if not self._threads_started:
            self._start(1)
        if self._relief is None:
            self._relief = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._relieve)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Return without waiting for the threads."""

    def _relieve(self) -> None:
        """Start another thread if calls are waiting; twice as many if none of them has begun meanwhile."""
        self._relief = None
        if self._calls.empty():
            return
        self._start(1 if self._taken != self._taken_before else self._threads_started)
        self._taken_before = self._taken
        self._relief = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._relieve)

    def _start(self, count: int) -> None:
        """Start threads, never more than there are unfinished calls: a new one may not have run yet."""
        count = min(count, self._submitted - self._finished - self._threads_started)
        for _ in range(count):
            self._threads_started += 1
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            call = self._calls.get()
            with self._mutex:
                self._taken += 1
            _fulfil(*call)
            del call  # its result must not live until the next one comes
            with self._mutex:
                self._finished += 1


def _fulfil(future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001  # whoever awaits it is told
        future.set_exception(error)
    else:
        future.set_result(result)
