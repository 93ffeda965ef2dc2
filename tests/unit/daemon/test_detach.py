"""What a background process reports to the one that started it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from swim_server.daemon.detach import LOG_LINES, READY_VARIABLE, StartFailed, program, ready_callback, tail
from swim_server.daemon.lockfile import LockInfo

INFO = LockInfo(pid=1, process_started=2.0, host="h", started_at="t", version="v", fingerprint="f", url="ws://x")


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    reading, writing = os.pipe()
    monkeypatch.setenv(READY_VARIABLE, str(writing))
    return reading, writing


def test_nobody_is_told_when_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(READY_VARIABLE, raising=False)
    assert ready_callback() is None


def test_parent_is_told_everything_in_one_line(pipe: tuple[int, int]) -> None:
    tell = ready_callback()
    assert tell is not None
    tell(INFO)
    said = os.read(pipe[0], 10_000)
    os.close(pipe[0])
    assert said.endswith(b"\n")
    assert msgspec.json.decode(said, type=LockInfo) == INFO
    with pytest.raises(OSError):
        os.fstat(pipe[1])


def test_children_of_the_daemon_do_not_believe_that_somebody_waits_for_them(pipe: tuple[int, int]) -> None:
    assert ready_callback() is not None
    assert READY_VARIABLE not in os.environ
    assert not os.get_inheritable(pipe[1])
    os.close(pipe[0])
    os.close(pipe[1])


def test_parent_that_has_gone_is_no_reason_to_end(pipe: tuple[int, int]) -> None:
    tell = ready_callback()
    assert tell is not None
    os.close(pipe[0])
    tell(INFO)


def test_tail_is_the_last_lines_behind_a_position(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"old\n" + b"".join(b"line %d\n" % number for number in range(100)) + b"\xff last")
    assert tail(log, 4)[-1] == "\ufffd last"
    assert len(tail(log, 4)) == LOG_LINES
    assert tail(log, 4, lines=1000)[0] == "line 0"
    assert tail(log, log.stat().st_size) == []


def test_tail_of_a_file_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "none") == []


def test_tail_of_a_huge_log_reads_its_end_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 1_000_000 + b"\nend\n")
    assert tail(log)[-1] == "end"


def test_failure_tells_how_and_what_was_said_last(tmp_path: Path) -> None:
    failed = StartFailed(2, ["a", "b"], tmp_path / "log")
    assert str(failed) == f"the daemon ended with exit code 2; the last lines of {tmp_path}/log:\na\nb"
    assert "is not ready after 30 s" in str(StartFailed(None, [], tmp_path))


def test_program_leaves_the_working_folder_out_unless_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert program() == [sys.executable, "-P", "-m", "swimctl"]
    import swimctl

    monkeypatch.chdir(Path(swimctl.__path__[0]).parent)
    assert program() == [sys.executable, "-m", "swimctl"]
    assert subprocess.run([*program(), "--version"], capture_output=True, check=True).stdout.startswith(b"swimctl ")
