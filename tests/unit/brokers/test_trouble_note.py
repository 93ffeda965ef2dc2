"""A file system that gave up, and was mounted again while the machine ran on, is older, and everything in it agrees."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.brokers import Listener, LocalRig, ids, numbered
from support.packages import missing
from support.sources import eventually
from swim_server.brokers import history_file
from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.local import LocalBroker
from swim_server.brokers.recovery.trouble_note import SHARED_MEMORY

Start = Callable[..., Awaitable[LocalBroker]]


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Path]:
    """A folder of another file system."""
    if not SHARED_MEMORY.is_dir() or SHARED_MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        missing("there is no second file system")
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
async def start(tmp_path: Path, notes: Path) -> AsyncIterator[Start]:
    rig, brokers = LocalRig(tmp_path), list[LocalBroker]()

    async def started(**settings: Any) -> LocalBroker:
        brokers.append(rig.broker(notes=notes, **settings))
        await brokers[-1].open(Listener())
        return brokers[-1]

    yield started
    for broker in brokers:
        await broker.close()


class Disk:
    """Connects as the broker does, and may refuse to be written to."""

    def __init__(self) -> None:
        self._connections: list[sqlite3.Connection] = []

    def __call__(self, path: Path) -> sqlite3.Connection:
        self._connections.append(history_file.connect(path))
        return self._connections[-1]

    def refuse(self, *, refuses: bool = True) -> None:
        for connection in self._connections:
            connection.execute(f"PRAGMA query_only = {'ON' if refuses else 'OFF'}")


async def test_what_was_lost_with_the_file_system_is_a_gap(start: Start, tmp_path: Path, notes: Path) -> None:
    disk = Disk()
    broker = await start(connect=disk, tick_seconds=60)
    (kept,) = ids(await broker.publish(numbered(0)))
    (tmp_path / "older").mkdir()
    for file in tmp_path.glob("history.*"):
        shutil.copy(file, tmp_path / "older")
    (lost,) = ids(await broker.publish(numbered(1)))
    assert not list(notes.iterdir()), "all is well"
    disk.refuse()
    with pytest.raises(BrokerUnavailable):
        await broker.publish(numbered(2))
    for file in tmp_path.glob("history.*"):
        file.unlink()
    for file in (tmp_path / "older").iterdir():
        shutil.move(file, tmp_path)
    again = await start()
    assert await again.has_gap(kept)
    assert not await again.has_gap(lost)
    assert ids(await again.publish(numbered(3)))[0] > lost
    assert not list(notes.iterdir())


async def test_trouble_that_passes_leaves_no_note(start: Start, notes: Path) -> None:
    disk = Disk()
    broker = await start(connect=disk)
    (event,) = ids(await broker.publish(numbered(0)))
    disk.refuse()
    with pytest.raises(BrokerUnavailable):
        await broker.publish(numbered(1))
    assert len(list(notes.iterdir())) == 1
    disk.refuse(refuses=False)
    await broker.publish(numbered(1))
    await eventually(lambda: not list(notes.iterdir()))
    assert not await broker.has_gap(event)


@pytest.mark.parametrize("content", [b"", b"1768573815123-0 00000000\n", b"\xff\xff"])
async def test_a_note_that_is_not_as_it_was_written_says_nothing(
    start: Start, tmp_path: Path, notes: Path, content: bytes
) -> None:
    disk = Disk()
    broker = await start(connect=disk)
    (event,) = ids(await broker.publish(numbered(0)))
    disk.refuse()
    with pytest.raises(BrokerUnavailable):
        await broker.publish(numbered(1))
    (note,) = notes.iterdir()
    note.write_bytes(content)
    assert not await (await start()).has_gap(event)
