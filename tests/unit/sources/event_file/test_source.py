"""What writers do to the event file, and what happens to the events in it."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.sources import EventFileRig, Recorder, Running, entry, eventually, replace
from swim_server.brokers.broker import BrokerUnavailable, InvalidEvent, Published
from swim_server.protocol.events import NewEvent


@pytest.fixture
def rig(tmp_path: Path) -> EventFileRig:
    return EventFileRig(tmp_path)


@pytest.fixture
def publish() -> Recorder:
    return Recorder()


def array(*numbers: int) -> str:
    return json.dumps([entry(number) for number in numbers])


def line(number: int) -> str:
    return json.dumps(entry(number)) + "\n"


def others(rig: EventFileRig, part: str) -> list[Path]:
    return sorted(path for path in rig.path.parent.iterdir() if part in path.name)


def rejected(rig: EventFileRig) -> list[str]:
    return [path.read_text(errors="surrogateescape") for path in others(rig, ".rejected")]


async def finished(rig: EventFileRig) -> None:
    """Wait until everything that was taken is done with."""
    await eventually(lambda: not rig.path.exists() and not others(rig, ".taken-"))


# taking and removing


async def test_a_taken_file_is_removed_once_all_of_it_is_stored(rig: EventFileRig, publish: Recorder) -> None:
    replace(rig.path, array(0, 1))
    async with Running(rig.source(), publish):
        await finished(rig)
    assert publish.numbers == [0, 1]
    assert list(rig.path.parent.iterdir()) == []


async def test_events_keep_their_own_time(rig: EventFileRig, publish: Recorder) -> None:
    replace(rig.path, json.dumps([entry(0), entry(1, _received_at="nonsense")]))
    async with Running(rig.source(), publish):
        await finished(rig)
    assert [event.timestamp_ms for event in publish.events] == [1_768_573_815_000, None]


@pytest.mark.parametrize(
    "content",
    [
        array(0) + "\n" + line(1) + line(2),
        line(0) + array(1, 2),
        array(0) + array(1, 2),
        line(0) + line(1) + line(2).rstrip(),
        "\ufeff" + array(0, 1, 2),
        array(0, 1, 2).replace(", {", ",\r\n{"),
        array(0, 1, 2).replace("]", ",]"),
    ],
)
async def test_arrays_lines_and_mixtures_are_read(rig: EventFileRig, publish: Recorder, content: str) -> None:
    replace(rig.path, content)
    async with Running(rig.source(), publish):
        await finished(rig)
    assert publish.numbers == [0, 1, 2]
    assert rejected(rig) == []


async def test_nothing_is_removed_while_it_is_not_stored(rig: EventFileRig, publish: Recorder) -> None:
    publish.is_available = False
    replace(rig.path, array(0))
    async with Running(rig.source(), publish):
        await eventually(lambda: publish.calls > 3)
        assert len(others(rig, ".taken-")) == 1
        replace(rig.path, array(1))
        await eventually(lambda: publish.calls > 6)
        assert rig.path.exists(), "nothing more is taken while what was taken can't be stored"
        publish.is_available = True
        await finished(rig)
    assert publish.numbers == [0, 1]


async def test_what_was_taken_before_a_crash_comes_first(rig: EventFileRig, publish: Recorder) -> None:
    rig.path.with_name(f"{rig.path.name}.taken-00000000000000000002-77-0").write_text(array(2))
    rig.path.with_name(f"{rig.path.name}.taken-00000000000000000001-77-9").write_text(array(0, 1))
    replace(rig.path, array(3))
    async with Running(rig.source(), publish):
        await finished(rig)
    assert publish.numbers == [0, 1, 2, 3]


async def test_a_file_of_an_event_file_with_a_longer_name_is_left_alone(rig: EventFileRig, publish: Recorder) -> None:
    other = rig.path.with_name(f"{rig.path.name}2.taken-1-1-1")
    other.write_text(array(0))
    async with Running(rig.source(), publish):
        await asyncio.sleep(0.03)
    assert other.exists()
    assert publish.events == []


async def test_an_empty_file_is_left_for_its_writer(rig: EventFileRig, publish: Recorder) -> None:
    rig.path.touch()
    async with Running(rig.source(), publish):
        await asyncio.sleep(0.03)
        assert rig.path.exists()
        rig.path.write_text(line(0))
        await finished(rig)
    assert publish.numbers == [0]


async def test_a_large_file_is_published_in_small_calls(rig: EventFileRig, publish: Recorder) -> None:
    replace(rig.path, json.dumps([entry(number, padding="x" * 300) for number in range(8000)]))
    async with Running(rig.source(), publish):
        await finished(rig)
    assert publish.numbers == list(range(8000))
    assert publish.calls >= 16


# writers that come in between


async def test_an_older_copy_brings_nothing_back(rig: EventFileRig, publish: Recorder) -> None:
    async with Running(rig.source(), publish):
        replace(rig.path, array(0, 1))
        await eventually(lambda: len(publish.events) == 2)
        replace(rig.path, array(0, 1, 2))
        await finished(rig)
        replace(rig.path, array(1, 2, 3))
        await finished(rig)
    assert publish.numbers == [0, 1, 2, 3]


async def test_equal_events_in_one_file_are_all_published(rig: EventFileRig, publish: Recorder) -> None:
    async with Running(rig.source(), publish):
        replace(rig.path, array(0, 0, 1))
        await finished(rig)
        replace(rig.path, array(0, 0, 1, 0))
        await finished(rig)
    assert publish.numbers == [0, 0, 1, 0]


async def test_a_line_appended_to_the_taken_file_is_published(rig: EventFileRig, publish: Recorder) -> None:
    replace(rig.path, array(0))
    with rig.path.open("a") as appender:
        async with Running(rig.source(), publish):
            await eventually(lambda: len(publish.events) == 1)
            appender.write(line(1))
            appender.flush()
            await eventually(lambda: len(publish.events) == 2)
            await asyncio.sleep(0.1)
            assert len(others(rig, ".taken-")) == 1, "kept as long as somebody may write to it"
            appender.write(line(2))
            appender.close()
            await finished(rig)
    assert publish.numbers == [0, 1, 2]
    assert rejected(rig) == []


async def test_a_file_taken_half_written_is_read_to_its_end_when_it_is_whole(
    rig: EventFileRig, publish: Recorder
) -> None:
    content = array(0, 1, 2)
    with rig.path.open("w") as writer:
        writer.write(content[:100])
        writer.flush()
        async with Running(rig.source(), publish):
            await eventually(lambda: len(publish.events) == 1)
            writer.write(content[100:150])
            writer.flush()
            await asyncio.sleep(0.1)
            writer.write(content[150:])
            writer.close()
            await finished(rig)
    assert publish.numbers == [0, 1, 2]
    assert rejected(rig) == []


async def test_a_file_rewritten_in_place_after_it_was_taken_is_read_anew(rig: EventFileRig, publish: Recorder) -> None:
    replace(rig.path, array(0))
    with rig.path.open("r+") as writer:
        async with Running(rig.source(), publish):
            await eventually(lambda: len(publish.events) == 1)
            writer.truncate(0)
            writer.write(array(0, 1))
            writer.close()
            await finished(rig)
    assert publish.numbers == [0, 1]


async def test_a_file_left_half_written_gives_its_events_at_once_and_its_tail_after_the_grace(
    rig: EventFileRig, publish: Recorder
) -> None:
    content = array(0, 1)[:-20]
    rig.path.write_text(content)
    async with Running(rig.source(grace_seconds=0.05), publish):
        await eventually(lambda: publish.numbers == [0])
        assert rejected(rig) == []
        await finished(rig)
    assert rejected(rig) == [content[content.rindex('{"type"') :] + "\n"]


# what can't be read


async def test_what_can_not_be_read_is_set_aside_and_told(rig: EventFileRig, publish: Recorder) -> None:
    source = rig.source()
    unknown = json.dumps({"type": "flight.departd", "data": {}})
    with capture_logs() as logs:
        replace(rig.path, f"{line(0)}nonsense\n{line(1)}{unknown}\n[{line(2)}")
        async with Running(source, publish):
            await eventually(lambda: source.status.errors)
    assert publish.numbers == [0, 1, 2]
    assert rejected(rig) == [f"nonsense\n{unknown}\n"]
    reasons = [log["reason"] for log in logs if log["log_level"] == "warning"]
    assert sorted(reasons) == ["it is no JSON object", 'unknown event type "flight.departd"']
    assert source.status.errors == 2
    assert source.status.details["rejected"] == 2
    assert source.status.state == "running"


async def test_unknown_types_are_counted_by_type_and_each_is_warned_about_once(
    rig: EventFileRig, publish: Recorder
) -> None:
    source = rig.source()
    with capture_logs() as logs:
        async with Running(source, publish):
            for _ in range(2):
                replace(rig.path, '{"type": "tmi.foo", "data": {}}\n{"type": "tmi.foo", "data": {}}\n{"type": "bar"}')
                await finished(rig)
            await eventually(lambda: sum(source.status.unknown_types.values()) == 6)
    assert source.status.unknown_types == {"tmi.foo": 4, "bar": 2}
    assert sorted(log["type"] for log in logs if "type" in log) == ["bar", "tmi.foo"]
    assert source.status.details["rejected"] == 6


async def test_one_bad_position_costs_only_itself(rig: EventFileRig, publish: Recorder) -> None:
    source = rig.source()
    rows = [{"callsign": f"A{number}", "latitude": 51.0, "longitude": 0.0} for number in range(300)]
    rows[5]["latitude"] = ""
    replace(rig.path, json.dumps([{"type": "flight.positions", "data": {"count": 300, "positions": rows}}]))
    async with Running(source, publish):
        await eventually(lambda: source.status.errors)
    assert [len(event.data["positions"]) for event in publish.events] == [299]
    assert source.status.details["rejected"] == 1
    assert "data.positions[5].latitude" in str(source.status.details["last_rejected"])


async def test_earlier_rejected_files_are_kept(rig: EventFileRig, publish: Recorder) -> None:
    async with Running(rig.source(), publish):
        for number in range(3):
            replace(rig.path, f"nonsense {number}")
            await finished(rig)
    assert rejected(rig) == [f"nonsense {number}\n" for number in range(3)]


async def test_rejected_files_do_not_pile_up_for_ever(rig: EventFileRig, publish: Recorder) -> None:
    async with Running(rig.source(grace_seconds=0), publish):
        for number in range(55):
            replace(rig.path, f"nonsense {number}")
            await finished(rig)
    assert rejected(rig) == [f"nonsense {number}\n" for number in range(5, 55)]


async def test_bytes_that_are_no_utf8_are_set_aside_as_they_were(rig: EventFileRig, publish: Recorder) -> None:
    replace(rig.path, line(0).encode() + b"\xff\xfe\x00binary\n" + line(1).encode())
    async with Running(rig.source(), publish):
        await finished(rig)
    assert publish.numbers == [0, 1]
    assert others(rig, ".rejected")[0].read_bytes() == b"\xff\xfe\x00binary\n"


async def test_an_event_that_the_broker_can_not_store_is_set_aside(rig: EventFileRig, publish: Recorder) -> None:
    async def refuse_one(events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        for index, event in enumerate(events):
            if event.data["number"] == 1:
                raise InvalidEvent(index, "too large")
        return await publish(events, durable=durable)

    replace(rig.path, array(0, 1, 2))
    async with Running(rig.source(), refuse_one):
        await eventually(lambda: rejected(rig))
    assert publish.numbers == [0, 2]


# a path that is no file


async def broken(rig: EventFileRig, publish: Recorder, text: str) -> None:
    """The source tells ``text`` and goes on."""
    source = rig.source()
    async with Running(source, publish) as running:
        await eventually(lambda: source.status.last_error is not None)
        assert text in str(source.status.last_error)
        assert source.status.state == "degraded"
        await asyncio.sleep(0.02)
        assert not running.task.done()


def make_link(path: Path) -> None:
    target = path.with_name("a file that only the service may read")
    target.write_text(array(7))
    path.symlink_to(target)


def make_second_name(path: Path) -> None:
    target = path.with_name("a file that only the service may read")
    target.write_text(array(7))
    path.hardlink_to(target)


PLANTED: dict[str, Callable[[Path], None]] = {
    "a folder": Path.mkdir,
    "a FIFO": lambda path: os.mkfifo(path),
    "a symbolic link": make_link,
    "a file with a hard link": make_second_name,
}


@pytest.mark.parametrize("kind", PLANTED)
async def test_what_is_no_file_of_its_own_is_moved_aside_and_the_next_one_read(
    rig: EventFileRig, publish: Recorder, kind: str
) -> None:
    PLANTED[kind](rig.path)
    source = rig.source()
    with capture_logs() as logs:
        async with Running(source, publish):
            await eventually(lambda: others(rig, ".refused"))
            replace(rig.path, array(0))
            await finished(rig)
    assert publish.numbers == [0]
    assert source.status.errors == 1
    assert any(f"was {kind}" in str(line.get("reason")) for line in logs)


async def test_a_link_under_the_name_of_our_rejected_file_is_not_followed(rig: EventFileRig, publish: Recorder) -> None:
    secret = rig.path.with_name("secret")
    secret.write_text("the service's own")
    planted = rig.path.with_name(f"{rig.path.name}.00000000000000000005-9-0.rejected")
    planted.symlink_to(secret)
    rig.path.with_name(f"{rig.path.name}.taken-00000000000000000005-9-0").write_text("no JSON at all {{{")
    async with Running(rig.source(), publish):
        await finished(rig)
    assert secret.read_text() == "the service's own"
    assert not planted.is_symlink()
    assert "no JSON" in planted.read_text()


async def test_a_file_for_a_folder_is_told(rig: EventFileRig, publish: Recorder) -> None:
    rig.path.write_text("x")
    rig.path = rig.path / "events.json"
    await broken(rig, publish, "is not a folder")


async def test_a_folder_that_is_missing_is_told_and_waited_for(rig: EventFileRig, publish: Recorder) -> None:
    rig.path = rig.path.parent / "later" / "events.json"
    source = rig.source()
    async with Running(source, publish):
        await eventually(lambda: source.status.last_error is not None)
        assert "create it" in str(source.status.last_error)
        rig.path.parent.mkdir()
        replace(rig.path, array(0))
        await finished(rig)
    assert publish.numbers == [0]


@pytest.fixture
def unprivileged(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.touch(mode=0)
    is_open = os.access(closed, os.R_OK)
    closed.unlink()
    if is_open:
        pytest.skip("this user may read and write everything")


@pytest.mark.usefixtures("unprivileged")
async def test_a_file_that_may_not_be_read_is_told_and_waited_for(rig: EventFileRig, publish: Recorder) -> None:
    rig.path.write_text(array(0))
    rig.path.chmod(0)
    await broken(rig, publish, "can't be read")
    rig.path.chmod(0o600)
    async with Running(rig.source(), publish):
        await finished(rig)
    assert publish.numbers == [0]


@pytest.mark.usefixtures("unprivileged")
async def test_a_folder_that_may_not_be_written_is_told(rig: EventFileRig, publish: Recorder) -> None:
    rig.path.write_text(array(0))
    rig.path.parent.chmod(0o500)
    try:
        await broken(rig, publish, "can't be taken")
    finally:
        rig.path.parent.chmod(0o700)


async def test_a_taken_file_that_can_not_be_read_stops_no_other(rig: EventFileRig, publish: Recorder) -> None:
    rig.path.with_name(f"{rig.path.name}.taken-0-0-0").mkdir()
    source = rig.source()
    async with Running(source, publish):
        replace(rig.path, array(0))
        await eventually(lambda: publish.numbers == [0])
        await eventually(lambda: source.status.state == "degraded")


# a writer that has the file open


async def test_a_growing_file_is_read_on_from_where_it_stood(rig: EventFileRig, publish: Recorder) -> None:
    rig.path.write_text(line(0))
    offered = 0

    async def counting(events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        nonlocal offered
        offered += len(events)
        return await publish(events, durable=durable)

    with rig.path.open("a") as writer:
        async with Running(rig.source(), counting):
            for number in range(1, 400):
                writer.write(line(number))
                writer.flush()
                await asyncio.sleep(0.001)
            await eventually(lambda: len(publish.events) == 400)
            writer.close()
            await finished(rig)
    assert publish.numbers == list(range(400))
    assert offered == 400, "each was read once"


async def test_a_file_goes_only_when_its_events_are_on_the_disk(rig: EventFileRig, publish: Recorder) -> None:
    replace(rig.path, array(0, 1))
    is_failing = True

    async def failing(events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        if durable and is_failing:
            raise BrokerUnavailable("the disk can't be synced")
        return await publish(events, durable=durable)

    source = rig.source()
    async with Running(source, failing):
        await eventually(lambda: len(publish.events) == 2 and source.status.errors)
        await asyncio.sleep(0.1)
        assert others(rig, ".taken-")
        is_failing = False
        await finished(rig)
    assert publish.numbers == [0, 1]
    assert publish.synced == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
async def test_a_file_that_another_user_has_open_is_read_to_its_end(publish: Recorder) -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        rig = EventFileRig(Path(name))
        rig.path.write_text("")
        writer = rig.path.open("a")
        os.chown(rig.path, 1234, 1234)
        rig.path.chmod(0o644)
        os.seteuid(65534)
        try:
            source = rig.source(unknown_seconds=0.5)
            async with Running(source, publish):
                for number in range(15):
                    writer.write(line(number))
                    writer.flush()
                    await asyncio.sleep(0.06)  # longer than the grace: nobody can know that more comes
                await eventually(lambda: len(publish.events) == 15)
                assert others(rig, ".taken-"), "kept until it has not grown for long"
                assert "not known" in str(source.status.details["writers"])
                await finished(rig)
        finally:
            os.seteuid(0)
            writer.close()
    assert publish.numbers == list(range(15))
