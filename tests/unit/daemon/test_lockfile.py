"""The lock is the kernel's, so it is never stale; the content says who holds it."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from swim_server.daemon import lockfile as module
from swim_server.daemon.lockfile import AlreadyRunning, Lockfile, LockInfo

INFO = LockInfo(
    pid=4711,
    process_started=12.5,
    boot_id="a-boot",
    host="a host",
    started_at="2026-01-16T14:30:15.123Z",
    version="0.1.0",
    fingerprint="0123456789ab",
    url="ws://127.0.0.1:8090/api/swim/v1/ws",
    control='/home/ü "quoted"/control.sock',
)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ACQUIRE_PAUSE_SECONDS", 0)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Lockfile]:
    lockfile = Lockfile(tmp_path / "swim.lock")
    lockfile.acquire()
    yield lockfile
    lockfile.release()


def test_acquired_lock_is_held_until_it_is_released(tmp_path: Path) -> None:
    lockfile = Lockfile(tmp_path / "swim.lock")
    assert not lockfile.is_held()
    lockfile.acquire()
    assert lockfile.is_held()
    lockfile.release()
    assert not lockfile.is_held()


def test_second_acquire_names_who_holds_it(held: Lockfile) -> None:
    held.write(INFO)
    with pytest.raises(AlreadyRunning) as caught:
        Lockfile(held.path).acquire()
    assert caught.value.pid == 4711
    assert "pid 4711, ws://127.0.0.1:8090/api/swim/v1/ws" in str(caught.value)
    assert held.is_held()


def test_second_acquire_of_a_daemon_that_has_not_said_who_it_is_is_refused_too(held: Lockfile) -> None:
    with pytest.raises(AlreadyRunning) as caught:
        Lockfile(held.path).acquire()
    assert caught.value.pid is None
    assert "its pid is not known yet" in str(caught.value)


def test_content_comes_back_as_it_was_written(held: Lockfile) -> None:
    held.write(INFO)
    assert Lockfile(held.path).read() == INFO
    assert stat.S_IMODE(held.path.stat().st_mode) == 0o600


def test_shorter_content_replaces_a_longer_one_whole(held: Lockfile) -> None:
    held.write(INFO)
    shorter = LockInfo(
        pid=1, process_started=0, host="h", started_at="", version="", fingerprint="", url=None, control=None
    )
    held.write(shorter)
    assert Lockfile(held.path).read() == shorter


@pytest.mark.parametrize("content", [b"", b"pid = ", b"pid = 'x'", b"\xff\xfe", b"pid = 1\n", b"[" * 1000])
def test_content_that_cannot_be_read_is_nobodys(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "swim.lock"
    path.write_bytes(content)
    assert Lockfile(path).read() is None
    assert not Lockfile(path).is_held()


@pytest.mark.parametrize("path", ["none/swim.lock", "file/swim.lock"])
def test_lockfile_in_a_folder_that_is_none_is_nobodys(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    lockfile = Lockfile(tmp_path / path)
    assert lockfile.read() is None
    assert not lockfile.is_held()


def test_unknown_fields_of_a_newer_version_are_passed_over(tmp_path: Path, held: Lockfile) -> None:
    held.write(INFO)
    with held.path.open("a") as file:
        file.write('later = "x"\n')
    assert held.read() == INFO


def test_released_lock_leaves_an_empty_file(held: Lockfile) -> None:
    held.write(INFO)
    held.release()
    assert held.path.read_bytes() == b""
    held.release()


def test_inherited_descriptor_keeps_the_lock_when_the_first_lets_go(held: Lockfile) -> None:
    held.write(INFO)
    heir = Lockfile(held.path)
    heir.adopt(os.dup(held.fileno()))
    held.release(keep_lock=True)
    assert heir.is_held()
    assert heir.read() == INFO
    heir.release()
    assert not heir.is_held()


def test_adopted_descriptor_is_not_passed_on_by_accident(held: Lockfile) -> None:
    descriptor = os.dup(held.fileno())
    os.set_inheritable(descriptor, True)
    heir = Lockfile(held.path)
    heir.adopt(descriptor)
    assert not os.get_inheritable(descriptor)
    heir.release(keep_lock=True)


def test_acquire_outlasts_readers_that_only_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "swim.lock"
    path.touch()
    reader = os.open(path, os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    asked = []

    def pause(seconds: float) -> None:
        asked.append(seconds)
        if len(asked) == 3:
            os.close(reader)

    monkeypatch.setattr(time, "sleep", pause)
    lockfile = Lockfile(path)
    lockfile.acquire()
    assert len(asked) == 3
    lockfile.release()


def test_clear_removes_what_a_killed_daemon_left_and_nothing_else(held: Lockfile) -> None:
    held.write(INFO)
    assert Lockfile(held.path).clear() is False
    assert held.read() == INFO
    held.release(keep_lock=True)
    assert Lockfile(held.path).clear() is True
    assert held.path.read_bytes() == b""
    assert Lockfile(held.path).clear() is False
    assert Lockfile(held.path.with_name("none")).clear() is False
