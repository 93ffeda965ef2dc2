"""The event file with real writer processes and a reader that is killed: nothing lost or repeated by the reader."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.brokers import Listener, read_all
from swim_server.brokers.local import LocalBroker
from swim_server.brokers.retention import Retention
from swim_server.concurrency.clock import SYSTEM_CLOCK

SUPPORT = Path(__file__).parents[1] / "support"
SEED = 20260117
MANY = 1_000_000
"""More than are written before the writers are told to end."""
KILLS = pytest.mark.parametrize("kills", [8, pytest.param(40, marks=pytest.mark.long)])

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]


class World:
    """The folder of an event file, its writers and its reader."""

    def __init__(self, folder: Path) -> None:
        self.event_file = folder / "swim_ws_events.json"
        self.archive = folder / "archive"
        self.archive.mkdir()
        self.history = folder / "history.db"
        self.writers: dict[str, subprocess.Popen[str]] = {}
        self.reader: subprocess.Popen[str] | None = None

    def write(self, name: str, count: int, style: str, pause: float = 0) -> None:
        script = SUPPORT / "event_file_writer.py"
        lock = self.event_file.with_name("lock")
        arguments = [sys.executable, script, self.event_file, lock, name, str(count), style, str(pause)]
        words = [str(part) for part in arguments]
        self.writers[name] = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    def is_writing(self) -> bool:
        return any(writer.poll() is None for writer in self.writers.values())

    def end_writers(self) -> Counter[tuple[str, int]]:
        """Let them end now; answers all that they have written."""
        self.event_file.with_name("lock.over").touch()
        counts = {name: int(writer.communicate(timeout=120)[0]) for name, writer in self.writers.items()}
        return Counter((name, number) for name, count in counts.items() for number in range(count))

    def start_reader(self) -> None:
        script = SUPPORT / "event_file_process.py"
        arguments = [sys.executable, script, self.event_file, self.history, self.archive]
        self.reader = subprocess.Popen([str(part) for part in arguments], stdout=subprocess.PIPE, text=True)
        assert self.reader.stdout is not None
        assert self.reader.stdout.readline() == "ready\n"

    def kill_reader(self) -> None:
        if self.reader is not None:
            self.reader.kill()
            self.reader.communicate()
            self.reader = None

    def read_to_the_end(self) -> None:
        """Let the reader finish all that is there."""
        deadline = time.monotonic() + 60
        while self.event_file.exists() or list(self.event_file.parent.glob("*.taken-*")):
            assert time.monotonic() < deadline, "the reader does not finish"
            time.sleep(0.05)

    def taken(self) -> dict[tuple[str, int], int]:
        """Every event in a file that the reader has taken, and how often it stood in one of them at most."""
        events: dict[tuple[str, int], int] = {}
        for file in self.archive.iterdir():
            for key, count in Counter(map(key_of, entries_of(file.read_text()))).items():
                events[key] = max(events.get(key, 0), count)
        return events

    async def published(self) -> list[tuple[str, int]]:
        broker = LocalBroker(
            self.history,
            clock=SYSTEM_CLOCK,
            retention=Retention(keep_ms=86_400_000, keep_positions_ms=900_000, max_bytes=1 << 31),
        )
        await broker.open(Listener())
        events = await read_all(broker)
        await broker.close()
        return [(event.data["writer"], event.data["number"]) for event in events]


def entries_of(text: str) -> list[Any]:
    """What an array, followed by lines, holds."""
    decoder, position, entries = json.JSONDecoder(), 0, []
    while position < len(text):
        value, position = decoder.raw_decode(text, position)
        entries += value if isinstance(value, list) else [value]
        position += len(text[position:]) - len(text[position:].lstrip())
    return entries


def key_of(entry: Any) -> tuple[str, int]:
    return entry["data"]["writer"], entry["data"]["number"]


@pytest.fixture
def world(tmp_path: Path) -> Any:
    world = World(tmp_path)
    yield world
    world.kill_reader()
    for writer in world.writers.values():
        writer.kill()
        writer.communicate()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_three_writers_without_a_lock_lose_nothing_by_the_reader(world: World) -> None:
    world.start_reader()
    for name in ("one", "two", "three"):
        world.write(name, 2000, "rename")
    wait_for(lambda: not world.is_writing())
    world.read_to_the_end()
    published = await world.published()
    assert Counter(published) == Counter(world.taken())
    assert len(published) > 500
    assert not list(world.event_file.parent.glob("*.rejected"))


async def test_three_writers_with_a_lock_of_their_own_have_every_event_published_once(world: World) -> None:
    world.start_reader()
    for name in ("one", "two", "three"):
        world.write(name, 1000, "locked")
    wait_for(lambda: not world.is_writing())
    world.read_to_the_end()
    published = await world.published()
    assert Counter(published) == Counter((name, number) for name in ("one", "two", "three") for number in range(1000))
    for writer in ("one", "two", "three"):
        assert [number for name, number in published if name == writer] == list(range(1000))


async def test_a_writer_of_bare_lines_among_the_others_loses_nothing_by_the_reader(world: World) -> None:
    world.start_reader()
    world.write("lines", 2000, "append")
    wait_for(lambda: not world.is_writing())
    world.read_to_the_end()
    assert Counter(await world.published()) == Counter(("lines", number) for number in range(2000))


async def test_lines_appended_to_a_file_that_was_taken_meanwhile_are_read(world: World) -> None:
    world.start_reader()
    world.write("arrays", 2000, "rename")
    world.write("lines", 2000, "append")
    wait_for(lambda: not world.is_writing())
    world.read_to_the_end()
    published = await world.published()
    assert Counter(published) == Counter(world.taken())
    assert len(published) > 500


@KILLS
async def test_a_reader_killed_at_random_moments_loses_and_repeats_nothing(world: World, kills: int) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    for name in ("one", "two", "three"):
        world.write(name, MANY, "locked", pause=0.01)
    for _ in range(kills):
        world.start_reader()
        time.sleep(chance.uniform(0, 0.2))
        world.kill_reader()
    world.start_reader()
    written = world.end_writers()
    world.read_to_the_end()
    assert Counter(await world.published()) == written
    assert len(written) > 3 * kills
    assert not list(world.event_file.parent.glob("*.rejected"))


@KILLS
async def test_a_reader_killed_when_it_has_just_taken_the_file_loses_nothing(world: World, kills: int) -> None:
    world.write("one", MANY, "locked", pause=0.005)
    for _ in range(kills):
        world.start_reader()
        before = set(world.event_file.parent.glob("*.taken-*"))
        wait_for(lambda: set(world.event_file.parent.glob("*.taken-*")) - before != set())  # noqa: B023
        world.kill_reader()
    world.start_reader()
    written = world.end_writers()
    world.read_to_the_end()
    assert Counter(await world.published()) == written
    assert len(written) > kills
