"""What every source does, wherever its events come from."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from support.sources import SOURCE_RIGS, Recorder, Running, SourceRig, eventually


@pytest.fixture(params=sorted(SOURCE_RIGS))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> SourceRig:
    return SOURCE_RIGS[request.param](tmp_path)


@pytest.fixture
def publish() -> Recorder:
    return Recorder()


async def test_it_publishes_what_its_input_holds_in_order(rig: SourceRig, publish: Recorder) -> None:
    rig.provide(0, 5)
    async with Running(rig.source(), publish):
        await eventually(lambda: len(publish.events) == 5)
        rig.provide(5, 1000)
        await eventually(lambda: len(publish.events) == 1005)
    assert publish.numbers == list(range(1005))


async def test_its_status_tells_how_it_goes(rig: SourceRig, publish: Recorder) -> None:
    source = rig.source()
    assert (source.status.kind, source.status.state, source.status.events) == (rig.kind, "starting", 0)
    rig.provide(0, 5)
    before = time.monotonic()
    async with Running(source, publish):
        await eventually(lambda: source.status.events == 5 and source.status.state == "running")
        assert source.status.last_event_monotonic is not None
        assert source.status.last_event_monotonic >= before
        assert source.status.last_success_monotonic is not None
        assert (source.status.errors, source.status.last_error) == (0, None)


async def test_it_waits_for_an_input_that_is_not_there_yet(rig: SourceRig, publish: Recorder) -> None:
    async with Running(rig.source(), publish) as running:
        await asyncio.sleep(0.02)
        assert not running.task.done()
        rig.provide(0, 3)
        await eventually(lambda: len(publish.events) == 3)


async def test_cancelled_it_stops_promptly(rig: SourceRig, publish: Recorder) -> None:
    rig.provide(0, 5)
    running = Running(rig.source(), publish)
    await eventually(lambda: len(publish.events) == 5)
    started = time.monotonic()
    await running.stop()
    assert time.monotonic() - started < 1
    assert running.task.cancelled()


async def test_cancelled_while_publishing_it_stops_promptly_and_loses_nothing(
    rig: SourceRig, publish: Recorder
) -> None:
    rig.provide(0, 5)
    publish.is_hanging = True
    async with Running(rig.source(), publish):
        await eventually(lambda: publish.calls)
    publish.is_hanging = False
    async with Running(rig.source(), publish):
        rig.provide(5, 5)
        await eventually(lambda: len(publish.events) == 10)
    assert publish.numbers == list(range(10))


async def test_started_again_it_repeats_nothing(rig: SourceRig, publish: Recorder) -> None:
    for start in range(0, 50, 5):
        rig.provide(start, 5)
        async with Running(rig.source(), publish):
            await eventually(lambda: len(publish.events) == start + 5)  # noqa: B023 - called in this round only
    assert publish.numbers == list(range(50))


async def test_a_broker_that_is_away_is_waited_for(rig: SourceRig, publish: Recorder) -> None:
    source = rig.source()
    publish.is_available = False
    rig.provide(0, 5)
    async with Running(source, publish):
        await eventually(lambda: source.status.last_error is not None)
        assert source.status.state == "degraded"
        publish.is_available = True
        rig.provide(5, 5)
        await eventually(lambda: len(publish.events) == 10)
        await eventually(lambda: source.status.state == "running")
        assert source.status.last_error is None
    assert publish.numbers == list(range(10))


async def test_an_absurd_input_is_told_and_outlived(rig: SourceRig, publish: Recorder) -> None:
    source = rig.source()
    rig.spoil()
    async with Running(source, publish) as running:
        await eventually(lambda: source.status.errors)
        assert source.status.state == "degraded"
        assert source.status.last_error
        assert not running.task.done()
        rig.mend()
        rig.provide(0, 5)
        await eventually(lambda: len(publish.events) == 5)
        await eventually(lambda: source.status.state == "running")
        assert source.status.last_error is None


async def test_trouble_that_stays_is_counted_once(rig: SourceRig, publish: Recorder) -> None:
    source = rig.source()
    rig.spoil()
    async with Running(source, publish):
        await eventually(lambda: source.status.errors)
        await asyncio.sleep(0.05)
        assert source.status.errors == 1
