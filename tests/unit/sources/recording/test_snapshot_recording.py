from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.feed import AIRFIELDS, beside, document, pilot, snapshot
from support.memory_broker import MemoryBroker
from support.virtual_clock import TimeIsUp, VirtualClock
from swim_server.brokers.broker import Published
from swim_server.detection.feed import FeedPilot
from swim_server.protocol.events import NewEvent
from swim_server.sources.recording.pace import LOOK_AGAIN_SECONDS, MAX_STEP_MS
from swim_server.sources.recording.snapshot_recording import RecordingSource


def put(folder: Path, at: float, pilots: Sequence[FeedPilot] = ()) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{round(at):06}.json.gz"
    path.write_bytes(gzip.compress(document(snapshot(at, [pilot(at, cid=7, callsign="PARKED"), *pilots]))))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three snapshots at 0, 15 and 105 s: a flight is created, and departs."""
    recorded = tmp_path / "recorded"
    put(recorded, 0)
    put(recorded, 15, [pilot(15)])
    put(recorded, 105, [pilot(105, **beside("EDDF", 2), altitude=2000, groundspeed=170)])
    return recorded


class Player:
    """A source, its broker and its time."""

    def __init__(self, folder: Path, *, until: float = 1e6, broker: MemoryBroker | None = None, **options: Any) -> None:
        self.time = VirtualClock(seconds=0, until=until)
        self.broker = broker or MemoryBroker()
        self.published_at: list[float] = []
        self.source = RecordingSource(
            "rec",
            folder,
            airfields=lambda: AIRFIELDS,
            clock=self.time,
            **options,
        )

    @property
    def status(self) -> Any:
        return self.source.status

    async def play(self) -> list[str]:
        """Play to the end or until the time is up; give the types in the broker."""
        with contextlib.suppress(TimeIsUp):
            await self.source.run(self.publish)
        return self.types()

    async def publish(self, events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        self.published_at.append(self.time.elapsed)
        return await self.broker.publish(events)

    def types(self) -> list[str]:
        types = (event.type.removeprefix("flight.") for event in self.broker.events)
        return [name for name in types if name != "positions"]


async def test_a_recording_is_played_once_through_and_finishes(folder: Path) -> None:
    player = Player(folder, loop=False)
    assert await player.play() == ["created", "departed"]
    assert player.status.state == "finished"
    assert "to play it again" in player.status.details["finished"]
    assert player.status.events == len(player.broker.events)


async def test_events_keep_the_times_that_were_recorded(folder: Path) -> None:
    player = Player(folder, loop=False)
    await player.play()
    departed = next(event for event in player.broker.events if event.type == "flight.departed")
    assert departed.data["off_utc"] == "2024-11-21T12:01:45.000Z"


@pytest.mark.parametrize(("speed", "times"), [(1, [15, 105]), (30, [0.5, 3.5])])
async def test_steps_last_as_long_as_they_were_recorded_divided_by_the_speed(
    folder: Path, speed: float, times: list[float]
) -> None:
    player = Player(folder, loop=False, speed=speed)
    await player.play()
    assert player.published_at == pytest.approx(times)


async def test_a_long_gap_is_shortened_and_told(folder: Path) -> None:
    put(folder, 105 + 3 * 3600, [pilot(105 + 3 * 3600)])
    player = Player(folder, loop=False)
    await player.play()
    assert player.time.elapsed == pytest.approx(105 + MAX_STEP_MS / 1000)
    assert player.status.details["shortened_gap"] == "3.0 h before 2024-11-21T15:01:45.000Z"


async def test_a_source_that_is_behind_does_not_catch_up_in_a_burst(folder: Path) -> None:
    player = Player(folder, loop=False, speed=30)

    async def slow(events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        player.time.advance(60)
        return await player.broker.publish(events)

    await player.source.run(slow)
    assert player.time.slept == pytest.approx([0.5])


async def test_looped_each_round_tells_the_same_anew_under_other_names(folder: Path) -> None:
    player = Player(folder, until=3 * (105 + 90) - 1)
    assert await player.play() == ["created", "departed"] * 3
    assert player.status.details["loop"] == 3


async def test_the_pause_between_two_rounds_is_as_long_as_the_last_step(folder: Path) -> None:
    player = Player(folder, until=105 + 90 + 20)
    await player.play()
    assert player.published_at == pytest.approx([15, 105, 105 + 90 + 15])


async def test_a_round_ends_without_a_thousand_deletions(folder: Path) -> None:
    put(folder, 120)
    player = Player(folder, until=1000)
    assert "deleted" not in await player.play()


async def test_one_snapshot_alone_is_played_at_the_pace_of_the_feed(tmp_path: Path) -> None:
    path = put(tmp_path / "one", 0)
    player = Player(path, until=100)
    assert await player.play() == []
    assert set(player.time.slept) == {15.0}


# Restarts


async def test_killed_anywhere_and_started_again_tells_each_event_once(folder: Path, tmp_path: Path) -> None:
    """The process dies in each place where it waits: before, within, and after each publication, and while saving."""
    whole = Player(folder, loop=False)
    await whole.play()
    for dies_at in range(1, 12):
        broker = MemoryBroker()
        state_path = tmp_path / f"state{dies_at}.json"
        calls = 0

        def step(dies_at: int = dies_at) -> None:
            nonlocal calls
            calls += 1
            if calls == dies_at:
                raise TimeIsUp

        for _ in range(3):
            player = Player(folder, loop=False, state_path=state_path, broker=broker)

            async def publish(
                events: Sequence[NewEvent], *, durable: bool = False, player: Player = player
            ) -> list[Published]:
                step()
                published = await player.publish(events)
                step()
                return published

            async def sleep(seconds: float, player: Player = player) -> None:
                step()
                await VirtualClock.sleep(player.time, seconds)
                step()

            player.time.sleep = sleep  # type: ignore[method-assign]  # the test sleeps in its place
            try:
                await player.source.run(publish)
            except TimeIsUp:
                continue
        assert [event.type for event in broker.events] == [event.type for event in whole.broker.events], dies_at


async def test_started_again_it_goes_on_behind_the_last_snapshot(folder: Path, tmp_path: Path) -> None:
    state_path = tmp_path / "state.json"
    first = Player(folder, state_path=state_path, until=50)
    assert await first.play() == ["created"]
    second = Player(folder, state_path=state_path, until=50, broker=first.broker)
    assert await second.play() == ["created", "departed"]
    assert second.published_at == [0]


async def test_started_again_in_the_second_round_it_is_in_the_second_round(folder: Path, tmp_path: Path) -> None:
    state_path = tmp_path / "state.json"
    first = Player(folder, state_path=state_path, until=105 + 90 + 20)
    assert await first.play() == ["created", "departed", "created"]
    second = Player(folder, state_path=state_path, until=50, broker=first.broker)
    assert await second.play() == ["created", "departed", "created", "departed"]
    assert second.status.details["loop"] == 2


async def test_a_finished_recording_stays_finished_over_a_restart(folder: Path, tmp_path: Path) -> None:
    state_path = tmp_path / "state.json"
    broker = MemoryBroker()
    await Player(folder, loop=False, state_path=state_path, broker=broker).play()
    again = Player(folder, loop=False, state_path=state_path, broker=broker)
    assert await again.play() == ["created", "departed"]
    assert again.published_at == []
    assert str(state_path) in again.status.details["finished"]


async def test_what_was_recorded_since_is_played_after_a_restart(folder: Path, tmp_path: Path) -> None:
    state_path = tmp_path / "state.json"
    broker = MemoryBroker()
    await Player(folder, loop=False, state_path=state_path, broker=broker).play()
    put(
        folder,
        120,
        [pilot(120, **beside("EDDF", 2.7), altitude=2400, groundspeed=170), pilot(120, cid=8, callsign="NEW1")],
    )
    assert (await Player(folder, loop=False, state_path=state_path, broker=broker).play())[-1] == "created"


async def test_without_its_state_a_recording_is_played_anew_and_not_taken_for_known(folder: Path) -> None:
    """The broker knows the event ids of the last day; those of another playing have to be others."""
    broker = MemoryBroker()
    for start_ms in (1_768_573_815_123, 1_768_573_999_999):
        player = Player(folder, loop=False, broker=broker)
        player.time.wall_ms = start_ms
        await player.play()
    assert player.types() == ["created", "departed"] * 2


async def test_the_state_of_another_folder_is_not_used(folder: Path, tmp_path: Path) -> None:
    state_path = tmp_path / "state.json"
    await Player(folder, loop=False, state_path=state_path).play()
    other = tmp_path / "other"
    put(other, -30)
    put(other, -15, [pilot(-15)])
    assert await Player(other, loop=False, state_path=state_path).play() == ["created"]


async def test_a_broken_state_file_is_moved_aside_and_told(folder: Path, tmp_path: Path) -> None:
    state_path = tmp_path / "state.json"
    state_path.write_text("{")
    player = Player(folder, loop=False, state_path=state_path)
    assert await player.play() == ["created", "departed"]
    assert (tmp_path / "state.json.broken").exists()
    assert player.status.errors == 1


async def test_a_state_that_cannot_be_saved_is_told_and_the_recording_goes_on(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    player = Player(folder, loop=False)
    player.source._state_file.path = tmp_path / "file" / "state.json"
    player.source._state = player.source._new_state()
    assert await player.play() == ["created", "departed"]
    assert "can't be remembered" in player.status.last_error


async def test_a_broker_that_is_away_is_waited_for_and_nothing_is_lost(folder: Path) -> None:
    player = Player(folder, loop=False)
    player.broker.fail_next = True
    assert await player.play() == ["created", "departed"]
    assert (player.status.errors, player.status.last_error) == (1, None)


async def test_it_stops_at_once_when_cancelled(folder: Path) -> None:
    source = RecordingSource("rec", folder, airfields=lambda: AIRFIELDS)
    task = asyncio.create_task(source.run(MemoryBroker().publish))
    while source.status.details.get("snapshots") is None:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)


# Input that is absent or broken


@pytest.mark.parametrize("makes_folder", [True, False])
async def test_absent_input_is_told_and_awaited(tmp_path: Path, makes_folder: bool) -> None:
    where = tmp_path / "later"
    if makes_folder:
        where.mkdir()
    player = Player(where, loop=False)
    waits = 0

    async def sleep(seconds: float) -> None:
        nonlocal waits
        if seconds == LOOK_AGAIN_SECONDS:
            waits += 1
            assert player.status.state == "degraded"
            assert str(where) in player.status.last_error
            if waits == 3:
                put(where, 0)
                put(where, 15, [pilot(15)])
        await VirtualClock.sleep(player.time, seconds)

    player.time.sleep = sleep  # type: ignore[method-assign]  # the test sleeps in its place
    assert await player.play() == ["created"]
    assert (waits, player.status.last_error) == (3, None)


async def test_broken_files_among_good_ones_are_told_and_the_others_played(folder: Path) -> None:
    (folder / "000030.json").write_text('{"general": {"update_timestamp": "2024-11-21T12:00:30Z"}, "pilots": [')
    (folder / "garbage.json").write_bytes(b"\x00\x01")
    player = Player(folder, loop=False)
    assert await player.play() == ["created", "departed"]
    assert player.status.state == "finished"
    assert player.status.details["unreadable"] == 1
    assert player.status.errors == 1
    assert player.status.details["broken_files"] == 2


async def test_a_truncated_snapshot_is_skipped_and_told(tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    crowd = [pilot(at, cid=number, callsign="X") for at in (0,) for number in range(100, 150)]
    put(folder, 0, crowd)
    put(folder, 15)
    put(folder, 30, crowd)
    player = Player(folder, loop=False)
    assert await player.play() == []
    assert player.status.details["skipped"] == 1
    assert player.status.details["skipped_last"] == "000015.json.gz: truncated"


async def test_the_status_tells_where_the_recording_is(folder: Path) -> None:
    player = Player(folder, until=50)
    await player.play()
    details = player.status.details
    assert (player.status.kind, player.status.state) == ("recording", "running")
    assert details["file"] == "000015.json.gz"
    assert details["recorded_time"] == "2024-11-21T12:00:15.000Z"
    assert (details["files"], details["snapshots"], details["loop"]) == (3, 2, 1)
    assert player.status.last_event_monotonic == 15


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_speed_that_is_none_is_refused(tmp_path: Path, speed: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        RecordingSource("rec", tmp_path, speed=speed)
