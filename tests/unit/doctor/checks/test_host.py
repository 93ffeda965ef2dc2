"""What doctor concludes about disk, folders, log and the installation."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from support.doctor_faults import installed_copy
from support.fake_context import FakeContext, status_document
from swim_server.config import Config, FileSourceConfig, LoggingConfig
from swim_server.daemon import requirements as module

from swimctl.doctor.checks import install
from swimctl.doctor.checks.host import machine
from swimctl.doctor.probes.filesystem import FileSystem
from swimctl.doctor.probes.installation import look_at_files, look_at_requirements
from swimctl.doctor.probes.kernel_clock import ask_kernel


def disk(free: int, *, inodes: int = 10_000, flags: int = 0) -> Any:
    """What ``statvfs`` answers, in blocks of a byte."""
    return os.statvfs_result((1, 1, 2**40, free, free, 2**20, inodes, inodes, flags, 255))


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (disk(2**40), "ok"),
        (disk(2**27), "warn"),
        (disk(2**20), "fail"),
        (disk(2**40, inodes=3), "fail"),
        (disk(2**40, flags=os.ST_RDONLY), "fail"),
    ],
    ids=["room", "little", "full", "no-inodes", "read-only"],
)
def test_disk_is_judged_by_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, status: str
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: answer)
    assert machine.judge_disk(tmp_path, FileSystem().room(tmp_path / "not" / "there yet")).status == status


async def test_missing_folders_are_named_and_made(context: FakeContext, tmp_path: Path) -> None:
    file = FileSourceConfig(path=str(tmp_path / "spool" / "events.json"))
    context.config = Config(logging=LoggingConfig(file=str(tmp_path / "logs" / "swim.log")), sources=[file])
    answer = await machine.folders_are_there(context)
    assert answer.status == "fail"
    assert answer.evidence == (str(tmp_path / "sources"), str(tmp_path / "logs"), str(tmp_path / "spool"))
    assert len(await machine.make_folders(context)) == 3
    assert (await machine.folders_are_there(context)).status == "ok"


async def test_home_that_was_never_used_is_not_missed(context: FakeContext) -> None:
    context.held = False
    assert (await machine.folders_are_there(context)).status == "ok"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (None, "skip"),
        ("/dev/null", "ok"),
        ("pipe:[123]", "ok"),
        ("socket:[123]", "ok"),
        ("/dev/pts/3", "ok"),
        ("/x/swim.log (deleted)", "fail"),
    ],
)
async def test_log_that_is_no_file_is_somebody_elses(context: FakeContext, target: str | None, status: str) -> None:
    context.fakes.target = target
    assert (await machine.log_is_written(context)).status == status


@pytest.mark.parametrize(
    ("can_reopen", "is_caught", "is_ours"),
    [(True, True, True), (False, True, True), (True, False, True), (True, True, False)],
)
async def test_signal_that_opens_the_log_again_is_offered_to_a_process_of_ours_that_catches_it(
    context: FakeContext, can_reopen: bool, is_caught: bool, is_ours: bool
) -> None:
    context.fakes.target = "/x/swim.log (deleted)"
    context.fakes.caught = {42: {signal.SIGUSR2}} if is_caught else {}
    context.fakes.open_by = {42: is_ours}
    context.answers["status"] = log_document(None, opened_as="/x/swim.log", can_reopen=can_reopen)
    answer = await machine.log_is_written(context)
    assert answer.status == "fail"
    assert answer.fix == ("kill -USR2 42" if can_reopen and is_caught and is_ours else None)
    assert [each.kind for each in answer.advice] == ["inspect", "decide"]


def log_document(path: Path | None, **more: Any) -> dict[str, Any]:
    """What the process tells of its log."""
    log = {"path": str(path) if path is not None else None, "lost_lines": 0, "problem": None, "max_bytes": 0, **more}
    return status_document(log=log)


async def test_log_that_grows_for_ever_warns(
    context: FakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "my swim.log"
    log.write_text("a line\n", "utf-8")
    context.answers["status"] = log_document(log)
    assert (await machine.log_is_written(context)).status == "ok"
    os.truncate(log, 2**20)
    context.answers["status"] = log_document(log, max_bytes=1000)
    answer = await machine.log_is_written(context)
    assert answer.status == "warn"
    assert answer.fix is None
    assert [each.kind for each in answer.advice if each.command == f"truncate -s 0 '{log}'"] == ["decide"]
    monkeypatch.setattr(os, "statvfs", lambda path: disk(1000))
    assert (await machine.log_is_written(context)).status == "fail"


async def test_log_that_was_taken_away_is_made_anew_with_the_next_line(context: FakeContext, tmp_path: Path) -> None:
    context.answers["status"] = log_document(tmp_path / "swim.log")
    assert (await machine.log_is_written(context)).status == "ok"


@pytest.mark.parametrize("has_path", [True, False])
async def test_lost_lines_are_told_with_their_reason(context: FakeContext, tmp_path: Path, has_path: bool) -> None:
    path = tmp_path / "swim.log" if has_path else None
    context.answers["status"] = log_document(path, lost_lines=3, problem="No space left on device")
    answer = await machine.log_is_written(context)
    assert answer.status == "fail"
    assert "No space left on device" in answer.observed


async def test_clock_is_asked_of_the_kernel(context: FakeContext) -> None:
    state = ask_kernel()
    assert state is None or state.max_error_ms >= 0
    assert (await machine.clock_is_right(context)).status in ("ok", "warn", "skip")


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        (("msgspec>=0.1", "rich"), "ok"),
        (("msgspec>=999",), "warn"),
        (("a-package-that-nobody-has>=1",), "fail"),
        (("a-package-that-nobody-has>=1; python_version < '3'",), "skip"),
        ((), "skip"),
    ],
)
def test_packages_are_held_against_their_bounds(
    monkeypatch: pytest.MonkeyPatch, wanted: tuple[str, ...], status: str
) -> None:
    monkeypatch.setattr(module, "requirements", lambda: wanted)
    answer = install.judge_dependencies(look_at_requirements(), "python -m pip install")
    assert answer.status == status
    if status == "warn":
        assert answer.command == "python -m pip install 'msgspec>=999'"


def test_checkout_has_no_record() -> None:
    assert install.judge_files(look_at_files({"swimctl": "/somewhere/else"}), "pip").status == "skip"


def test_package_that_is_missing_as_a_whole_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another distribution may have owned its files, and taken them along when it was uninstalled."""
    site = installed_copy(tmp_path / "site")
    monkeypatch.syspath_prepend(site)
    shutil.rmtree(site / "swim_server")
    answer = install.judge_files(look_at_files({"swimctl": str(site / "swimctl")}), "pip")
    assert answer.status == "fail"
    assert "swim_server/__init__.py: missing" in answer.evidence


def test_files_are_held_against_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = installed_copy(tmp_path / "site")
    roots = {name: str(site / name) for name in ("swimctl", "swim_server")}
    monkeypatch.syspath_prepend(site)
    assert install.judge_files(look_at_files(roots), "pip").status == "ok"
    (site / "swimctl" / "app.py").write_text("# nothing\n", "utf-8")
    (site / "swim_server" / "logs.py").unlink()
    (site / "swimctl" / "backdoor.py").touch()
    answer = install.judge_files(look_at_files(roots), "pip")
    assert answer.status == "fail"
    assert set(answer.evidence) == {
        "swimctl/app.py: changed",
        "swim_server/logs.py: missing",
        "swimctl/backdoor.py: not in RECORD",
    }
