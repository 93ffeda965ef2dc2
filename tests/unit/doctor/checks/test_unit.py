"""What doctor concludes about the systemd unit, with a systemctl that says what the test wants."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.fake_context import FakeContext

from swimctl.doctor.checks.host import ownership, unit
from swimctl.invocation import Invocation
from swimctl.systemd.installation import unit_of


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeContext:
    """A home with a user's unit, as this version installs it."""
    found = FakeContext(tmp_path / "home")
    (tmp_path / "home").mkdir()
    environ = {
        "SWIM_HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "PATH": f"{tmp_path}:/usr/bin:/bin",
    }  # fmt: skip
    found.invocation = Invocation(environ=environ)
    monkeypatch.setattr(unit, "SYSTEMD", tmp_path)
    monkeypatch.setattr("swimctl.systemd.manager.SYSTEM_UNITS", tmp_path / "nothing")
    path = unit_path(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(unit_of(found.invocation, "user", None, is_draft=True).text(), "utf-8")
    say(tmp_path, "NeedDaemonReload=no\nActiveState=active\nMainPID=42\n")
    return found


def unit_path(folder: Path) -> Path:
    return folder / "config" / "systemd" / "user" / "swim.service"


def say(folder: Path, text: str, code: int = 0) -> None:
    """Let systemctl answer so."""
    program = folder / "systemctl"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\nexit {code}\n", "utf-8")
    program.chmod(0o755)


async def test_unit_as_installed_that_runs_the_daemon_is_well(context: FakeContext) -> None:
    answer = await unit.unit_is_installed(context)
    assert (answer.status, answer.command) == ("ok", None)


@pytest.mark.parametrize(
    ("text", "code", "status", "fix"),
    [
        ("NeedDaemonReload=yes\nMainPID=42\n", 0, "fail", "systemctl --user status swim"),
        ("ActiveState=inactive\nMainPID=0\n", 0, "warn", "systemctl --user status swim"),
        ("ActiveState=active\nMainPID=7\n", 0, "warn", "systemctl --user status swim"),
        ("nonsense\x1b[2J\n", 1, "unknown", "systemctl --user status swim"),
    ],
    ids=["not-loaded", "by-hand", "another", "no-answer"],
)
async def test_what_systemd_says_is_judged(
    context: FakeContext, tmp_path: Path, text: str, code: int, status: str, fix: str
) -> None:
    say(tmp_path, text, code)
    answer = await unit.unit_is_installed(context)
    assert (answer.status, answer.command) == (status, fix)


async def test_unit_of_another_version_warns_and_shows_the_lines(context: FakeContext, tmp_path: Path) -> None:
    path = unit_path(tmp_path)
    path.write_text(path.read_text("utf-8").replace("RestartSec=2", "RestartSec=99"), "utf-8")
    answer = await unit.unit_is_installed(context)
    assert answer.status == "warn"
    assert answer.evidence == ("- RestartSec=99", "+ RestartSec=2")


async def test_unit_that_only_the_version_before_has_written_is_well(context: FakeContext, tmp_path: Path) -> None:
    path = unit_path(tmp_path)
    first, rest = path.read_text("utf-8").split("\n", 1)
    path.write_text(f"{first.replace('(', '(0.0.')}\n{rest}", "utf-8")
    assert (await unit.unit_is_installed(context)).status == "ok"


@pytest.mark.parametrize("reason", ["no-systemd", "no-unit", "another-home"])
async def test_what_does_not_apply_is_skipped(
    context: FakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    path = unit_path(tmp_path)
    if reason == "no-systemd":
        monkeypatch.setattr(unit, "SYSTEMD", tmp_path / "none")
    elif reason == "no-unit":
        path.unlink()
    else:
        path.write_text(path.read_text("utf-8").replace(str(tmp_path / "home"), "/srv/other"), "utf-8")
    assert (await unit.unit_is_installed(context)).status == "skip"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a file of another user")
async def test_home_that_root_has_made_for_a_unit_of_another_user_is_to_be_given_to_it(
    context: FakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a key that was made before the unit was installed."""
    assert (await ownership.belongs_to_the_daemon(context)).status == "ok", "nobody else is known to need it"
    units = tmp_path / "units"
    units.mkdir()
    monkeypatch.setattr("swimctl.systemd.manager.SYSTEM_UNITS", units)
    text = unit_of(context.invocation, "system", "nobody", is_draft=True).text()
    (units / "swim.service").write_text(text, "utf-8")
    found = FakeContext(tmp_path / "home")
    found.invocation, found.held = context.invocation, False
    answer = await ownership.belongs_to_the_daemon(found)
    assert (answer.status, answer.fix) == ("fail", f"chown -R nobody: {tmp_path / 'home'}")
