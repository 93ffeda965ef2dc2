"""Files removed under a running daemon are recreated, and no second daemon starts meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.daemon import NotAnswering
from support.live_daemon import LiveDaemon, await_true
from swim_server.daemon.lockfile import Lockfile


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[LiveDaemon]:
    daemon = LiveDaemon(tmp_path / "home")
    yield daemon
    daemon.finish()


def answering(daemon: LiveDaemon) -> int | None:
    try:
        return int(daemon.status()["pid"])
    except NotAnswering:
        return None


def test_control_socket_whose_name_is_removed_is_made_again(daemon: LiveDaemon) -> None:
    daemon.start()
    pid = daemon.info.pid
    (daemon.home / "control.sock").unlink()
    await_true(lambda: answering(daemon) == pid, what="the control socket")
    assert "the control socket had been removed" in daemon.log
    assert daemon.swimctl("reload").returncode == 0


@pytest.mark.parametrize("how", ["removed", "replaced", "emptied"])
def test_lockfile_is_made_again_by_its_holder(daemon: LiveDaemon, how: str) -> None:
    daemon.start()
    path, pid = daemon.home / "swim.lock", daemon.info.pid
    if how == "emptied":
        os.truncate(path, 0)
    else:
        path.unlink()
    if how == "replaced":
        path.touch(0o600)
    lock = Lockfile(path)
    await_true(lambda: lock.is_held() and (info := lock.read()) is not None and info.pid == pid, what="the lock")
    assert answering(daemon) == pid
    assert daemon.swimctl("restart").returncode == 0, daemon.log
    assert lock.is_held()


def test_second_daemon_does_not_start_where_the_lockfile_was_removed(daemon: LiveDaemon) -> None:
    """At the very moment, before the holder has seen it: the holder is stopped meanwhile."""
    daemon.start()
    pid = daemon.info.pid
    assert daemon.process is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        (daemon.home / "swim.lock").unlink()
        (daemon.home / "control.sock").unlink()
        done = daemon.swimctl("serve", "--port", "0")
        assert done.returncode == 4, done.stderr
    finally:
        os.kill(pid, signal.SIGCONT)
    await_true(lambda: answering(daemon) == pid, what="the first daemon")


def test_lock_that_another_process_has_taken_meanwhile_is_told_once(daemon: LiveDaemon) -> None:
    daemon.start()
    path = daemon.home / "swim.lock"
    path.unlink()
    taken = Lockfile(path)
    taken.acquire()
    await_true(lambda: "another process holds the lock" in daemon.log, what="the log")
    time.sleep(2.2)
    assert daemon.log.count("another process holds the lock") == 1
    taken.release()
    await_true(lambda: Lockfile(path).is_held(), what="the lock")


@pytest.mark.parametrize("how", ["moved", "replaced"])
def test_log_of_a_quiet_daemon_is_opened_again(tmp_path: Path, how: str) -> None:
    home = tmp_path / "home"
    daemon = LiveDaemon(home, config=f'[server]\nport = 0\n[logging]\nfile = "{tmp_path}/swim.log"\n')
    log = tmp_path / "swim.log"
    try:
        daemon.start()
        log.rename(tmp_path / "old.log")
        if how == "replaced":
            log.touch(0o600)
        pid = daemon.status()["pid"]

        def is_open() -> bool:
            return any(link == str(log) for link in links(pid))

        await_true(is_open, what="the log")
        assert "old.log" not in " ".join(links(pid))
    finally:
        daemon.finish()


def links(pid: int) -> list[str]:
    """Where its descriptors lead."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except OSError:
            continue
    return found
