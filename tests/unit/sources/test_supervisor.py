"""Sources run independently: one that fails is restarted and disturbs no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs
from support.sources import Recorder, eventually
from support.virtual_clock import VirtualClock
from swim_server.brokers.broker import Publish
from swim_server.protocol.events import NewEvent
from swim_server.sources.source import SourceStatus
from swim_server.sources.supervisor import FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS, STABLE_SECONDS, Supervisor


class FakeSource:
    """Does what the test says, once for each start; afterwards it runs for ever."""

    def __init__(self, name: str, *acts: Callable[[Publish], Awaitable[None]]) -> None:
        self.status = SourceStatus(name=name, kind="fake")
        self.starts = 0
        self._acts = list(acts)

    async def run(self, publish: Publish) -> None:
        self.starts += 1
        self.status.state = "running"
        if self._acts:
            await self._acts.pop(0)(publish)
        else:
            await asyncio.Event().wait()


async def end(_: Publish) -> None:
    """The input has come to its end."""


async def fail(_: Publish) -> None:
    raise ValueError("the feed is nonsense")


async def fail_in_a_group(_: Publish) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fail(_))


async def cancel_itself(_: Publish) -> None:
    raise asyncio.CancelledError


async def publish_one(publish: Publish) -> None:
    await publish([NewEvent(type="tmi.issued", data={"number": 1})])


async def fail_on_stopping(_: Publish) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise ValueError("the file can't be closed")


async def ignore_being_cancelled(_: Publish) -> None:
    for _round in range(3):
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            continue


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    with capture_logs() as logs:
        yield logs


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def run(clock: VirtualClock) -> AsyncIterator[Callable[..., Supervisor]]:
    """Start a supervisor over sources; it is stopped at the end."""
    tasks: list[asyncio.Task[None]] = []

    def start(*sources: Any, **settings: Any) -> Supervisor:
        log = structlog.get_logger()
        publish = settings.pop("publish", Recorder())
        supervisor = Supervisor(sources, publish, log, clock=clock, **settings)
        tasks.append(asyncio.create_task(supervisor.run()))
        supervisor.task = tasks[-1]  # type: ignore[attr-defined]  # the test keeps its task with it
        return supervisor

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_it_tells_the_status_of_each_source_in_their_order(run: Any) -> None:
    supervisor = run(FakeSource("one"), FakeSource("two"))
    assert [status.name for status in supervisor.statuses()] == ["one", "two"]


async def test_a_source_publishes_through_it_and_is_finished_at_its_end(run: Any) -> None:
    publish, source = Recorder(), FakeSource("one", publish_one)
    supervisor = run(source, publish=publish)
    await supervisor.task
    assert publish.numbers == [1]
    assert (source.status.state, source.starts) == ("finished", 1)


async def test_without_sources_it_ends_at_once(run: Any) -> None:
    await run().task


async def test_a_source_that_fails_is_started_again_and_told(run: Any, logs: list[Any]) -> None:
    source = FakeSource("one", fail)
    run(source)
    await eventually(lambda: source.starts == 2)
    assert (source.status.errors, source.status.last_error) == (1, "the feed is nonsense")
    (failure,) = [log for log in logs if log["log_level"] == "error"]
    assert failure["exc_info"] is True
    assert failure["source"] == "one"


async def test_a_failure_inside_a_group_is_told_by_its_cause(run: Any) -> None:
    source = FakeSource("one", fail_in_a_group)
    run(source)
    await eventually(lambda: source.starts == 2)
    assert source.status.last_error == "the feed is nonsense"


async def test_a_cancellation_of_its_own_is_a_failure_like_any_other(run: Any) -> None:
    source, other = FakeSource("one", cancel_itself), FakeSource("two")
    run(source, other)
    await eventually(lambda: source.starts == 2)
    assert source.status.errors == 1
    assert other.status.state == "running"


async def test_while_it_waits_to_be_started_again_its_state_is_failed(run: Any, clock: VirtualClock) -> None:
    source, waiting = FakeSource("one", fail), asyncio.Event()

    async def wait(seconds: float) -> None:
        await waiting.wait()

    clock.sleep = wait  # type: ignore[method-assign]  # the test waits in its place
    run(source)
    await eventually(lambda: source.status.state == "failed")
    waiting.set()
    await eventually(lambda: source.status.state == "running")


async def test_it_waits_longer_after_each_failure_up_to_a_limit(run: Any, clock: VirtualClock) -> None:
    source = FakeSource("one", *[fail] * 12)
    run(source)
    await eventually(lambda: source.starts == 13)
    assert clock.slept[:4] == [FIRST_DELAY_SECONDS * factor for factor in (1, 2, 4, 8)]
    assert clock.slept[-1] == LONGEST_DELAY_SECONDS


async def test_after_a_stable_time_it_waits_shortly_again(run: Any, clock: VirtualClock) -> None:
    async def fail_late(publish: Publish) -> None:
        clock.advance(STABLE_SECONDS)
        await fail(publish)

    source = FakeSource("one", fail, fail, fail_late, fail)
    run(source)
    await eventually(lambda: source.starts == 5)
    assert clock.slept == [FIRST_DELAY_SECONDS * factor for factor in (1, 2, 1, 2)]


async def test_one_that_fails_disturbs_no_other(run: Any) -> None:
    bad, good = FakeSource("bad", *[fail] * 5), FakeSource("good")
    run(bad, good)
    await eventually(lambda: bad.starts == 6)
    assert (good.starts, good.status.errors, good.status.state) == (1, 0, "running")


async def test_cancelled_it_stops_them_all(run: Any) -> None:
    sources = [FakeSource("one"), FakeSource("two", fail)]
    supervisor = run(*sources)
    await eventually(lambda: sources[1].starts == 2)
    supervisor.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await supervisor.task
    assert [source.status.state for source in sources] == ["stopped", "stopped"]


async def test_one_that_fails_while_it_stops_is_told(run: Any, logs: list[Any]) -> None:
    source = FakeSource("one", fail_on_stopping)
    supervisor = run(source)
    await eventually(lambda: source.starts == 1)
    supervisor.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await supervisor.task
    assert any("failed while it stopped" in log["event"] for log in logs)
    assert source.status.state == "stopped"


async def test_one_that_does_not_stop_is_not_waited_for_long(run: Any, logs: list[Any]) -> None:
    source = FakeSource("stubborn", ignore_being_cancelled)
    supervisor = run(source, stop_seconds=0.01)
    await eventually(lambda: source.starts == 1)
    supervisor.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await supervisor.task
    assert any("does not stop" in log["event"] for log in logs)
    for task in asyncio.all_tasks():
        if task.get_name() == "source-stubborn":
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
