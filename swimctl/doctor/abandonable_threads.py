"""Runs a coroutine on a loop whose threads may be abandoned, so that a hanging call does not block the exit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to completion on a loop whose threads may be abandoned."""

    async def inside() -> T:
        asyncio.get_running_loop().set_default_executor(AbandonableThreads())
        return await work

    return asyncio.run(inside())


class AbandonableThreads(ThreadPoolExecutor):
    """An executor for ``asyncio.to_thread`` that does not wait for its threads on shutdown. One thread per call."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the call at once in a thread of its own."""
        future: Future[T] = Future()
        threading.Thread(target=_fulfil, args=(future, fn, args, kwargs), daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Return without waiting for the threads."""


def _fulfil(future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001  # whoever awaits it is told
        future.set_exception(error)
    else:
        future.set_result(result)
