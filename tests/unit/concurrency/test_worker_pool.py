"""Blocking work in worker threads: waiting, timeouts, refusals while the dependency is away."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
from support.virtual_clock import VirtualClock
from swim_server.concurrency.circuit_breaker import CircuitBreaker
from swim_server.concurrency.worker_pool import WorkerPool
from swim_server.keys.errors import KeyNotFound
from swim_server.sql.errors import OutcomeUnknown, StoreMisconfigured, StoreUnavailable, outage


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def pool(clock: VirtualClock) -> Iterator[WorkerPool]:
    pool = WorkerPool(
        CircuitBreaker(clock=clock),
        unavailable=StoreUnavailable,
        problem_of=outage,
        threads=2,
        waiting_limit=3,
        timeout_seconds=5,
    )
    yield pool
    pool.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    gate = threading.Event()
    yield gate
    gate.set()


def fail(error: Exception) -> None:
    raise error


async def test_work_runs_in_another_thread_and_its_result_comes_back(pool: WorkerPool) -> None:
    assert await pool.run(threading.current_thread) is not threading.current_thread()


async def test_threads_are_few_and_daemons(pool: WorkerPool) -> None:
    threads = {await pool.run(threading.current_thread) for _ in range(10)}
    assert len(threads) <= 2
    assert all(thread.daemon for thread in threads)


async def test_error_of_the_work_is_raised_and_leaves_the_breaker_closed(pool: WorkerPool) -> None:
    with pytest.raises(KeyNotFound):
        await pool.run(lambda: fail(KeyNotFound(1)))
    assert not pool.breaker.is_open


async def test_too_many_waiters_are_turned_away(pool: WorkerPool, gate: threading.Event) -> None:
    waiting = [asyncio.ensure_future(pool.run(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="too many"):
        await pool.run(gate.wait)
    gate.set()
    assert await asyncio.gather(*waiting) == [True] * 3


async def test_failure_sends_everybody_who_waits_away_at_once(pool: WorkerPool, gate: threading.Event) -> None:
    hanging = [asyncio.ensure_future(pool.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(pool.run(lambda: pytest.fail("it is turned away before it begins")))
    await asyncio.sleep(0)
    pool._trip("gone")
    for result in await asyncio.gather(*hanging, waiting, return_exceptions=True):
        assert isinstance(result, StoreUnavailable)
    assert pool.waiting == 0


async def test_work_that_hangs_opens_the_breaker(pool: WorkerPool, gate: threading.Event) -> None:
    pool.timeout_seconds = 0.01
    with pytest.raises(StoreUnavailable, match="no answer within"):
        await pool.run(gate.wait)
    assert pool.breaker.is_open


async def test_wait_in_the_queue_leaves_the_breaker_closed(pool: WorkerPool, gate: threading.Event) -> None:
    hanging = [asyncio.ensure_future(pool.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    pool.timeout_seconds = 0.01
    with pytest.raises(StoreUnavailable, match="no answer within"):
        await pool.run(lambda: None)
    assert not pool.breaker.is_open
    gate.set()
    assert await asyncio.gather(*hanging) == [True] * 2


async def test_probe_that_finds_no_free_thread_keeps_the_breaker_open(
    pool: WorkerPool, clock: VirtualClock, gate: threading.Event
) -> None:
    pool.timeout_seconds = 0.01
    await asyncio.gather(*(pool.run(gate.wait) for _ in range(2)), return_exceptions=True)
    clock.advance(1.1)
    with pytest.raises(StoreUnavailable, match="no answer within"):
        await pool.run(lambda: 7)
    assert pool.breaker.is_open


async def test_rest_grows_with_each_failure_and_ends_with_a_success(pool: WorkerPool, clock: VirtualClock) -> None:
    for rest in (1, 2, 4, 5, 5):
        with pytest.raises(StoreUnavailable, match="away"):
            await pool.run(lambda: fail(StoreUnavailable("away")))
        clock.advance(rest - 0.1)
        assert pool.breaker.is_open
        with pytest.raises(StoreUnavailable):
            await pool.run(lambda: pytest.fail("nothing runs while the breaker is open"))
        clock.advance(0.2)
        assert not pool.breaker.is_open
    assert await pool.run(lambda: 7) == 7
    assert pool.breaker.problem is None


async def test_one_call_at_a_time_looks_whether_the_database_is_back(
    pool: WorkerPool, clock: VirtualClock, gate: threading.Event
) -> None:
    with pytest.raises(StoreUnavailable):
        await pool.run(lambda: fail(StoreUnavailable("away")))
    clock.advance(1.1)
    probe = asyncio.ensure_future(pool.run(gate.wait))
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="away"):
        await pool.run(gate.wait)
    gate.set()
    assert await probe
    assert not pool.breaker.is_open


async def test_probe_that_is_cancelled_leaves_the_way_to_the_next(
    pool: WorkerPool, clock: VirtualClock, gate: threading.Event
) -> None:
    with pytest.raises(StoreUnavailable):
        await pool.run(lambda: fail(StoreUnavailable("away")))
    clock.advance(1.1)
    probe = asyncio.ensure_future(pool.run(gate.wait))
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert await pool.run(lambda: 7) == 7


async def test_cancellation_in_the_turn_in_which_the_work_ends_is_not_lost(
    pool: WorkerPool, gate: threading.Event
) -> None:
    """A service that is stopped in this moment would wait for the task for ever."""
    for _ in range(3):
        gate.clear()
        caller = asyncio.ensure_future(pool.run(gate.wait))
        await asyncio.sleep(0)
        gate.set()
        time.sleep(0.02)  # the loop must not run while the thread hands its result over
        asyncio.get_running_loop().call_soon(caller.cancel)
        await asyncio.wait([caller])
        assert caller.cancelled()


async def test_misconfigured_database_opens_the_breaker_too(pool: WorkerPool) -> None:
    with pytest.raises(StoreMisconfigured):
        await pool.run(lambda: fail(StoreMisconfigured("the login is refused")))
    assert pool.breaker.problem == "the login is refused"


async def test_unknown_outcome_of_one_change_says_nothing_about_the_next(pool: WorkerPool) -> None:
    with pytest.raises(OutcomeUnknown):
        await pool.run(lambda: fail(OutcomeUnknown("commit failed")))
    assert not pool.breaker.is_open


async def test_abandoned_work_that_has_not_begun_is_skipped(pool: WorkerPool, gate: threading.Event) -> None:
    ran: list[int] = []
    hanging = [asyncio.ensure_future(pool.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    abandoned = asyncio.ensure_future(pool.run(lambda: ran.append(1)))
    await asyncio.sleep(0)
    abandoned.cancel()
    await asyncio.gather(abandoned, return_exceptions=True)
    gate.set()
    await asyncio.gather(*hanging)
    assert await pool.run(lambda: ran) == []


async def test_closed_pool_takes_no_work_and_sends_waiters_away(pool: WorkerPool, gate: threading.Event) -> None:
    waiting = asyncio.ensure_future(pool.run(gate.wait))
    await asyncio.sleep(0)
    pool.close()
    for attempt in (waiting, pool.run(gate.wait)):
        with pytest.raises(StoreUnavailable, match="stopping"):
            await attempt
