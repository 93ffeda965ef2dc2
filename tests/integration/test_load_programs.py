"""Programs of ``tests/load`` leave nothing behind, however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support.live_daemon import await_true
from support.packages import missing

CHAOS = Path(__file__).parents[1] / "load" / "chaos.py"
ITS_SOCKET = "swim-chaos-*/home/control.sock"


def mounts_below(folder: Path, pid: int | str = "self") -> list[str]:
    """What a process sees mounted there."""
    mounted = [line.split()[1] for line in Path(f"/proc/{pid}/mounts").read_text("utf-8").splitlines()]
    return [each for each in mounted if each.startswith(str(folder))]


def processes_in(folder: Path) -> list[int]:
    """Processes whose environment names the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder whose name is short: the address of a control socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="load-") as name:
        yield Path(name)


@contextmanager
def running_chaos(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run it until its daemon answers; whoever is left at the end is killed."""
    if os.geteuid() != 0:
        missing("only root mounts a small disk")
    words = [sys.executable, str(CHAOS), "--rounds", "1000", "--seed", "1", "--only", "restart"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, env=os.environ | {"TMPDIR": str(folder)}, stdout=log, stderr=log)
    try:
        await_true(lambda: list(Path(f"/proc/{process.pid}/root", str(folder)[1:]).glob(ITS_SOCKET)), seconds=60,
                   what="its daemon")  # fmt: skip
        assert mounts_below(folder, process.pid)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=str)
def test_chaos_that_is_ended_by_a_signal_leaves_no_mount_and_no_process(folder: Path, how: signal.Signals) -> None:
    with running_chaos(folder) as process:
        process.send_signal(how)
        assert process.wait(60) != 0
    assert mounts_below(folder) == []
    assert list(folder.glob("swim-chaos-*")) == []
    await_true(lambda: not processes_in(folder), seconds=30, what="the end of its daemon")


def test_chaos_that_is_killed_leaves_no_mount(folder: Path) -> None:
    """Nobody but its own processes sees what it mounts: with the last of them it is gone."""
    with running_chaos(folder) as process:
        assert mounts_below(folder) == []
        process.kill()
    while left := processes_in(folder):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await_true(lambda: not set(left) & set(processes_in(folder)), seconds=30, what="their end")
    assert mounts_below(folder) == []
