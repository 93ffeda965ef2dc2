"""The drop folder: which files are read in which order, and what happens to bad lines."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.source_rigs import DropRig
from support.sources import Recorder, Running, eventually
from swim_server.brokers.broker import BrokerUnavailable, Published
from swim_server.protocol.events import NewEvent
from swim_server.sources.drop.folder import natural, read_lines


@pytest.fixture
def rig(tmp_path: Path) -> DropRig:
    return DropRig(tmp_path)


@pytest.fixture
def publish() -> Recorder:
    return Recorder()


def line(number: int, **more: Any) -> str:
    return json.dumps({"type": "splits.updated", "data": {"number": number}} | more) + "\n"


async def work_off(rig: DropRig, publish: Recorder) -> None:
    """Let the source finish all that is there."""
    source = rig.source()
    async with Running(source, publish):
        await eventually(lambda: source.status.details.get("waiting") == 0)


async def test_files_are_taken_in_the_natural_order_of_their_names(rig: DropRig, publish: Recorder) -> None:
    for number in (10, 9, 1):
        rig.drop(f"batch-{number}.jsonl", line(number))
    await work_off(rig, publish)
    assert publish.numbers == [1, 9, 10]
    assert list(rig.folder.iterdir()) == []


async def test_bad_lines_are_set_aside_with_their_reasons_and_the_others_published(
    rig: DropRig, publish: Recorder
) -> None:
    wrong = json.dumps({"type": "flight.departed", "data": {"latitude": "x"}})
    bad = ["nonsense", "[]", '{"type":"x.y","data":{}}', wrong, '{"type":"tmi.issued","data":{},"timestamp":"soon"}']
    rig.drop("a.jsonl", "\ufeff" + line(0) + "\n".join(bad) + "\r\n\r\n" + line(1).rstrip())
    await work_off(rig, publish)
    assert publish.numbers == [0, 1]
    assert [path.name for path in rig.folder.iterdir()] == ["a.jsonl.rejected"]
    rejected = [msgspec.json.decode(row) for row in (rig.folder / "a.jsonl.rejected").read_bytes().splitlines()]
    assert [row["line"] for row in rejected] == [2, 3, 4, 5, 6]
    assert [row["text"] for row in rejected] == bad
    assert "data.latitude: Expected `float | null`, got `str`" in rejected[3]["reason"]
    assert "not an RFC 3339 time" in rejected[4]["reason"]


async def test_equal_lines_are_events_of_their_own_and_a_name_of_its_own_makes_one(
    rig: DropRig, publish: Recorder
) -> None:
    rig.drop("a.jsonl", line(1) + line(1) + line(2, event_id="mine") + line(2, event_id="mine"))
    await work_off(rig, publish)
    assert publish.numbers == [1, 1, 2]


async def test_another_file_of_the_same_name_is_another_batch(rig: DropRig, publish: Recorder) -> None:
    for stamp in (1_700_000_000, 1_700_000_001):
        rig.drop("a.jsonl", line(1))
        os.utime(rig.folder / "a.jsonl", (stamp, stamp))
        await work_off(rig, publish)
    assert publish.numbers == [1, 1]


async def test_a_file_still_written_under_another_name_is_left_alone(rig: DropRig, publish: Recorder) -> None:
    for name in (".a.jsonl", "a.jsonl.tmp", "a.jsonl.part", "notes"):
        (rig.folder / name).write_text(line(1))
    (rig.folder / "folder.jsonl").mkdir()
    rig.drop("b.jsonl", line(2))
    source = rig.source()
    async with Running(source, publish):
        await eventually(lambda: publish.numbers == [2] and source.status.details["files"] == 1)
    assert len(list(rig.folder.iterdir())) == 5


async def test_a_file_that_is_open_for_writing_is_waited_for(rig: DropRig, publish: Recorder) -> None:
    with (rig.folder / "a.jsonl").open("w") as file:
        file.write(line(1))
        file.flush()
        source = rig.source()
        async with Running(source, publish):
            await eventually(lambda: source.status.state == "running")
            assert publish.numbers == []
            file.close()
            await eventually(lambda: publish.numbers == [1])


async def test_a_line_beyond_the_limit_costs_only_itself(rig: DropRig, publish: Recorder) -> None:
    huge = json.dumps({"type": "splits.updated", "data": {"x": "y" * 3_000_000}}) + "\n"
    rig.drop("a.jsonl", line(1) + huge + line(2))
    await work_off(rig, publish)
    assert publish.numbers == [1, 2]
    (row,) = (rig.folder / "a.jsonl.rejected").read_bytes().splitlines()
    assert msgspec.json.decode(row)["reason"] == "it has more than 1,048,576 bytes"
    assert len(row) < 20_000


def test_a_page_of_long_lines_is_bounded_in_bytes(tmp_path: Path) -> None:
    """Sixty lines of a megabyte are not read at once."""
    path = tmp_path / "long.jsonl"
    path.write_bytes((b"x" * 1_000_000 + b"\n") * 12)
    with path.open("rb") as file:
        pages = [len(read_lines(file, 500)) for _ in range(3)]
    assert pages == [5, 5, 2]


def test_the_natural_order_compares_numbers_as_numbers() -> None:
    assert sorted(["b10", "b9", "a", "b", "10", "9"], key=natural) == ["9", "10", "a", "b", "b9", "b10"]


async def test_a_file_goes_only_when_its_events_are_on_the_disk(rig: DropRig, publish: Recorder) -> None:
    rig.drop("a.jsonl", line(0) + line(1))
    is_failing = True

    async def failing(events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        if durable and is_failing:
            raise BrokerUnavailable("the disk can't be synced")
        return await publish(events, durable=durable)

    source = rig.source()
    async with Running(source, failing):
        await eventually(lambda: len(publish.events) == 2 and source.status.errors)
        await asyncio.sleep(0.1)
        assert [path.suffix for path in rig.folder.iterdir()] == [".taken"]
        is_failing = False
        await eventually(lambda: not list(rig.folder.iterdir()))
    assert publish.synced == 2


@pytest.mark.parametrize("kind", ["link", "FIFO", "folder"])
async def test_what_is_no_file_of_its_own_is_moved_aside_and_the_rest_goes_on(
    rig: DropRig, publish: Recorder, kind: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(line(7))
    for name in ("a.jsonl", ".b.jsonl.00000000000000000005.taken"):
        path = rig.folder / name
        match kind:
            case "link":
                path.symlink_to(secret)
            case "FIFO":
                os.mkfifo(path)
            case _:
                path.mkdir()
    rig.drop("c.jsonl", line(0))
    await work_off(rig, publish)
    assert publish.numbers == [0]
    assert secret.read_text() == line(7)
    assert all(path.name.endswith(".refused") for path in rig.folder.iterdir())


async def test_rejects_are_not_written_into_what_somebody_has_planted(
    rig: DropRig, publish: Recorder, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the service's own")
    taken = rig.folder / ".a.jsonl.00000000000000000005.taken"
    taken.write_text("nonsense\n" + line(0))
    taken.with_suffix(".rejects").symlink_to(secret)
    await work_off(rig, publish)
    assert secret.read_text() == "the service's own"
    assert "nonsense" in (rig.folder / "a.jsonl.rejected").read_text()
    assert publish.numbers == [0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
async def test_a_file_that_another_user_has_open_is_read_to_its_end_and_holds_up_nobody(publish: Recorder) -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        rig = DropRig(Path(name))
        rig.folder.chmod(0o777)
        path = rig.folder / "a.jsonl"
        writer = path.open("a")
        writer.write(line(0) + line(1)[:10])
        writer.flush()
        os.chown(path, 1234, 1234)
        path.chmod(0o644)
        os.seteuid(65534)
        try:
            source = rig.source(unknown_seconds=0.5)
            async with Running(source, publish):
                await eventually(lambda: publish.numbers == [0])
                rig.drop("b.jsonl", line(9))
                await eventually(lambda: publish.numbers == [0, 9])
                writer.write(line(1)[10:] + line(2))
                writer.flush()
                await eventually(lambda: publish.numbers == [0, 9, 1, 2])
                await eventually(lambda: not list(rig.folder.iterdir()))
        finally:
            os.seteuid(0)
            writer.close()


async def test_drop_sets_a_bad_position_aside_and_counts_types_that_there_are_not(
    rig: DropRig, publish: Recorder
) -> None:
    source = rig.source()
    rows: list[Any] = [{"callsign": f"A{number}", "latitude": 51.0, "longitude": 0.0} for number in range(300)]
    rows[299] = {"callsign": "BAD1", "latitude": ""}
    lines = [
        {"type": "flight.positions", "data": {"count": 300, "positions": rows}},
        {"type": "tmi.foo", "data": {}},
        {"type": "ctp_slot_missed", "callsign": "BAW1"},
    ]
    rig.drop("a.jsonl", "\n".join(json.dumps(line) for line in lines))
    async with Running(source, publish):
        await eventually(lambda: source.status.details["files"])
    batch, slot = publish.events
    assert len(batch.data["positions"]) == 299
    assert (slot.type, slot.data) == ("ctp_slot_missed", {"callsign": "BAW1"})
    assert source.status.unknown_types == {"tmi.foo": 1}
    (aside,) = [path for path in rig.folder.iterdir() if path.name.endswith(".rejected")]
    assert '"BAD1' in aside.read_text().replace("\\", "")
