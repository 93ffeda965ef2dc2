"""``swimctl service``: what it writes, and what it asks of systemctl."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from support.daemon import Daemon
from support.packages import require_program

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


def test_unit_is_valid_to_systemd_itself(machine: Machine, tmp_path: Path) -> None:
    analyze = require_program("systemd-analyze", "systemd")
    unit = tmp_path / "swim.service"
    unit.write_text(machine.swimctl("service", "show", "--scope", "system", "--run-as", "root").stdout)
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "swim.service" in done.stderr) == (0, False), done.stderr
