"""Telling one process from another with its pid."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from msgspec.structs import replace
from support.gateway_rig import Log
from swim_server.daemon import process
from swim_server.daemon.lockfile import LockInfo

NO_PID = 2**22 + 1
"""More than the kernel gives out."""


@pytest.fixture
def info() -> LockInfo:
    """This very process."""
    started = process.started_at(os.getpid())
    assert started is not None
    return LockInfo(
        pid=os.getpid(),
        process_started=started,
        boot_id=process.boot_id(),
        host="h",
        started_at="",
        version="",
        fingerprint="",
    )


def test_living_process_is_alive(info: LockInfo) -> None:
    assert process.is_alive(info)
    assert process.is_alive(replace(info, boot_id=None))


def test_another_process_with_the_same_pid_is_not_it(info: LockInfo) -> None:
    assert not process.is_alive(replace(info, process_started=info.process_started - 1))


def test_process_of_another_boot_is_not_it(info: LockInfo) -> None:
    if process.boot_id() is None:
        pytest.skip("this system does not name its boots")
    assert not process.is_alive(replace(info, boot_id="another"))


def test_pid_that_is_not_there_is_not_alive(info: LockInfo) -> None:
    assert process.started_at(NO_PID) is None
    assert not process.is_alive(replace(info, pid=NO_PID))


def test_process_that_has_ended_and_not_been_waited_for_is_not_alive(info: LockInfo) -> None:
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        started = process.started_at(child.pid)
        assert started is not None
        assert not process.is_alive(replace(info, pid=child.pid, process_started=started))


def test_start_is_told_in_seconds_since_boot(info: LockInfo) -> None:
    """The wall clock, which can be set, has no part in it."""
    assert 0 < info.process_started < 100 * 365 * 86_400
    first = process.started_at(1)
    assert first is not None
    assert first <= info.process_started


def test_signal_reaches_that_process_and_no_other(info: LockInfo) -> None:
    received = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: received.append(number))
    try:
        assert process.send_signal(replace(info, process_started=info.process_started - 1), signal.SIGUSR2) is False
        assert process.send_signal(replace(info, pid=NO_PID), signal.SIGUSR2) is False
        assert received == []
        assert process.send_signal(info, signal.SIGUSR2) is True
        assert received == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_service_that_runs_as_root_says_so() -> None:
    log = Log()
    process.warn_of_root(log)
    assert [event.startswith("the service runs as root") for event, _ in log.lines] == [True] * (os.geteuid() == 0)
