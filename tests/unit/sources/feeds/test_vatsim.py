"""The VATSIM source: when it asks, what it remembers, what it reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.feed import AIRFIELDS, NOON_MS, document, pilot, snapshot, types
from support.source_rigs import FakeFeed
from support.sources import Recorder, Running, eventually
from support.virtual_clock import VirtualClock
from swim_server.detection.feed import FeedPilot
from swim_server.detection.feed_decoding import decode_snapshot
from swim_server.protocol.timestamps import format_ms
from swim_server.sources.boundaries import BoundariesFile
from swim_server.sources.feeds.http_feed import Answer, FeedTrouble, Validators
from swim_server.sources.feeds.vatsim import VatsimSource


class Feed(FakeFeed):
    """Answers what the test has put in line, then that nothing has changed."""

    def __init__(self) -> None:
        super().__init__()
        self.line: list[bytes | FeedTrouble] = []
        self.validators: list[Validators] = []

    async def get(self, validators: Validators) -> Answer | None:
        self.validators.append(validators)
        if not self.line:
            return None
        following = self.line.pop(0)
        if isinstance(following, FeedTrouble):
            raise following
        return Answer(following, Validators(f'"{len(self.validators)}"'))


class World:
    def __init__(self, folder: Path) -> None:
        self.feed = Feed()
        self.publish = Recorder()
        self.clock = VirtualClock()
        self.clock.wall_ms = NOON_MS
        self.clock.sleep = self._sleep  # type: ignore[method-assign]  # the test sleeps in its place
        self.pauses: list[float] = []
        self._state = folder / "vatsim.json"
        self.source = self.start()

    def start(self, **settings: Any) -> VatsimSource:
        """As a process does."""
        self.source = VatsimSource(
            "vatsim",
            url="http://feed.invalid/",
            state_path=self._state,
            airfields=lambda: AIRFIELDS,
            clock=self.clock,
            open_feed=self.feed,
            **settings,
        )
        return self.source

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.advance(seconds)
        await asyncio.sleep(0 if self.feed.line else 3600)

    async def look(self, *answers: bytes | FeedTrouble) -> None:
        """Let the source ask until it has had all of these."""
        self.feed.line += answers
        before = len(self.pauses)
        async with Running(self.source, self.publish):
            await eventually(lambda: not self.feed.line and len(self.pauses) >= before + max(1, len(answers)))


def network(at: float, *pilots: FeedPilot) -> bytes:
    return document(snapshot(at, pilots))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def told(publish: Recorder) -> list[str]:
    return types(publish.events)


async def test_it_asks_again_soon_after_the_next_snapshot_is_due(world: World) -> None:
    world.clock.advance(4)
    await world.look(network(0))
    assert world.pauses == [15.0] or 15 <= world.pauses[0] < 30


async def test_what_the_feed_said_of_its_answer_is_asked_with_next_time_and_after_a_restart(world: World) -> None:
    await world.look(network(0))
    world.start()
    await world.look()
    assert [each.etag for each in world.feed.validators] == [None, '"1"']
    assert world.source.status.details["not_modified"] == 1


async def test_refused_it_waits_longer_and_longer_and_as_long_as_it_is_told(world: World) -> None:
    busy = FeedTrouble("status 429", "", retry_after_seconds=200)
    await world.look(FeedTrouble("status 503", ""), FeedTrouble("timeout", ""), FeedTrouble("status 503", ""), busy)
    assert world.pauses == [15, 30, 60, 200]
    status = world.source.status
    assert (status.state, status.last_error) == ("degraded", "status 429; asking again in 200 s")
    assert status.details["failed_status_503"] == 2
    await world.look(network(0))
    assert (status.state, status.last_error) == ("running", None)


async def test_a_snapshot_that_is_no_snapshot_changes_nothing(world: World) -> None:
    await world.look(network(0), b"<html>", network(15)[:40], network(15, pilot(15)))
    assert told(world.publish) == ["created"]
    details = world.source.status.details
    assert (details["snapshots"], details["failed_not_JSON"], details["failed_truncated"]) == (2, 1, 1)


async def test_repeated_and_older_snapshots_are_counted_and_skipped(world: World) -> None:
    await world.look(network(0), network(15, pilot(15)), network(15, pilot(15)), network(0), network(30, pilot(30)))
    details = world.source.status.details
    assert (details["snapshots"], details["skipped_repeated"], details["skipped_out_of_order"]) == (3, 1, 1)
    assert told(world.publish) == ["created"]


async def test_taken_and_not_published_before_a_kill_it_comes_first_in_the_next_process(world: World) -> None:
    await world.look(network(0))
    world.publish.is_hanging = True
    world.feed.line.append(network(15, pilot(15)))
    calls = world.publish.calls
    async with Running(world.source, world.publish):
        await eventually(lambda: world.publish.calls > calls)
    world.publish.is_hanging = False
    before = len(world.publish.events)
    world.start()
    await world.look(network(30, pilot(30)))
    assert told(world.publish) == ["created"]
    assert len([event for event in world.publish.events if event.type == "flight.created"]) == 1
    assert before >= 1


async def test_without_boundaries_it_says_so(world: World) -> None:
    world.start(regions=BoundariesFile(None))
    await world.look(network(0), network(15, pilot(15)))
    assert world.source.status.details["boundaries"] == "no boundaries configured: centre and FIR are null"
    assert world.publish.events[0].data["current_artcc"] is None
    assert world.publish.events[0].data["current_fir"] is None


async def test_a_feed_that_stands_still_is_degraded_though_it_answers(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.look(network(0))
    world.clock.seconds += 300
    await world.look()
    assert world.source.status.state == "degraded"
    assert "its snapshot is still that of 2024-11-21T12:00:00.000Z" in str(world.source.status.last_error)
    await world.look(network(15))
    assert world.source.status.state == "running"


async def test_a_state_that_can_not_be_written_is_told_and_lived_with(world: World, tmp_path: Path) -> None:
    world.start()
    await world.look(network(0))
    (tmp_path / "vatsim.json").unlink()
    (tmp_path / "vatsim.json").mkdir()
    await world.look(network(15, pilot(15)))
    assert told(world.publish) == ["created"]
    assert "a restart will not know" in str(world.source.status.last_error)


async def test_ended_at_any_step_and_begun_again_it_tells_the_same_in_the_end(tmp_path: Path) -> None:
    """Ended hundreds of times: before asking, between taking and comparing, while publishing, before remembering."""
    documents = [
        document(snapshot(at, [pilot(at, cid=number, callsign=f"N{number}") for number in range(1, 3 + at // 15)]))
        for at in range(0, 90, 15)
    ]
    undisturbed = await _played(documents, tmp_path / "quiet", steps=None)
    assert types(undisturbed.events).count("created") == 5
    for seed in range(12):
        random = Random(seed)
        disturbed = await _played(documents, tmp_path / str(seed), steps=lambda: random.randrange(60))  # noqa: B023
        assert disturbed.events == undisturbed.events, f"seed {seed}"


async def _played(documents: list[bytes], folder: Path, steps: Callable[[], int] | None) -> Recorder:
    feed, publish = FakeFeed(), Recorder()

    def start() -> VatsimSource:
        return VatsimSource(
            "vatsim",
            url="http://feed.invalid/",
            state_path=folder / "state.json",
            interval_seconds=0.001,
            airfields=lambda: AIRFIELDS,
            open_feed=feed,
        )

    for body in documents:
        feed.body = body
        stamp = format_ms(decode_snapshot(body).update_ms)
        for _ in range(0 if steps is None else 12):
            async with Running(start(), publish):
                for _ in range(steps() if steps is not None else 0):
                    await asyncio.sleep(0)
        source = start()
        async with Running(source, publish):
            await eventually(lambda: source.status.details.get("feed_time") == stamp)  # noqa: B023
    return publish
