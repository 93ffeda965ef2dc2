"""The one way from the event loop to blocking database work: few threads, bounded waiting, a timeout, and rest.

After a failure the door rests: callers are told at once that the database is away instead of each finding out by
itself, and one call at a time goes through to see whether it is back.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from swim_server.sql.errors import OutcomeUnknown, StoreMisconfigured, StoreUnavailable

T = TypeVar("T")


class _Job(Generic[T]):
    """One piece of work on its way through a thread."""

    def __init__(self, work: Callable[[], T], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.waiter: asyncio.Future[T] = loop.create_future()
        self.has_begun = False
        """Set by the thread that takes it."""
        self.is_abandoned = False
        """Set on the loop's thread when nobody waits any more; a thread that sees it in time skips the work."""

    def run(self) -> None:
        """Do the work in the calling thread and hand over what came of it."""
        self.has_begun = True
        try:
            result = self.work()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits for it
            self._hand_over(self.fail, error)
        else:
            self._hand_over(self._succeed, result)

    def fail(self, error: BaseException) -> None:
        if not self.waiter.done():
            self.waiter.set_exception(error)

    def _succeed(self, result: T) -> None:
        if not self.waiter.done():
            self.waiter.set_result(result)

    def _hand_over(self, method: Callable[[Any], None], value: Any) -> None:
        try:
            self.loop.call_soon_threadsafe(method, value)
        except RuntimeError:
            return  # the loop is closed: nobody waits


class WorkerPool:
    """Runs blocking calls in daemon threads, so that a database that hangs never keeps the process from ending."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        threads: int = 4,
        waiting_limit: int = 10_000,
        timeout_seconds: float = 5,
        first_rest_seconds: float = 1,
        longest_rest_seconds: float = 5,
    ) -> None:
        self.thread_limit = threads
        self.waiting_limit = waiting_limit
        self.timeout_seconds = timeout_seconds
        self.first_rest_seconds = first_rest_seconds
        self.longest_rest_seconds = longest_rest_seconds
        self.problem: str | None = None
        """Why the database is away; None while it answers."""
        self.problem_since: float | None = None
        self._monotonic = monotonic
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._waiting: set[_Job[Any]] = set()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        """One permit for each thread that waits for work; a thread that hangs gives none."""
        self._rest_seconds = first_rest_seconds
        self._rest_until = 0.0
        self._is_probing = False
        self._is_closed = False

    @property
    def is_resting(self) -> bool:
        """Tell whether the next call would be turned away at once."""
        return self.problem is not None and (self._is_probing or self._monotonic() < self._rest_until)

    @property
    def waiting(self) -> int:
        """How many calls are waiting or running for somebody."""
        return len(self._waiting)

    async def run(self, work: Callable[[], T], *, is_telling: bool = True) -> T:
        """Run ``work`` in a thread. Raises StoreUnavailable when the database is away, hangs, or too many wait.

        ``is_telling``: its failure tells that the database is away. That of a write doesn't: keys can be read where
        nothing can be written.
        """
        self._refuse_if_away()
        is_probe = self.problem is not None
        self._is_probing = self._is_probing or is_probe
        job = _Job(work, asyncio.get_running_loop())
        self._waiting.add(job)
        try:
            self._jobs.put(job)
            self._start_thread_if_needed()
            result = await asyncio.wait_for(job.waiter, self.timeout_seconds)
        except TimeoutError:
            problem = f"no answer within {self.timeout_seconds:g} s"
            if is_telling and (
                job.has_begun or is_probe
            ):  # else it only stood in the queue, and the database may be well
                self._fail(problem)
            raise StoreUnavailable(problem) from None
        except OutcomeUnknown:
            raise
        except (StoreUnavailable, StoreMisconfigured) as error:
            if is_telling:
                self._fail(error.reason if isinstance(error, StoreUnavailable) else str(error))
            raise
        else:
            self._recover()
            return result
        finally:
            job.is_abandoned = True
            self._waiting.discard(job)
            if is_probe:
                self._is_probing = False

    def close(self) -> None:
        """Take no more work and let the threads end, each after what it is doing."""
        self._is_closed = True
        self._turn_waiting_away("the service is stopping")
        for _ in self._threads:
            self._jobs.put(None)

    def _refuse_if_away(self) -> None:
        if self._is_closed:
            raise StoreUnavailable("the service is stopping")
        if self.is_resting:
            raise StoreUnavailable(self.problem or "")
        if len(self._waiting) >= self.waiting_limit:
            raise StoreUnavailable("too many questions are waiting for it")

    def _fail(self, problem: str) -> None:
        """Rest, each time longer; everybody who waits is told now. Only the first of those who ran counts."""
        now = self._monotonic()
        if self.problem is not None and now < self._rest_until:
            return
        if self.problem is None:
            self.problem_since = now
        self.problem = problem
        self._rest_until = now + self._rest_seconds
        self._rest_seconds = min(self._rest_seconds * 2, self.longest_rest_seconds)
        self._turn_waiting_away(problem)

    def _recover(self) -> None:
        self.problem = None
        self.problem_since = None
        self._rest_seconds = self.first_rest_seconds

    def _turn_waiting_away(self, problem: str) -> None:
        for job in list(self._waiting):
            job.is_abandoned = True
            job.fail(StoreUnavailable(problem))

    def _start_thread_if_needed(self) -> None:
        if not self._idle.acquire(blocking=False) and len(self._threads) < self.thread_limit:
            thread = threading.Thread(target=self._serve, name=f"keys-{len(self._threads) + 1}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self) -> None:
        while (job := self._next_job()) is not None:
            if not job.is_abandoned:
                job.run()

    def _next_job(self) -> _Job[Any] | None:
        try:
            return self._jobs.get_nowait()
        except queue.Empty:
            self._idle.release()
            return self._jobs.get()
