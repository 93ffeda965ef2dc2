"""The way from the event loop to a blocking dependency: few threads, bounded waiting, a timeout, a circuit breaker.

After a failure callers are told at once that the dependency is unavailable, instead of each finding out by itself.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from swim_server.concurrency.circuit_breaker import CircuitBreaker

T = TypeVar("T")


class _Job(Generic[T]):
    """One piece of work that a thread does."""

    def __init__(self, work: Callable[[], T], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.waiter: asyncio.Future[T] = loop.create_future()
        self.has_begun = False
        """Set by the thread that takes it."""
        self.is_abandoned = False
        """Set on the loop's thread when the caller has given up; a thread that sees it in time skips the work."""

    def run(self) -> None:
        """Do the work in the calling thread and pass on its result."""
        self.has_begun = True
        try:
            result = self.work()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits for it
            self._hand_over(self.fail, error)
        else:
            self._hand_over(self._succeed, result)

    def fail(self, error: BaseException) -> None:
        """Pass an error to the caller if it still waits."""
        if not self.waiter.done():
            self.waiter.set_exception(error)

    def _succeed(self, result: T) -> None:
        if not self.waiter.done():
            self.waiter.set_result(result)

    def _hand_over(self, method: Callable[[Any], None], value: object) -> None:
        try:
            self.loop.call_soon_threadsafe(method, value)
        except RuntimeError:
            return  # the loop is closed: nobody waits


class WorkerPool:
    """Runs blocking calls in daemon threads, so that a dependency that hangs never keeps the process from ending."""

    def __init__(
        self,
        breaker: CircuitBreaker,
        *,
        unavailable: Callable[[str], Exception],
        problem_of: Callable[[Exception], str | None],
        name: str = "worker",
        threads: int = 4,
        waiting_limit: int = 10_000,
        timeout_seconds: float = 5,
    ) -> None:
        """Start the pool. ``unavailable`` builds the error of a refused call from its reason.

        ``problem_of`` returns what an error says about the dependency; None: nothing, so that the next call is allowed.
        """
        self.breaker = breaker
        self.thread_limit = threads
        self.waiting_limit = waiting_limit
        self.timeout_seconds = timeout_seconds
        self._unavailable = unavailable
        self._problem_of = problem_of
        self._name = name
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._waiting: set[_Job[Any]] = set()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        """One permit for each thread that waits for work; a hanging thread gives none."""
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """The number of calls, waiting or running, whose caller still waits."""
        return len(self._waiting)

    async def run(self, work: Callable[[], T], *, is_telling: bool = True) -> T:
        """Run ``work`` in a thread.

        Raises what ``unavailable`` builds if the dependency is unavailable or hangs, or too many calls wait.
        ``is_telling``: a failure means that the dependency is unavailable. That of a write does not: a database may be
        readable when it can't be written.
        """
        self._refuse_if_away()
        is_trial = self.breaker.begin_call()
        job = _Job(work, asyncio.get_running_loop())
        self._waiting.add(job)
        try:
            self._jobs.put(job)
            self._start_thread_if_needed()
            async with asyncio.timeout(self.timeout_seconds):  # until Python 3.12, wait_for may swallow a cancellation
                result = await job.waiter
        except TimeoutError:
            problem = f"no answer within {self.timeout_seconds:g} s"
            # A job that has not begun was only queued, and the dependency may be fine.
            if is_telling and (job.has_begun or is_trial):
                self._trip(problem)
            raise self._unavailable(problem) from None
        except Exception as error:
            if is_telling and (told := self._problem_of(error)) is not None:
                self._trip(told)
            raise
        else:
            self.breaker.reset()
            return result
        finally:
            job.is_abandoned = True
            self._waiting.discard(job)
            if is_trial:
                self.breaker.end_trial()

    def close(self) -> None:
        """Accept no more work and let the threads end, each after its current work."""
        self._is_closed = True
        self._turn_waiting_away("the service is stopping")
        for _ in self._threads:
            self._jobs.put(None)

    def _refuse_if_away(self) -> None:
        if self._is_closed:
            raise self._unavailable("the service is stopping")
        if self.breaker.is_open:
            raise self._unavailable(self.breaker.problem or "")
        if len(self._waiting) >= self.waiting_limit:
            raise self._unavailable("too many calls are waiting for it")

    def _trip(self, problem: str) -> None:
        """Open the breaker, and fail all waiting calls."""
        if self.breaker.trip(problem):
            self._turn_waiting_away(problem)

    def _turn_waiting_away(self, problem: str) -> None:
        for job in list(self._waiting):
            job.is_abandoned = True
            job.fail(self._unavailable(problem))

    def _start_thread_if_needed(self) -> None:
        if not self._idle.acquire(blocking=False) and len(self._threads) < self.thread_limit:
            thread = threading.Thread(target=self._serve, name=f"{self._name}-{len(self._threads) + 1}", daemon=True)
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
