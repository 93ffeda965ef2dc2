"""The server's answer to a request: awaited in async code, or waited for in another thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
from typing import Any, Callable, Generator, Optional


class Answer:
    """What ``subscribe``, ``ping``, ``status``, ``publish`` return at once; the answer comes later, or an error.

    ``await answer`` in async code; ``answer.result(timeout)`` elsewhere. It may as well be ignored.
    """

    def __init__(self, is_own_thread: Callable[[], bool] = lambda: False) -> None:
        self._future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._future.set_running_or_notify_cancel()  # from here on, cancelling one who waits doesn't touch it
        self._is_own_thread = is_own_thread

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.wrap_future(self._future).__await__()

    def result(self, timeout: Optional[float] = None) -> Any:
        """Block until the answer is there. Raises the request's error, or TimeoutError after ``timeout`` seconds."""
        if not self.done() and self._is_own_thread():
            raise RuntimeError("the answer comes through this very thread: await it instead")
        try:
            return self._future.result(timeout)
        except concurrent.futures.TimeoutError:
            raise TimeoutError(f"no answer within {timeout} s") from None

    def done(self) -> bool:
        """Tell whether the answer, or an error, is there."""
        return self._future.done()

    def add_done_callback(self, callback: Callable[[Answer], None]) -> None:
        """Call ``callback(answer)`` once it is there, in the thread that brings it."""
        self._future.add_done_callback(lambda _: callback(self))

    def error(self) -> Optional[BaseException]:
        """Return the request's error, once it is done; None if it went well."""
        return self._future.exception(0)

    def resolve(self, value: Any = None) -> None:
        """Bring the answer. The first one counts."""
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self._future.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Bring an error instead."""
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self._future.set_exception(error)

    def __repr__(self) -> str:
        return f"Answer({'pending' if not self.done() else self.error() or 'done'})"
