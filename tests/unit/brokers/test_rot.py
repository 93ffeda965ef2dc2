"""Damaged events are never delivered, always reported, and found before anybody asks for them."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.brokers import Listener, LocalRig, ids, numbered, numbers, read_all
from swim_server.brokers import history_file
from swim_server.brokers.history_mark import HistoryMark
from swim_server.brokers.local import LocalBroker
from swim_server.brokers.recovery.inspection import check, read_info, salvage_into
from swim_server.protocol.event_id import ZERO, EventId

MakeBroker = Callable[..., Awaitable[LocalBroker]]
TYPES = ["flight.created"]


@pytest.fixture
def rig(tmp_path: Path) -> LocalRig:
    return LocalRig(tmp_path)


@pytest.fixture
async def started(rig: LocalRig) -> AsyncIterator[MakeBroker]:
    """Make and open a broker on the rig; all are closed at the end."""
    brokers: list[LocalBroker] = []

    async def start(**settings: Any) -> LocalBroker:
        brokers.append(rig.broker(**{"check_after_seconds": 60.0} | settings))
        await brokers[-1].open(Listener())
        return brokers[-1]

    yield start
    for broker in brokers:
        await broker.close()


def flip(path: Path, text: bytes, bit: int = 0, *, last: bool = False) -> None:
    """Flip a bit of the first byte of a text that stands in the file."""
    content = bytearray(path.read_bytes())
    at = content.rindex(text) if last else content.index(text)
    content[at] ^= 1 << bit
    path.write_bytes(content)


async def filled(rig: LocalRig, started: MakeBroker, count: int = 300) -> list[EventId]:
    broker = await started()
    published = ids(await broker.publish(numbered(0, count, named=True)))
    await broker.close()
    return published


@pytest.mark.parametrize("types", [None, TYPES])
@pytest.mark.parametrize(("what", "bit"), [("number", 0), ("number", 7), ("type", 0), ("wire type", 1)])
async def test_an_event_with_a_flipped_bit_is_a_gap_and_costs_no_other(
    rig: LocalRig, started: MakeBroker, what: str, bit: int, types: list[str] | None
) -> None:
    published = await filled(rig, started)
    head = b'flight.created","timestamp":"2026-01-16T14:30:15.123Z","id":"%b"' % str(published[150]).encode()
    texts = {"number": b'number":150', "type": b'flight.created{"type":"' + head, "wire type": head}
    flip(rig.path, texts[what], bit)
    broker = await started()
    told: list[tuple[EventId, EventId]] = []
    broker.on_unreadable = lambda after, up_to: told.append((after, up_to))
    page = await broker.read(ZERO, types=types, limit=1000)
    assert numbers(page.events) == [number for number in range(300) if number != 150]
    assert page.has_gap
    assert await broker.has_gap(published[149])
    assert not await broker.has_gap(published[150])
    assert [up_to for _, up_to in told] == [published[150]]
    assert broker.counters.rotten == 1
    assert (await broker.state()).corrupt_ranges == 1
    last = await broker.read_last(300, types=types)
    assert 150 not in numbers(last)
    await broker.close()
    broker = await started()
    assert await broker.has_gap(published[149]), "remembered over a restart"
    assert history_file.damaged_files(rig.path) == []


async def test_rot_is_found_though_nobody_reads(rig: LocalRig, started: MakeBroker) -> None:
    published = await filled(rig, started)
    flip(rig.path, b'number":77')
    broker = await started(check_after_seconds=0.0)
    async with asyncio.timeout(10):
        while broker.check_status.checked_at is None:
            await asyncio.sleep(0.01)
    assert broker.counters.rotten == 1
    assert await broker.has_gap(published[76])


async def test_a_bad_map_of_pages_is_damage_though_sqlite_tells_of_a_page_that_it_could_not_read(
    rig: LocalRig, started: MakeBroker
) -> None:
    published = await filled(rig, started)
    content = bytearray(rig.path.read_bytes())
    content[4096 + 5] ^= 1 << 3  # what the fourth page is for
    rig.path.write_bytes(content)
    broker = await started()
    again = await broker.publish(numbered(0, 300, named=True))
    assert all(answer.duplicate for answer in again)
    assert [event.id for event in await read_all(broker)] == published
    assert len(list(rig.path.parent.glob("history.db.damaged-*T*Z"))) == 1


async def test_rotten_events_side_by_side_are_one_place(rig: LocalRig, started: MakeBroker) -> None:
    published = await filled(rig, started)
    for number in range(77, 82):
        flip(rig.path, b'number":%d' % number)
    broker = await started(check_after_seconds=0.0)
    async with asyncio.timeout(10):
        while broker.check_status.checked_at is None:
            await asyncio.sleep(0.01)
    assert broker.counters.rotten == 1
    assert await broker.has_gap(published[80])
    assert not await broker.has_gap(published[81])


async def test_the_newest_event_rotten_gives_no_id_twice(rig: LocalRig, started: MakeBroker) -> None:
    published = await filled(rig, started)
    flip(rig.path, b'number":299')
    rig.path.with_suffix(".mark").unlink()
    rig.path.with_suffix(".witness").unlink()
    broker = await started()
    (new,) = ids(await broker.publish(numbered(300)))
    assert new > published[-1]
    assert await broker.has_gap(published[-2])


async def test_a_producer_s_name_that_rots_is_not_stored_again(rig: LocalRig, started: MakeBroker) -> None:
    await filled(rig, started)
    connection = sqlite3.connect(rig.path)
    digests = [
        row[0] for row in connection.execute("SELECT digest FROM event_ids WHERE id % 7 = 0 ORDER BY id LIMIT 4")
    ]
    connection.close()
    for number, digest in enumerate(digests):
        flip(rig.path, digest.encode(), 0, last=number % 2 == 0)  # in the table or in the index
    broker = await started()
    again = await broker.publish(numbered(0, 300, named=True))
    assert all(answer.duplicate for answer in again)


OLD_SCHEMA = (
    "PRAGMA auto_vacuum = INCREMENTAL", "PRAGMA journal_mode = WAL",
    "CREATE TABLE events (id INTEGER PRIMARY KEY, type TEXT NOT NULL, wire BLOB NOT NULL)",
    "CREATE TABLE event_ids (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE)",
    "CREATE TABLE pruned (type TEXT PRIMARY KEY, up_to INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE holes (up_to INTEGER PRIMARY KEY, after INTEGER NOT NULL, reason TEXT NOT NULL, at_ms INTEGER)",
    f"PRAGMA application_id = {history_file.APPLICATION_ID}", "PRAGMA user_version = 1",
)  # fmt: skip


@pytest.mark.parametrize("kind", [0x0D, 0x0A], ids=["table", "index"])
async def test_names_on_a_page_of_zeros_are_known_from_where_they_stand_a_second_time(
    rig: LocalRig, started: MakeBroker, kind: int
) -> None:
    await filled(rig, started)
    content = bytearray(rig.path.read_bytes())
    with closing(sqlite3.connect(rig.path)) as connection:
        (digest,) = connection.execute("SELECT digest FROM event_ids ORDER BY id LIMIT 1 OFFSET 150").fetchone()
    places = [at for at in range(0, len(content), 4096) if digest.encode() in content[at : at + 4096]]
    (page,) = (at for at in places if content[at] == kind)
    content[page : page + 4096] = bytes(4096)
    rig.path.write_bytes(content)
    broker = await started()
    again = await broker.publish(numbered(0, 300, named=True))
    assert [number for number, answer in enumerate(again) if not answer.duplicate] == []
    assert numbers(await read_all(broker)) == list(range(300))


async def test_an_entry_of_names_that_sqlite_can_not_read_stops_nothing(rig: LocalRig, started: MakeBroker) -> None:
    """An id of another type: SQLite's quick check sees nothing wrong, and every look at all of the index fails."""
    await filled(rig, started)
    content = bytearray(rig.path.read_bytes())
    with closing(sqlite3.connect(rig.path)) as connection:
        (digest,) = connection.execute("SELECT digest FROM event_ids ORDER BY id LIMIT 1 OFFSET 150").fetchone()
    (at,) = (
        found.start() for found in re.finditer(digest.encode(), content) if content[found.start() & ~4095] == 0x0A
    )  # fmt: skip
    assert content[at - 1] == 6, "an integer of eight bytes"
    content[at - 1] ^= 1
    rig.path.write_bytes(content)
    broker = await started()
    again = await broker.publish(numbered(0, 300, named=True))
    assert [number for number, answer in enumerate(again) if not answer.duplicate] == []
    assert numbers(await read_all(broker)) == list(range(300))


def old_event(connection: sqlite3.Connection, number: int) -> EventId:
    """Store an event as the version before checksums did."""
    event_id = EventId(1_768_573_000_000 + number, 0)
    wire = (
        f'{{"type":"flight.created","timestamp":"2026-01-16T14:16:40Z","id":"{event_id}","data":{{"number":{number}}}}}'
    )
    connection.execute("INSERT INTO events (id, type, wire) VALUES (?, ?, ?)",
                       (event_id.to_integer(), "flight.created", wire.encode()))  # fmt: skip
    return event_id


async def test_a_file_of_the_version_before_is_accepted_and_that_version_can_go_on_with_it(
    rig: LocalRig, started: MakeBroker
) -> None:
    connection = sqlite3.connect(rig.path, isolation_level=None)
    for statement in OLD_SCHEMA:
        connection.execute(statement)
    old = [old_event(connection, number) for number in range(5)]
    broker = await started()
    assert numbers(await read_all(broker)) == [0, 1, 2, 3, 4]
    assert not await broker.has_gap(old[0])
    await broker.publish(numbered(5, 2))
    connection.execute("SELECT id, type, wire FROM events LIMIT 0").fetchall()
    old_event(connection, 10_000)  # the old process, which the new one didn't come to replace, stores on
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
    assert 10_000 in numbers(await read_all(broker))
    connection.close()


async def test_the_process_that_leaves_a_handover_does_not_say_that_history_is_closed(
    rig: LocalRig, started: MakeBroker
) -> None:
    old = await started(tick_seconds=60)
    await old.publish(numbered(0))
    new = await started(tick_seconds=60)
    await old.close()
    mark = HistoryMark(rig.path.with_suffix(".mark")).read()
    assert mark is not None
    assert not mark.is_clean, "the new one has it open: a power cut must be noticed"
    await new.close()
    mark = HistoryMark(rig.path.with_suffix(".mark")).read()
    assert mark is not None
    assert mark.is_clean


@pytest.mark.parametrize("parts", [("history.db",), ("history.db", "history.mark")])
async def test_an_older_history_is_told_whatever_was_put_back_with_it(
    rig: LocalRig, started: MakeBroker, tmp_path: Path, parts: tuple[str, ...]
) -> None:
    published = await filled(rig, started)
    for name in parts:
        shutil.copy(tmp_path / name, tmp_path / f"older-{name}")
    broker = await started()
    lost = ids(await broker.publish(numbered(300, 5)))
    await broker.close()
    for name in parts:
        shutil.copy(tmp_path / f"older-{name}", tmp_path / name)
    broker = await started()
    assert await broker.has_gap(published[-1])
    (new,) = ids(await broker.publish(numbered(305)))
    assert new > lost[-1], "no id is given twice"


async def test_the_history_of_another_installation_is_told(rig: LocalRig, started: MakeBroker, tmp_path: Path) -> None:
    await filled(rig, started)
    (tmp_path / "other").mkdir()
    other = LocalRig(tmp_path / "other")
    broker = other.broker()
    await broker.open(Listener())
    foreign = ids(await broker.publish(numbered(900, 3)))
    await broker.close()
    for name in ("history.db", "history.mark"):
        shutil.copy(tmp_path / "other" / name, tmp_path / name)
    mine = await started()
    epoch = mine.epoch
    assert await mine.has_gap(foreign[-1])
    assert await mine.has_gap(ZERO)
    await mine.close()
    assert (await started()).epoch == epoch, "told once; from then on it is this installation's"


async def test_an_operator_can_check_and_salvage(rig: LocalRig, started: MakeBroker, tmp_path: Path) -> None:
    published = await filled(rig, started)
    assert check(rig.path).is_sound
    info = read_info(rig.path)
    assert (info.events, info.newest_id, info.is_closed) == (300, str(published[-1]), True)
    flip(rig.path, b'number":150')
    report = check(rig.path)
    assert (report.is_sound, report.damaged_events) == (False, [str(published[150])])
    events, gaps = salvage_into(rig.path, tmp_path / "salvaged.db", rig.clock.now_ms())
    assert events == 299
    assert any(gap.after == str(published[149]) for gap in gaps if gap.reason == "unreadable")
    assert check(tmp_path / "salvaged.db").is_sound


async def test_what_is_durable_is_synced_once_for_all_who_wait(started: MakeBroker) -> None:
    broker = await started()
    await asyncio.gather(*(broker.publish(numbered(number), durable=True) for number in range(200)))
    assert await broker.publish((), durable=True) == []
