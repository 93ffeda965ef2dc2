"""Recordings of events as a source: pace, seek, rounds, restarts, damage."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.memory_broker import MemoryBroker
from support.recordings import recording, wire
from support.virtual_clock import TimeIsUp, VirtualClock
from swim_server.brokers.broker import Published
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.events import NewEvent
from swim_server.sources.recording.any_recording import AnyRecordingSource
from swim_server.sources.recording.pace import LOOK_AGAIN_SECONDS, MAX_STEP_MS

SECONDS = [0, 10, 10, 40]
WIRES = [wire(number, at=at) for number, at in enumerate(SECONDS)]


class Player:
    """A source, its broker and its time."""

    def __init__(self, path: Path, *, until: float = 1e6, broker: MemoryBroker | None = None, **options: Any) -> None:
        self.time = VirtualClock(seconds=0, until=until)
        self.broker = broker or MemoryBroker()
        self.heard: list[tuple[float, int]] = []
        self.dies_at_call: int | None = None
        self._calls = 0
        self.source = AnyRecordingSource(
            "rec",
            path,
            catalogue=Catalogue(),
            clock=self.time,
            **options,
        )

    @property
    def status(self) -> Any:
        return self.source.status

    async def play(self) -> list[int]:
        """Play to the end or until the time is up; the numbers in the broker."""
        with contextlib.suppress(TimeIsUp):
            await self.source.run(self.publish)
        return self.numbers

    async def publish(self, events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        self._calls += 1
        self.heard += [(self.time.elapsed, event.data["number"]) for event in events]
        answer = await self.broker.publish(events)
        if self._calls == self.dies_at_call:
            raise TimeIsUp
        return answer

    @property
    def numbers(self) -> list[int]:
        return [event.data["number"] for event in self.broker.events]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.swim"
    path.write_bytes(recording(WIRES))
    return path


async def test_it_is_played_once_through_and_finishes(path: Path) -> None:
    player = Player(path, loop=False)
    assert await player.play() == [0, 1, 2, 3]
    assert player.status.state == "finished"
    assert player.status.last_error is None
    assert player.status.events == 4


async def test_events_keep_type_data_and_timestamp_and_get_new_ids(path: Path) -> None:
    player = Player(path, loop=False)
    await player.play()
    for played, line in zip(player.broker.events, WIRES, strict=True):
        recorded, again = json.loads(line), json.loads(played.wire)
        assert again.pop("id") != recorded.pop("id")
        assert again == recorded


@pytest.mark.parametrize(("speed", "times"), [(1, [0, 10, 10, 40]), (20, [0, 0.5, 0.5, 2])])
async def test_steps_last_as_long_as_recorded_divided_by_the_speed(
    path: Path, speed: float, times: list[float]
) -> None:
    player = Player(path, loop=False, speed=speed)
    await player.play()
    assert [at for at, _ in player.heard] == pytest.approx(times)


async def test_a_long_silence_is_shortened_and_told(path: Path) -> None:
    path.write_bytes(recording([wire(0), wire(1, at=7200)]))
    player = Player(path, loop=False)
    await player.play()
    assert player.heard[-1][0] == pytest.approx(MAX_STEP_MS / 1000)
    assert player.status.details["shortened_gap"].startswith("2.0 h before ")


@pytest.mark.parametrize(
    ("start", "numbers"), [("10s", [1, 2, 3]), ("2026-01-16T14:30:30Z", [3]), ("1768573825000-2", [2, 3])]
)
async def test_it_begins_at_the_place_asked_for_without_waiting(path: Path, start: str, numbers: list[int]) -> None:
    player = Player(path, loop=False, start=start)
    assert await player.play() == numbers
    assert player.heard[0][0] == 0


async def test_looped_each_round_tells_the_same_under_other_names(path: Path) -> None:
    player = Player(path, until=2.5 * 70)
    assert await player.play() == [0, 1, 2, 3] * 2 + [0, 1, 2]
    assert player.status.details["loop"] == 3


@pytest.mark.parametrize("call", [1, 2, 3])
async def test_killed_anywhere_it_goes_on_without_loss_or_repetition(path: Path, tmp_path: Path, call: int) -> None:
    broker, state_path = MemoryBroker(), tmp_path / "state.json"
    first = Player(path, broker=broker, loop=False, state_path=state_path)
    first.dies_at_call = call  # stored, but neither acknowledged nor remembered
    await first.play()
    second = Player(path, broker=broker, loop=False, state_path=state_path)
    second.time.wall_ms += 60_000
    assert await second.play() == [0, 1, 2, 3]


async def test_played_to_its_end_it_stays_so_over_a_restart_and_plays_what_was_added(
    path: Path, tmp_path: Path
) -> None:
    broker, state_path = MemoryBroker(), tmp_path / "state.json"
    for wires in (WIRES[:2], WIRES[:2], WIRES):
        path.write_bytes(recording(wires, id="one"))
        player = Player(path, broker=broker, loop=False, state_path=state_path)
        await player.play()
    assert player.numbers == [0, 1, 2, 3]


async def test_another_recording_under_the_same_name_is_played_from_its_beginning(path: Path, tmp_path: Path) -> None:
    broker, state_path = MemoryBroker(), tmp_path / "state.json"
    await Player(path, broker=broker, loop=False, state_path=state_path).play()
    path.write_bytes(recording([wire(8), wire(9)], id="another"))
    player = Player(path, until=10, broker=broker, loop=False, state_path=state_path)
    player.time.advance(1)
    assert (await player.play())[4:] == [8, 9]


async def test_a_damaged_one_is_played_up_to_the_damage_which_stays_told(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: len(recording(WIRES[:3], is_finished=False)) + 5])
    player = Player(path, loop=False)
    assert await player.play() == [0, 1, 2]
    assert player.status.state == "finished"
    assert "in the middle of a block" in player.status.last_error
    looped = Player(path, until=15)
    await looped.play()
    assert looped.status.state == "degraded"


async def test_absent_and_absurd_files_are_waited_for_and_told(tmp_path: Path) -> None:
    path = tmp_path / "later.swim"
    player = Player(path, loop=False, until=3 * LOOK_AGAIN_SECONDS - 1)
    await player.play()
    assert (player.status.state, player.status.errors) == ("degraded", 1)
    path.write_bytes(b"nonsense")
    player.time.until = 6 * LOOK_AGAIN_SECONDS
    await player.play()
    assert "holds neither recorded events nor feed snapshots" in player.status.last_error
    path.write_bytes(recording(WIRES))
    player.time.until = 1e6
    assert await player.play() == [0, 1, 2, 3]
    assert player.status.last_error is None


async def test_a_recording_that_becomes_absurd_is_told_with_the_place(path: Path) -> None:
    player = Player(path, until=3)
    await player.play()
    path.write_bytes(b"nonsense")
    player.time.until = 1000
    await player.play()
    assert "damaged at byte 0, after 0 events" in player.status.last_error


async def test_types_that_nobody_can_subscribe_to_and_heartbeats_are_left_out_and_told(path: Path) -> None:
    odd = [wire(7, type="weather.sigmet"), wire(8, type="system.heartbeat")]
    path.write_bytes(recording([*odd, *WIRES]))
    player = Player(path, loop=False)
    assert await player.play() == [0, 1, 2, 3]
    assert player.status.details["unknown_types"] == 2


async def test_a_folder_is_played_as_snapshots_and_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    folder.mkdir()
    player = Player(folder, loop=False, until=5)
    await player.play()
    assert "holds no *.json" in player.status.last_error
