"""``swimctl service``: what it writes, and what it asks of systemctl."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.daemon import Daemon
from support.packages import missing, require_program

from swimctl.errors import WrongUsage
from swimctl.systemd.installation import check_command
from swimctl.systemd.unit import Unit

SYSTEMCTL = """#!/bin/sh
echo "$@" >> "{calls}"
test ! -e "{broken}" || {{ echo "Failed to connect to bus" >&2; exit 1; }}
"""


class Machine(Daemon):
    """An installation beside a systemctl that writes down what it is asked."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        tools = folder / "bin"
        tools.mkdir()
        self.calls, self.broken = folder / "calls", folder / "broken"
        systemctl = tools / "systemctl"
        systemctl.write_text(SYSTEMCTL.format(calls=self.calls, broken=self.broken))
        systemctl.chmod(0o755)
        self.tools = tools
        self.unit = folder / "config" / "systemd" / "user" / "swim.service"
        path = os.pathsep.join([str(tools), os.environ.get("PATH", os.defpath)])
        super().__init__(folder / "home", environ={"XDG_CONFIG_HOME": str(folder / "config"), "PATH": path})

    def service(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.swimctl("service", *words, "--scope", "user")

    def asked(self) -> list[str]:
        found = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [call for call in found if "--property=Version" not in call]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "m")


def test_install_writes_the_unit_that_show_prints_and_enables_it(machine: Machine) -> None:
    done = machine.service("install", "--now", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"installed {machine.unit}\n"
    assert machine.asked() == ["--user daemon-reload", "--user enable --now swim"]
    shown = json.loads(machine.service("show", "--json").stdout)
    assert shown["unit"] == machine.unit.read_text()
    assert (shown["is_installed"], shown["is_same"], shown["path"]) == (True, True, str(machine.unit))
    assert f"Environment=SWIM_HOME={machine.home}" in shown["unit"]


def test_second_install_changes_nothing(machine: Machine) -> None:
    machine.service("install", "--yes")
    done = machine.service("install")
    assert (done.returncode, done.stdout) == (0, f"unchanged {machine.unit}\n")
    assert machine.asked().count("--user daemon-reload") == 1


def test_uninstall_stops_and_removes(machine: Machine) -> None:
    machine.service("install", "--yes")
    done = machine.service("uninstall", "--yes")
    assert (done.returncode, done.stdout) == (0, f"removed {machine.unit}\n")
    assert machine.asked()[-2:] == ["--user disable --now swim", "--user daemon-reload"]
    assert not machine.unit.exists()
    assert machine.service("uninstall", "--yes").returncode == 5


def test_without_a_terminal_yes_is_needed(machine: Machine) -> None:
    done = machine.service("install")
    assert (done.returncode, "add --yes" in done.stderr) == (2, True)
    assert not machine.unit.exists()


def test_dry_run_prints_and_does_nothing(machine: Machine) -> None:
    done = machine.service("install", "--dry-run")
    assert done.returncode == 0
    assert done.stdout == machine.service("show").stdout
    assert "would write" in done.stderr
    assert (machine.asked(), machine.unit.exists()) == ([], False)


def test_machine_without_systemd_is_told_what_to_do(machine: Machine) -> None:
    machine.broken.touch()
    done = machine.service("install", "--yes")
    assert (done.returncode, machine.unit.exists()) == (1, False)
    assert "systemd is not available here: Failed to connect to bus" in done.stderr
    assert "swimctl serve --detach" in done.stderr
    assert machine.service("show").returncode == 5, "it is not installed"


def test_unit_left_behind_goes_also_without_systemd(machine: Machine) -> None:
    machine.service("install", "--yes")
    machine.broken.touch()
    assert machine.service("uninstall", "--yes").returncode == 0
    assert not machine.unit.exists()


def test_invalid_configuration_installs_nothing(machine: Machine) -> None:
    machine.config_path.write_text("[nonsense]\n")
    assert machine.service("install", "--yes").returncode == 2
    assert not machine.unit.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scope", "world"], "must be system or user"),
        (["--name", "../x"], "--name"),
        (["--scope", "user", "--run-as", "root"], "--run-as is for a system unit"),
        (["--scope", "system", "--run-as", "nobody-of-this-name"], "there is no user"),
    ],
    ids=["scope", "name", "run-as-user", "unknown-user"],
)
def test_wrong_words_are_refused(machine: Machine, words: list[str], said: str) -> None:
    done = machine.swimctl("service", "show", *words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_program_that_its_user_can_not_run_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """A checkout in root's own folder, as a newcomer has it; and what every user may read."""
    if os.geteuid() != 0:
        missing("needs root")
    folder = tmp_path / "venv"
    folder.mkdir()
    program = folder / "swimctl"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    unit = Unit(scope="system", version="1", home=tmp_path / "home", command=[str(program)], user="nobody")
    for each in (tmp_path, *tmp_path.parents):
        if each.stat().st_uid == os.geteuid() and each != Path("/"):
            each.chmod(each.stat().st_mode | 0o011)
    check_command(unit)
    folder.chmod(0o700)
    with pytest.raises(WrongUsage) as refused:
        check_command(unit)
    assert f"user nobody can't run {program}: Permission denied" in str(refused.value)
    folder.chmod(0o755)
    program.write_text("#!/bin/sh\necho no module named swimctl >&2\nexit 3\n")
    with pytest.raises(WrongUsage, match="no module named swimctl"):
        check_command(unit)


def test_unit_of_the_system_knows_nothing_of_the_home_of_who_installs_it(machine: Machine) -> None:
    """Right after its installation the unit is what doctor expects, who runs as another user (F9)."""
    environ = machine.environ | {"HOME": "/root", "XDG_STATE_HOME": "/root/state", "PYTHONPATH": ""}
    environ.pop("SWIM_HOME")
    words = [sys.executable, "-m", "swimctl", "service", "show", "--scope", "system", "--run-as", "root", "--json"]
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False, timeout=60)
    unit = json.loads(done.stdout)["unit"]
    assert "ReadWritePaths=-/var/lib/swim" in unit
    assert [line for line in unit.splitlines() if line.startswith("ReadWritePaths") and "/root" in line] == []


def test_configuration_that_its_user_can_not_read_is_refused(tmp_path: Path) -> None:
    """What a checkout in root's own folder has, which is found first in that folder."""
    if os.geteuid() != 0:
        missing("needs root")
    config = tmp_path / "swim.toml"
    config.touch(mode=0o600)
    home = tmp_path / "home"
    unit = Unit(scope="system", version="1", home=home, command=["/bin/true"], user="nobody", config_file=config)
    with pytest.raises(WrongUsage, match="nobody can't read the configuration"):
        check_command(unit)


def test_home_that_another_user_has_made_is_refused(tmp_path: Path) -> None:
    """A key that root made before the unit was installed."""
    if os.geteuid() != 0:
        missing("needs root")
    home = tmp_path / "home"
    unit = Unit(scope="system", version="1", home=home, command=["/bin/true"], user="nobody")
    for each in (tmp_path, *tmp_path.parents):
        if each.stat().st_uid == os.geteuid() and each != Path("/"):
            each.chmod(each.stat().st_mode | 0o011)
    check_command(unit)
    home.mkdir(mode=0o700)
    with pytest.raises(WrongUsage, match="nobody can't write the home"):
        check_command(unit)
    shutil.chown(home, "nobody")
    check_command(unit)
    (home / "swim.db").touch(mode=0o600)
    with pytest.raises(WrongUsage) as refused:
        check_command(unit)
    assert f"chown -R nobody: {home}" in str(refused.value.next_step)


def test_what_systemctl_has_done_before_it_failed_is_not_what_is_told(machine: Machine) -> None:
    words = 'case "$*" in *enable*) echo "Created symlink x." >&2; echo "Job failed: see journalctl" >&2; exit 1;; esac'
    systemctl = machine.tools / "systemctl"
    systemctl.write_text(f"#!/bin/sh\n{words}\n")
    done = machine.service("install", "--now", "--yes")
    assert (done.returncode, "Job failed: see journalctl" in done.stderr, "Created" in done.stderr) == (1, True, False)


def test_unit_is_valid_to_systemd_itself(machine: Machine, tmp_path: Path) -> None:
    analyze = require_program("systemd-analyze", "systemd")
    unit = tmp_path / "swim.service"
    unit.write_text(machine.swimctl("service", "show", "--scope", "system", "--run-as", "root").stdout)
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "swim.service" in done.stderr) == (0, False), done.stderr
