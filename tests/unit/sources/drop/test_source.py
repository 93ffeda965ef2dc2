"""The drop folder: which files are taken in which order, and what becomes of bad lines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.source_rigs import DropRig
from support.sources import Recorder, Running, eventually
from swim_server.sources.drop.folder import natural


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


def test_the_natural_order_compares_numbers_as_numbers() -> None:
    assert sorted(["b10", "b9", "a", "b", "10", "9"], key=natural) == ["9", "10", "a", "b", "b9", "b10"]


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
