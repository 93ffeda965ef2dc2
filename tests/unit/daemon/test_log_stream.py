"""The log file: rotates by size, follows a rename, and never fails its writer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.virtual_clock import VirtualClock
from swim_server.daemon.log_stream import AGAIN_SECONDS, LOOK_SECONDS, LogStream


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "swim.log"


@pytest.fixture
def stream(path: Path, clock: VirtualClock) -> Iterator[LogStream]:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    yield LogStream(descriptor, path, max_bytes=10, keep_files=2, clock=clock)
    os.close(descriptor)


def contents(path: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in sorted(path.parent.iterdir())}


def test_file_that_would_grow_too_large_is_rotated(stream: LogStream, path: Path) -> None:
    for line in ("first\n", "second\n", "third\n", "fourth\n"):
        assert stream.write(line) == len(line)
    assert contents(path) == {"swim.log": "fourth\n", "swim.log.1": "third\n", "swim.log.2": "second\n"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_line_longer_than_the_limit_is_written_whole(stream: LogStream, path: Path) -> None:
    stream.write("much longer than ten bytes\n")
    assert contents(path) == {"swim.log": "much longer than ten bytes\n"}


def test_no_limit_means_no_rotation(stream: LogStream, path: Path) -> None:
    stream.max_bytes = 0
    for _ in range(5):
        stream.write("a line\n")
    assert contents(path) == {"swim.log": "a line\n" * 5}


def test_no_files_to_keep_means_none_stay(stream: LogStream, path: Path) -> None:
    stream.keep_files = 0
    for line in ("first\n", "second\n"):
        stream.write(line)
    assert contents(path) == {"swim.log": "second\n"}


def test_rename_by_somebody_else_is_noticed(stream: LogStream, path: Path, clock: VirtualClock) -> None:
    stream.write("old\n")
    path.rename(path.with_name("swim.log-20260116"))
    clock.seconds += LOOK_SECONDS
    stream.write("new\n")
    assert contents(path) == {"swim.log": "new\n", "swim.log-20260116": "old\n"}


def test_reopen_goes_on_under_the_name(stream: LogStream, path: Path) -> None:
    stream.write("old\n")
    path.rename(path.with_name("moved"))
    stream.reopen()
    stream.write("new\n")
    assert contents(path) == {"moved": "old\n", "swim.log": "new\n"}


@pytest.mark.parametrize("how", ["moved", "removed", "replaced"])
def test_file_that_standard_error_was_redirected_to_is_opened_again_by_its_name(path: Path, how: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        stream = LogStream(descriptor)
        assert stream.can_reopen
        stream.write("old\n")
        kept = path.rename(path.with_name("moved"))
        if how != "moved":
            kept.unlink()
        if how == "replaced":
            path.touch()
        stream.write("not seen\n")
        stream.reopen()
        stream.write("new\n")
        assert path.read_text() == "new\n"
        assert [each.name for each in path.parent.iterdir() if each != path] == (["moved"] if how == "moved" else [])
    finally:
        os.close(descriptor)


def test_what_is_no_file_is_not_opened_again() -> None:
    reading, writing = os.pipe()
    try:
        stream = LogStream(writing)
        assert not stream.can_reopen
        stream.reopen()
        stream.write("a line\n")
        assert os.read(reading, 100) == b"a line\n"
        assert stream.problem is None
    finally:
        os.close(reading)
    assert stream.problem == "the program that read it has ended", "before a line is lost"
    stream.write("another\n")
    assert (stream.lost, stream.problem) == (1, "Broken pipe")
    os.close(writing)


def test_rotation_by_another_process_is_followed(stream: LogStream, path: Path, clock: VirtualClock) -> None:
    other = LogStream.open(path, max_bytes=10, keep_files=2)
    stream.write("ours 1\n")
    other.write("other 1\n")
    clock.seconds += LOOK_SECONDS
    stream.write("2\n")
    os.close(other.fileno())
    assert contents(path) == {"swim.log": "other 1\n2\n", "swim.log.1": "ours 1\n"}


def test_full_disk_is_told_when_it_is_over(clock: VirtualClock, path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    stream = LogStream(full, clock=clock)
    for _ in range(3):
        assert stream.write("lost\n") == 5
    assert stream.lost == 3
    there = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(there, full)
    stream.write("written\n")
    os.close(there)
    os.close(full)
    assert path.read_text() == "3 log lines could not be written: No space left on device\nwritten\n"
    assert stream.lost == 0


def test_rotation_that_fails_leaves_the_file_growing(stream: LogStream, path: Path, clock: VirtualClock) -> None:
    (path.parent / "swim.log.1").mkdir()
    (path.parent / "swim.log.1" / "x").touch()
    (path.parent / "swim.log.2").touch()
    stream.write("first\n")
    stream.write("second\n")
    stream.write("third\n")
    assert path.read_text() == "first\nsecond\nthird\n"
    (path.parent / "swim.log.1" / "x").unlink()
    (path.parent / "swim.log.1").rmdir()
    clock.seconds += AGAIN_SECONDS
    stream.write("fourth\n")
    assert path.read_text() == "fourth\n"


def test_descriptors_that_lead_into_the_file_move_with_it(path: Path) -> None:
    first = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    second = os.dup(first)
    stream = LogStream(first, path, max_bytes=10, redirects=[first, second])
    stream.write("old line\n")
    stream.write("new line\n")
    os.write(second, b"x\n")
    os.close(first)
    os.close(second)
    assert path.read_text() == "new line\nx\n"


def test_what_is_no_file_of_ours_is_not_rotated(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    stream = LogStream(writing, max_bytes=0)
    stream.write("line\n")
    stream.reopen()
    os.close(writing)
    assert os.read(reading, 100) == b"line\n"
    os.close(reading)
    assert not list(tmp_path.iterdir())
