"""What can happen to the local broker's own file, and what it does then."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.brokers import KEEP_POSITIONS_MS, Listener, LocalRig, ids, numbered, numbers, read_all
from swim_server.brokers import history_file
from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.history_mark import HistoryMark, Mark
from swim_server.brokers.local import LocalBroker
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import NewEvent

MakeBroker = Callable[..., Awaitable[LocalBroker]]


@pytest.fixture
def rig(tmp_path: Path) -> LocalRig:
    return LocalRig(tmp_path)


@pytest.fixture
async def started(rig: LocalRig) -> AsyncIterator[MakeBroker]:
    """Make and open a broker on the rig; all are closed at the end."""
    brokers: list[LocalBroker] = []

    async def start(listener: Listener | None = None, **settings: Any) -> LocalBroker:
        brokers.append(rig.broker(**settings))
        await brokers[-1].open(listener or Listener())
        return brokers[-1]

    yield start
    for broker in brokers:
        await broker.close()


class Wire:
    """Makes the broker's own connection and keeps it at hand, so that a test can take its disk away."""

    def __init__(self) -> None:
        self.connection: sqlite3.Connection | None = None

    def __call__(self, path: Path) -> sqlite3.Connection:
        self.connection = sqlite3.connect(path, timeout=0.02, isolation_level=None, check_same_thread=False)
        return self.connection

    def pragma(self, statement: str) -> int:
        assert self.connection is not None
        return int((self.connection.execute(f"PRAGMA {statement}").fetchone() or [0])[0])


def damaged_files(rig: LocalRig) -> list[Path]:
    return history_file.damaged_files(rig.path)


async def eventually(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


def overwrite(path: Path, start: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)


def truncate(path: Path, length: int) -> None:
    with path.open("r+b") as file:
        file.truncate(length)


# damaged files at start


def other_database(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (title)")
    connection.close()


def other_schema(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE events RENAME COLUMN wire TO json")
    connection.close()


def newer_schema(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("in it")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "garbage": lambda path: path.write_bytes(b"\x8f garbage \x00" * 4000),
    "short garbage": lambda path: path.write_bytes(b"?"),
    "zero bytes": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(40960)),
    "half a page": lambda path: truncate(path, path.stat().st_size - 2000),
    "half a file": lambda path: truncate(path, path.stat().st_size // 2),
    "garbage in the middle": lambda path: overwrite(path, 6 * 4096, b"\xff" * 8 * 4096),
    "garbage over the schema": lambda path: overwrite(path, 100, b"\xff" * 3000),
    "another program's database": other_database,
    "another schema": other_schema,
    "a newer schema": newer_schema,
    "a folder": folder,
}


WHOLE = {"half a page", "garbage over the schema", "another schema", "a newer schema"}
"""Of these, every event can still be read."""
NOTHING_LEFT = {"garbage", "short garbage", "zero bytes", "zeros", "another program's database", "a folder"}


@pytest.mark.parametrize("name", DAMAGE)
async def test_a_damaged_history_is_set_aside_and_what_can_be_read_goes_on_in_a_new_one(
    rig: LocalRig, started: MakeBroker, name: str
) -> None:
    broker = await started()
    old = ids(await broker.publish(numbered(0, 500, named=True)))
    await broker.close()
    DAMAGE[name](rig.path)
    rig.clock.wall_ms -= 3_600_000
    listener = Listener()
    broker = await started(listener)
    assert len(damaged_files(rig)) == 1
    assert broker.newest_id == old[-1]
    (new,) = ids(await broker.publish(numbered(500)))
    assert new > old[-1]
    assert listener.numbers == [500]
    kept = await read_all(broker)
    assert numbers(kept)[-1] == 500
    assert [event.id for event in kept[:-1]] == [old[number] for number in numbers(kept)[:-1]]
    missing = sorted(set(range(500)) - set(numbers(kept)))
    assert (not missing) == (name in WHOLE)
    assert (len(missing) == 500) == (name in NOTHING_LEFT)
    for number in missing[:: max(1, len(missing) // 20)]:
        assert await broker.has_gap(old[number - 1] if number else ZERO), number
    assert not await broker.has_gap(old[-1])
    again = await broker.publish(numbered(0, 500, named=True))
    assert name not in {"another schema", "a newer schema"} or all(answer.duplicate for answer in again)
    await broker.close()
    broker = await started()
    assert len(damaged_files(rig)) == 1
    assert numbers(await read_all(broker))[: len(kept)] == numbers(kept)


async def test_a_damaged_history_without_a_mark_begins_anew(rig: LocalRig, started: MakeBroker) -> None:
    rig.path.write_bytes(b"garbage" * 1000)
    broker = await started()
    await broker.publish(numbered(1))
    assert numbers(await read_all(broker)) == [1]
    assert len(damaged_files(rig)) == 1


async def test_a_history_cut_off_while_it_was_made_is_simply_made(rig: LocalRig, started: MakeBroker) -> None:
    rig.path.write_bytes(b"")
    broker = await started()
    assert damaged_files(rig) == []
    assert broker.newest_id == ZERO
    await broker.publish(numbered(1))


async def test_what_was_set_aside_is_never_removed_for_newer_ones(rig: LocalRig, started: MakeBroker) -> None:
    for _ in range(6):
        rig.path.write_bytes(b"garbage" * 1000)
        rig.clock.wall_ms += 1000
        await (await started()).close()
    assert len(damaged_files(rig)) == 6


async def test_damage_in_the_same_second_overwrites_no_earlier_file(rig: LocalRig, started: MakeBroker) -> None:
    for content in (b"first" * 1000, b"second" * 1000):
        rig.path.write_bytes(content)
        await (await started()).close()
    assert {file.read_bytes()[:5] for file in damaged_files(rig)} == {b"first", b"secon"}


async def test_a_torn_write_ahead_log_is_a_gap(rig: LocalRig, started: MakeBroker, tmp_path: Path) -> None:
    broker = await started(tick_seconds=60)
    old = [ids(await broker.publish(numbered(number)))[0] for number in range(10)]
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for file in tmp_path.glob("history.*"):
        shutil.copy(file, crashed)
    wal = crashed / "history.db-wal"
    truncate(wal, wal.stat().st_size - 3000)
    rig.path = crashed / "history.db"
    broker = await started()
    stored = numbers(await read_all(broker))
    assert stored == list(range(len(stored)))
    assert 0 < len(stored) < 10
    assert broker.newest_id == old[-1]
    assert await broker.has_gap(old[len(stored) - 1])


# older and missing histories


async def test_an_older_history_restored_is_a_gap_and_ids_go_on_above(rig: LocalRig, started: MakeBroker) -> None:
    broker = await started()
    kept = ids(await broker.publish(numbered(0, 3)))
    await broker.close()
    copy = rig.path.with_name("backup")
    shutil.copy(rig.path, copy)
    broker = await started()
    lost = ids(await broker.publish(numbered(3, 3)))
    await broker.close()
    shutil.copy(copy, rig.path)
    rig.clock.wall_ms -= 3_600_000
    broker = await started()
    assert broker.newest_id == lost[-1]
    for after in (ZERO, *kept, *lost[:-1]):
        assert await broker.has_gap(after)
        assert (await broker.read(after)).has_gap
    assert not await broker.has_gap(lost[-1])
    (new,) = ids(await broker.publish(numbered(6)))
    assert new > lost[-1]
    assert numbers(await read_all(broker)) == [0, 1, 2, 6]


async def test_a_removed_history_is_a_gap(rig: LocalRig, started: MakeBroker) -> None:
    broker = await started()
    lost = ids(await broker.publish(numbered(0, 3)))
    await broker.close()
    rig.path.unlink()
    broker = await started()
    assert await broker.has_gap(ZERO)
    assert await broker.has_gap(lost[0])
    assert ids(await broker.publish(numbered(3)))[0] > lost[-1]


async def test_a_removed_home_is_a_gap_for_those_who_come_from_before(rig: LocalRig, started: MakeBroker) -> None:
    broker = await started()
    lost = ids(await broker.publish(numbered(0, 3)))
    await broker.close()
    rig.path.unlink()
    rig.path.with_suffix(".mark").unlink()
    rig.path.with_suffix(".witness").unlink()
    rig.clock.wall_ms += 1000
    broker = await started()
    await broker.publish(numbered(3))
    assert await broker.has_gap(lost[-1])
    assert not await broker.has_gap(ZERO)


async def test_all_files_of_another_history_together_are_a_gap(
    rig: LocalRig, started: MakeBroker, tmp_path: Path
) -> None:
    """They agree with each other; the home is another one."""
    broker, home = await started(), rig.path
    (event,) = ids(await broker.publish(numbered(0)))
    await broker.close()
    (tmp_path / "there").mkdir()
    rig.path = tmp_path / "there" / home.name
    rig.clock.wall_ms += 1000
    broker = await started()
    await broker.publish(numbered(1))
    await broker.close()
    for file in rig.path.parent.glob("history.*"):
        shutil.copy(file, home.parent)
    rig.path = home
    broker = await started()
    assert await broker.has_gap(event)


async def test_a_removed_mark_is_written_again(rig: LocalRig, started: MakeBroker) -> None:
    broker = await started()
    old = ids(await broker.publish(numbered(0)))
    await broker.close()
    rig.path.with_suffix(".mark").unlink()
    broker = await started()
    assert not await broker.has_gap(old[0])
    assert rig.path.with_suffix(".mark").exists()


async def test_a_mark_that_can_not_be_written_stops_nothing(rig: LocalRig, started: MakeBroker) -> None:
    rig.path.with_suffix(".mark").mkdir()
    broker = await started()
    await broker.publish(numbered(0, 2))
    assert numbers(await read_all(broker)) == [0, 1]


def crash_image(rig: LocalRig, folder: Path, name: str) -> None:
    """Go on with a copy of the files as they are now."""
    image = folder / name
    image.mkdir()
    for file in rig.path.parent.glob("history.*"):
        shutil.copy(file, image)
    rig.path = image / "history.db"


@pytest.mark.parametrize(
    ("written", "started_as", "boot_id", "is_gap"),
    [
        ("normal", "normal", "one-boot", False),
        ("normal", "normal", "two", True),
        ("normal", "full", "two", True),
        ("full", "full", "two", False),
        ("full", "normal", "two", False),
    ],
)
async def test_how_it_was_written_tells_whether_a_power_cut_is_a_gap(
    rig: LocalRig, started: MakeBroker, tmp_path: Path, written: str, started_as: str, boot_id: str, is_gap: bool
) -> None:
    broker = await started(tick_seconds=60, synchronous=written)
    (event,) = ids(await broker.publish(numbered(0)))
    crash_image(rig, tmp_path, "cut")
    rig.clock.wall_ms += 1000
    after = await started(boot_id=boot_id, synchronous=started_as)
    assert await after.has_gap(event) is is_gap
    assert ids(await after.publish(numbered(1)))[0] > event
    assert numbers(await read_all(after)) == [0, 1]


async def test_after_a_power_cut_the_hole_reaches_beyond_a_mark_that_is_ahead(
    rig: LocalRig, started: MakeBroker, tmp_path: Path
) -> None:
    broker = await started(tick_seconds=60)
    (kept,) = ids(await broker.publish(numbered(0)))
    crash_image(rig, tmp_path, "cut")
    shutil.rmtree(tmp_path / "mark", ignore_errors=True)
    mark = HistoryMark(rig.path.with_suffix(".mark"))
    ahead = EventId(kept.milliseconds + 10, 0)
    mark.write(Mark(ahead, "one-boot", False))
    mark.close()
    rig.clock.wall_ms += 5000
    after = await started(boot_id="two")
    later = EventId(kept.milliseconds + 3000, 0)
    assert await after.has_gap(later), "the mark itself may be old: events behind it may have been shown"


async def test_a_boot_after_an_orderly_end_is_no_gap(rig: LocalRig, started: MakeBroker) -> None:
    broker = await started()
    (event,) = ids(await broker.publish(numbered(0)))
    await broker.close()
    broker = await started(boot_id="two")
    assert not await broker.has_gap(event)


# under a running broker


async def test_a_history_moved_away_under_us_is_begun_anew(rig: LocalRig, started: MakeBroker) -> None:
    listener = Listener()
    broker = await started(listener)
    old = ids(await broker.publish(numbered(0, 3)))
    rig.path.rename(rig.path.with_name("elsewhere"))
    await eventually(rig.path.exists)
    (new,) = ids(await broker.publish(numbered(3)))
    assert new > old[-1]
    assert await broker.has_gap(old[0])
    assert numbers(await read_all(broker)) == [3]
    assert listener.numbers == [0, 1, 2, 3]


async def test_damage_under_us_is_met_by_a_new_history(rig: LocalRig, started: MakeBroker) -> None:
    broker = await started(tick_seconds=60)
    old = ids(await broker.publish(numbered(0, 2000)))
    await broker.close()
    broker = await started()
    size = rig.path.stat().st_size
    overwrite(rig.path, 4096, b"\xff" * (size - 4096))
    with pytest.raises(BrokerUnavailable, match="damaged"):
        await read_all(broker)
    await eventually(lambda: damaged_files(rig))
    (new,) = ids(await broker.publish(numbered(2000)))
    assert new > old[-1]
    assert numbers(await read_all(broker)) == [2000]
    assert await broker.has_gap(old[5])


async def test_a_publish_that_meets_damage_is_stored_in_the_new_history(rig: LocalRig, started: MakeBroker) -> None:
    broker = await started()
    await broker.publish(numbered(0, 20_000, named=True))  # more than SQLite keeps in memory
    await broker.close()
    listener = Listener()
    broker = await started(listener, tick_seconds=60)
    overwrite(rig.path, 4096, b"\xff" * (rig.path.stat().st_size - 4096))
    await broker.publish(numbered(20_000, 500, named=True))
    assert numbers(await read_all(broker)) == list(range(20_000, 20_500)) == listener.numbers
    assert len(damaged_files(rig)) == 1


async def test_a_full_disk_refuses_and_space_lets_events_in_again(rig: LocalRig, started: MakeBroker) -> None:
    wire, listener = Wire(), Listener()
    broker = await started(listener, connect=wire, tick_seconds=60)
    await broker.publish(numbered(0, 10))
    wire.pragma(f"max_page_count = {wire.pragma('page_count')}")
    with pytest.raises(BrokerUnavailable, match="no space left"):
        await broker.publish(numbered(10, 1000))
    with pytest.raises(BrokerUnavailable, match="free some"), capture_logs() as logs:
        await broker.publish(numbered(10, 1000))
    assert logs == [], "told once"
    assert "no space left" in str(broker.counters.last_error)
    assert numbers(await read_all(broker)) == list(range(10)) == listener.numbers
    wire.pragma("max_page_count = 100000")
    await broker.publish(numbered(10, 1000))
    assert numbers(await read_all(broker)) == list(range(1010)) == listener.numbers
    assert broker.counters.failures == 2
    assert broker.counters.last_error is None
    assert broker.counters.events_published == 1010


async def test_an_event_id_of_a_failed_commit_is_still_free(rig: LocalRig, started: MakeBroker) -> None:
    wire = Wire()
    broker = await started(connect=wire, tick_seconds=60)
    wire.pragma(f"max_page_count = {wire.pragma('page_count')}")
    with pytest.raises(BrokerUnavailable):
        await broker.publish(numbered(0, 1000, named=True))
    wire.pragma("max_page_count = 100000")
    published = await broker.publish(numbered(0, 1000, named=True))
    assert not any(answer.duplicate for answer in published)


async def test_a_disk_that_is_full_at_start_is_waited_for(rig: LocalRig, started: MakeBroker) -> None:
    is_full = True

    def connect(path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA max_page_count = {1 if is_full else 100_000}")
        return connection

    listener = Listener()
    broker = await started(listener, connect=connect)
    with pytest.raises(BrokerUnavailable, match="no space left"):
        await broker.publish(numbered(0))
    is_full = False
    await broker.publish(numbered(1))
    assert numbers(await read_all(broker)) == [1] == listener.numbers


async def test_a_disk_that_turns_read_only_refuses_and_comes_back(rig: LocalRig, started: MakeBroker) -> None:
    wire = Wire()
    broker = await started(connect=wire, tick_seconds=60)
    await broker.publish(numbered(0))
    wire.pragma("query_only = ON")
    with pytest.raises(BrokerUnavailable, match="read-only"):
        await broker.publish(numbered(1))
    assert numbers(await read_all(broker)) == [0]
    wire.pragma("query_only = OFF")
    await broker.publish(numbered(1))
    assert numbers(await read_all(broker)) == [0, 1]


async def test_a_lock_held_by_another_program_refuses_until_it_is_gone(rig: LocalRig, started: MakeBroker) -> None:
    broker = await started(connect=Wire(), tick_seconds=60)
    await broker.publish(numbered(0))
    other = sqlite3.connect(rig.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(BrokerUnavailable, match="another program"):
        await broker.publish(numbered(1))
    assert numbers(await read_all(broker)) == [0]
    other.execute("ROLLBACK")
    other.close()
    await broker.publish(numbered(1))
    assert numbers(await read_all(broker)) == [0, 1]


async def test_a_place_where_nothing_can_be_made_is_told(tmp_path: Path) -> None:
    rig = LocalRig(tmp_path / "missing")
    broker = rig.broker()
    with pytest.raises(BrokerUnavailable, match=str(tmp_path)):
        await broker.open(Listener())
    await broker.close()


async def test_calls_at_once_share_commits(started: MakeBroker) -> None:
    broker = await started()
    await asyncio.gather(*(broker.publish(numbered(number)) for number in range(3000)))
    assert broker.counters.commits < 10
    assert broker.counters.last_commit_seconds > 0


async def test_two_processes_on_one_file_share_one_order_and_all_events(rig: LocalRig, started: MakeBroker) -> None:
    heard, also_heard = Listener(), Listener()
    one = await started(heard)
    await one.publish(numbered(0, named=True))
    other = await started(also_heard)
    for number in range(1, 40, 2):
        await asyncio.gather(one.publish(numbered(number)), other.publish(numbered(number + 1)))
    (again,) = await other.publish(numbered(0, named=True))
    assert again.duplicate
    await eventually(lambda: len(heard.events) == 41 and len(also_heard.events) == 40)
    stored = [event.id for event in await read_all(one)]
    assert [event.id for event in heard.events] == stored
    assert [event.id for event in also_heard.events] == stored[1:]
    assert one.newest_id == other.newest_id == stored[-1]


async def test_an_id_that_another_process_has_just_given_is_no_gap(rig: LocalRig, started: MakeBroker) -> None:
    listener = Listener()
    one = await started(tick_seconds=60)
    other = await started(listener, tick_seconds=60)
    (event,) = ids(await one.publish(numbered(0)))
    gaps = await asyncio.gather(*(other.has_gap(event) for _ in range(3)))
    assert gaps == [False, False, False]
    assert other.newest_id == event
    assert listener.numbers == [0]


async def test_closing_answers_who_waits_for_other_processes(rig: LocalRig, started: MakeBroker) -> None:
    broker = await started(tick_seconds=60)
    asking = asyncio.create_task(broker.has_gap(EventId(2**40, 0)))
    await asyncio.sleep(0)
    await broker.close()
    assert await asking


async def test_the_one_of_two_processes_that_ends_leaves_the_mark_to_the_other(
    rig: LocalRig, started: MakeBroker
) -> None:
    one, other = await started(tick_seconds=60), await started(tick_seconds=60)
    await one.publish(numbered(0))
    (newest,) = ids(await other.publish(numbered(1)))
    await one.close()
    mark = HistoryMark(rig.path.with_suffix(".mark")).read()
    assert mark is not None
    assert (mark.newest, mark.is_clean) == (newest, False)


# retention by size


def large(first: int, count: int, type: str) -> list[NewEvent]:
    return [NewEvent(type=type, data={"number": number, "text": "x" * 1000}) for number in range(first, first + count)]


async def test_beyond_its_size_positions_go_first_and_the_file_stays_small(rig: LocalRig, started: MakeBroker) -> None:
    limit = 1_600_000
    broker = await started(max_bytes=limit)
    for number in range(10):
        await broker.publish(large(100 * number, 50, "flight.created"))
        await broker.publish(large(100 * number + 50, 50, "flight.position"))
    for number in range(10, 14):
        await broker.publish(large(100 * number, 100, "flight.created"))
    await eventually(lambda: broker.counters.events_pruned and rig.path.stat().st_size <= limit)
    events = await read_all(broker)
    kept = [event.data["number"] for event in events if event.type == "flight.created"]
    assert kept == [*(100 * number + each for number in range(10) for each in range(50)), *range(1000, 1400)]
    assert sum(event.type == "flight.position" for event in events) < 500


async def test_far_beyond_its_size_the_oldest_go_and_it_is_a_gap(rig: LocalRig, started: MakeBroker) -> None:
    limit = 1_000_000
    broker = await started(max_bytes=limit)
    published: list[EventId] = []
    for number in range(30):
        published += ids(await broker.publish(large(100 * number, 100, "flight.created")))
    await eventually(lambda: broker.counters.events_pruned > 1000 and rig.path.stat().st_size <= limit)
    await broker.close()
    pruned = broker.counters.events_pruned
    broker = await started(max_bytes=limit, tick_seconds=60)
    assert numbers(await read_all(broker)) == list(range(pruned, 3000))
    assert await broker.has_gap(published[pruned - 2])
    assert not await broker.has_gap(published[pruned - 1])


async def test_what_age_removed_makes_the_file_smaller(rig: LocalRig, started: MakeBroker) -> None:
    broker = await started()
    for number in range(40):
        await broker.publish(large(100 * number, 100, "flight.position"))
    await eventually(lambda: rig.path.stat().st_size > 4_000_000)
    rig.clock.wall_ms += KEEP_POSITIONS_MS + 1
    await eventually(lambda: rig.path.stat().st_size < 1_500_000)


async def test_a_history_smaller_than_nothing_still_delivers(rig: LocalRig, started: MakeBroker) -> None:
    listener = Listener()
    broker = await started(listener, max_bytes=1)
    await broker.publish(numbered(0, 1000, named=True))
    await eventually(lambda: broker.counters.events_pruned == 1000)
    assert await read_all(broker) == []
    assert listener.numbers == list(range(1000))
