"""The second look: what is damaged is seen by SQLite in a copy, and in the pages of what is too large to be copied."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.history import History
from swim_server.brokers.recovery.second_look import find_damage
from swim_server.brokers.recovery.structure import find_damage as find_damage_in_pages
from swim_server.brokers.retention import Retention
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.files.sqlite_copy import find_damage_in_copy
from swim_server.protocol.events import NewEvent

PAGE_BYTES = 4096
KEPT = Retention(1 << 40, 1 << 40, 1 << 40)
MAP_PAGE = 2
"""By its number; the first page has the number 1."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A history with rows of every size, some of them gone again."""
    path = tmp_path / "history.db"
    history = History(path, clock=SYSTEM_CLOCK, retention=KEPT)
    history.open()
    rng = random.Random(7)
    for call in range(30):
        texts = ["x" * rng.choice([10, 300, 9000]) for _ in range(10)]
        events = [NewEvent(type=f"flight.{call % 5}", data={"text": text}, event_id=f"{call} {index}")
                  for index, text in enumerate(texts)]  # fmt: skip
        history.append([events])
    history.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM events WHERE id % 3 = 0")
        connection.execute("INSERT INTO pruned VALUES ('flight.1', 5)")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return path


def flip(path: Path, at: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(content)


def page_of_rows(content: bytes) -> int:
    """Find a leaf of a table that holds several rows."""
    pages = range(2 * PAGE_BYTES, len(content), PAGE_BYTES)
    return next(at for at in pages if content[at] == 0x0D and content[at + 4] > 5)


@pytest.mark.parametrize("only_names", [False, True])
@pytest.mark.parametrize("max_copy_bytes", [1 << 30, 0], ids=["copy", "pages"])
def test_a_sound_history_is_sound(path: Path, only_names: bool, max_copy_bytes: int) -> None:
    assert find_damage(path, only_names=only_names, max_copy_bytes=max_copy_bytes) == ""


def test_a_sound_history_with_a_log_is_sound(path: Path) -> None:
    history = History(path, clock=SYSTEM_CLOCK, retention=KEPT)
    history.open()
    history.append([[NewEvent(type="flight.new", data={"text": "x" * 9000})]])
    assert path.with_name("history.db-wal").stat().st_size > 9000
    assert [find_damage(path, max_copy_bytes=size) for size in (1 << 30, 0)] == ["", ""]
    history.close()


@pytest.mark.parametrize(
    "place",
    [
        lambda _: 100,  # the kind of the first page
        lambda _: 28,  # how many pages there are
        lambda _: (MAP_PAGE - 1) * PAGE_BYTES + 5,  # what a page is for
        lambda content: content.index(b"CREATE TABLE events") - 20,
        page_of_rows,
    ],
    ids=["kind", "count", "map", "schema", "rows"],
)
def test_damage_is_seen_in_a_copy_and_in_pages(path: Path, place: Callable[[bytes], int]) -> None:
    flip(path, place(path.read_bytes()), 6)
    assert find_damage(path)
    assert find_damage(path, max_copy_bytes=0)


def test_a_name_that_table_and_index_do_not_share_is_seen(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        digest = connection.execute("SELECT digest FROM event_ids ORDER BY digest LIMIT 1 OFFSET 20").fetchone()[0]
    flip(path, path.read_bytes().rindex(digest.encode()))
    assert find_damage(path, only_names=True)
    assert find_damage(path, only_names=True, max_copy_bytes=0)


def test_what_sqlite_stumbles_over_is_seen_in_pages_too(path: Path) -> None:
    """A check that breaks off by an error says nothing of the disk: those that are damage must be known otherwise."""
    sound, rng = path.read_bytes(), random.Random(20261127)
    broken_off = 0
    pages = [at for at in range(0, len(sound), PAGE_BYTES) if sound[at] in {0x02, 0x05, 0x0A, 0x0D} and sound[at + 4]]
    for _ in range(200):
        flip(path, rng.choice(pages) + rng.randrange(PAGE_BYTES), rng.randrange(8))
        if "malformed" in find_damage_in_copy(path):
            broken_off += 1
            assert find_damage_in_pages(path)
        path.write_bytes(sound)
    assert broken_off


def test_a_history_that_can_not_be_read_is_trouble(path: Path) -> None:
    path.unlink()
    with pytest.raises(BrokerUnavailable):
        find_damage(path)
