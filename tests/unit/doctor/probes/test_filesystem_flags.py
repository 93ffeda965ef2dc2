"""Files that nobody may change are known without being opened."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.doctor_faults_service import immutable
from support.fake_context import FakeContext, FakeMachine

from swimctl.doctor.checks.host import ownership
from swimctl.doctor.probes.filesystem import FileSystem


def test_immutable_file_is_known(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    path.touch()
    assert not FileSystem().is_immutable(path)
    assert not FileSystem().is_immutable(tmp_path / "none")
    with immutable(path):
        assert FileSystem().is_immutable(path)
    assert not FileSystem().is_immutable(path)


async def test_immutable_file_of_the_home_is_told_with_what_undoes_it(context: FakeContext) -> None:
    history = context.home.history
    history.touch()
    with immutable(history):
        answer = await ownership.belongs_to_the_daemon(context)
    assert (answer.status, answer.fix) == ("fail", None)
    assert f"{history} is immutable" in answer.observed
    assert (answer.advice[0].kind, answer.advice[0].command) == ("decide", f"chattr -i -a {history}")
    assert (await ownership.belongs_to_the_daemon(context)).status == "ok"


async def test_home_that_was_renamed_under_its_process_is_to_be_named_as_it_was(
    context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = context.home.path
    now = home.with_name("home.old")
    home.rename(now)
    answer = await ownership.belongs_to_the_daemon(context)
    assert answer.status == "skip"
    context.forget("kernel.", "files.")
    monkeypatch.setattr(FakeMachine, "daemons_started_in", lambda machine, path: [(42, now)], raising=False)
    answer = await ownership.belongs_to_the_daemon(context)
    assert (answer.status, answer.observed) == (
        "fail",
        f"{home} was renamed to {now} under pid 42, which serves from it",
    )
    assert answer.advice[0].command == f"mv -T {now} {home}"
