"""Recording and replaying from the command line, against real daemons: byte for byte, across kills and restarts."""

from __future__ import annotations

import gzip
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from support.daemon import Daemon, running_daemon
from support.mounts import NoMount, mounted, tmpfs
from support.packages import missing

SWIMCTL = f"{sys.executable} -m swimctl"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One for the tests that don't hurt it, with thirty events in its history."""
    with running_daemon(tmp_path_factory.mktemp("record") / "home") as daemon:
        daemon.publish_many([departure(number) for number in range(30)])
        yield daemon


def departure(number: int) -> dict[str, Any]:
    data = {"callsign": f"R{number}", "dep": "KJFK" if number % 2 else "EDDF", "arr": "EGLL", "number": number}
    return {"type": "flight.departed", "data": data, "timestamp": "2026-01-16T14:30:15.123Z"}


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def numbers_of(path: Path) -> list[int]:
    return [line["data"]["number"] for line in lines_of(path) if "type" in line]


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.02)


def wait_until_recording(daemon: Daemon) -> None:
    wait_until(lambda: any(one["channels"] and not one["catching_up"] for one in daemon.connections))


def end(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    return process.returncode, error


def test_history_is_recorded_and_replayed_byte_for_byte(daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "a.swim"
    told = daemon.swimctl("record", str(path), "--no-follow", "--json", check=True)
    lines = lines_of(path)
    end_mark = json.loads(told.stdout)
    assert {name: end_mark[name] for name in lines[-1]["end"]} == lines[-1]["end"]
    assert (end_mark["events"], end_mark["reason"], end_mark["file"]) == (30, "the end of history", str(path))
    tailed = daemon.swimctl("tail", "--after", "0-0", "--no-follow", "--json", check=True).stdout
    replayed = daemon.swimctl("replay", str(path), "--speed", "0", check=True)
    assert replayed.stdout == tailed
    assert replayed.stderr == ""


def test_filters_channels_and_count_are_those_of_tail(daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "a.swim"
    daemon.swimctl(
        "record", str(path), "--channel", "flight.*", "--airport", "kjfk", "--last", "10", "--count", "3", check=True
    )
    assert numbers_of(path) == [11, 13, 15]
    header = lines_of(path)[0]["swim_recording"]
    assert (header["channels"], header["filters"], header["start"]) == (
        ["flight.*"],
        {"airports": ["kjfk"]},
        {"last": 10},
    )


def test_a_file_that_exists_is_replaced_only_when_that_is_wanted(daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "a.swim"
    path.write_text("precious")
    refused = daemon.swimctl("record", str(path), "--no-follow")
    assert (refused.returncode, path.read_text()) == (2, "precious")
    assert "add --yes to go ahead" in refused.stderr
    assert daemon.swimctl("record", str(path), "--no-follow", "--channel", "nonsense", "--yes").returncode == 2
    assert path.read_text() == "precious"
    daemon.swimctl("record", str(path), "--no-follow", "--yes", check=True)
    assert len(numbers_of(path)) == 30


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["/nonexistent/a.swim"], 1, "there is no folder /nonexistent"),
        (["/"], 1, "is a folder"),
        (["-", "--json"], 2, "--json and - can't be combined"),
        (["a.swim", "--for", "soon"], 2, "--for: must be a duration"),
        (["a.swim", "--since", "1h", "--last", "3"], 2, "only one of"),
    ],
    ids=["no-folder", "folder", "json", "for", "two-starts"],
)
def test_recording_that_can_not_be_is_told(daemon: Daemon, words: list[str], code: int, told: str) -> None:
    done = daemon.swimctl("record", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_recording_without_a_daemon_leaves_no_file(daemon: Daemon, tmp_path: Path) -> None:
    done = daemon.swimctl("record", str(tmp_path / "a.swim"), SWIM_HOME=str(tmp_path / "none"))
    assert done.returncode == 3
    assert not (tmp_path / "a.swim").exists()


def test_standard_output_takes_a_recording_and_standard_input_gives_it_back(daemon: Daemon, tmp_path: Path) -> None:
    words = f"record - --no-follow | {SWIMCTL} replay - --speed 0 --from 0 --channel 'flight.*'"
    done = subprocess.run(
        f"{SWIMCTL} {words}", shell=True, env=daemon.environ, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 30), done.stderr


def test_a_damaged_recording_is_replayed_up_to_the_damage_which_is_told(daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "a.swim"
    daemon.swimctl("record", str(path), "--no-follow", check=True)
    whole = daemon.swimctl("replay", str(path), "--speed", "0", check=True).stdout
    path.write_bytes(path.read_bytes()[:-300])
    cut = daemon.swimctl("replay", str(path), "--speed", "0")
    assert cut.returncode == 1
    assert whole.startswith(cut.stdout)
    assert "is damaged at byte" in cut.stderr
    assert cut.stdout


def test_a_live_recording_survives_kills_and_restarts_of_the_daemon(tmp_path: Path) -> None:
    path = tmp_path / "a.swim"
    with running_daemon(tmp_path / "home") as daemon:
        recorder = daemon.spawn("record", str(path))
        wait_until_recording(daemon)
        for start, end_it in ((0, daemon.kill), (10, daemon.stop), (20, None)):
            daemon.publish_many([departure(number) for number in range(start, start + 10)])
            if end_it is not None:
                end_it()
                daemon.start()
        wait_until_recording(daemon)
        daemon.publish_many([departure(30)])
        wait_until(lambda: readable_numbers(path)[-1:] == [30])
        code, told = end(recorder, signal.SIGINT)
        assert code == 130, told
        assert numbers_of(path) == list(range(31))
        assert lines_of(path)[-1]["end"]["reason"] == "interrupted"


def readable_numbers(path: Path) -> list[int]:
    """What can be played of a file that is being written."""
    from swim_server.sources.recording.recorded_events import RecordedEvents

    if not path.exists():
        return []
    with path.open("rb") as stream:
        return [event.data["number"] for event in RecordedEvents(stream).take(1000)]


def test_a_killed_recorder_leaves_a_recording_that_can_be_played(daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "a.swim"
    recorder = daemon.spawn("record", str(path), "--last", "7")
    wait_until(lambda: len(readable_numbers(path)) == 7)
    recorder.kill()
    recorder.wait()
    done = daemon.swimctl("replay", str(path), "--speed", "0")
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 7)
    assert "without its end mark" in done.stderr


def test_played_into_a_daemon_and_as_its_source_events_are_the_same(daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "a.swim"
    daemon.swimctl("record", str(path), "--no-follow", check=True)
    source = f"recording:{path}?speed=1000&loop=false"
    with running_daemon(tmp_path / "home", sources=[source]) as other:
        wait_until(lambda: other.status()["sources"][0]["state"] == "finished")
        other.kill()
        other.start()  # it remembers that all has been played
        wait_until(lambda: other.status()["sources"][0]["state"] == "finished")
        done = daemon.swimctl("replay", str(path), "--speed", "0", "--into", str(other.home), "--from", "0")
        assert done.returncode == 0, done.stderr
        tailed = other.swimctl("tail", "--after", "0-0", "--no-follow", "--json", check=True).stdout.splitlines()
    recorded = [without_id(json.dumps(line)) for line in lines_of(path) if "type" in line]
    assert [without_id(line) for line in tailed] == recorded * 2


def without_id(line: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(line)
    del event["id"]
    return event


def test_a_recording_waits_for_a_disk_that_is_full_and_lacks_nothing(daemon: Daemon, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with ExitStack() as stack:
        try:
            stack.enter_context(mounted(disk, *tmpfs("64k")))
        except NoMount as reason:
            missing(str(reason))
        path, filler = disk / "a.swim", disk / "filler"
        process = daemon.spawn("record", str(path))
        wait_until_recording(daemon)
        header_bytes = path.stat().st_size
        daemon.publish_many([departure(100)])
        wait_until(lambda: path.stat().st_size > header_bytes)
        with suppress(OSError):
            filler.write_bytes(random.Random(1).randbytes(65_536))
        before = path.stat().st_size
        text = random.Random(2).randbytes(8000).hex()
        daemon.publish_many([{**departure(number), "data": {"number": number, "text": text}} for number in (101, 102)])
        time.sleep(1.5)  # its block is due after a second
        assert path.stat().st_size == before, "nothing half written"
        assert process.poll() is None
        filler.unlink()
        wait_until(lambda: path.stat().st_size > before)
        code, error = end(process, signal.SIGINT)
        assert code == 130, error
        assert numbers_of(path) == [100, 101, 102]
