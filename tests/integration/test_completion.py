"""Completion as the shells request it: what is offered, silently, never a key."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.daemon import ROOT, Daemon
from support.live_daemon import LiveDaemon, live_daemon
from support.wire_client import dial


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    config = '[channels.families]\nweather = ["sigmet"]\n'
    with live_daemon(tmp_path_factory.mktemp("c") / "h", config=config) as daemon:
        yield daemon


def complete(daemon: Daemon, line: str) -> list[str]:
    """What bash is offered at the end of a line; nothing may be said beside it."""
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_SWIMCTL_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-m", "swimctl"], env=daemon.environ | asked, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=60, cwd=ROOT,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("swimctl conn", ["connections"]),
        ("swimctl tail flight.d", ["flight.deleted", "flight.departed"]),
        ("swimctl tail flight.departed weather.", ["weather.*", "weather.sigmet"]),
        ("swimctl publish weather.", ["weather.sigmet"]),
        ("swimctl keys create --tier p", ["public", "partner"]),
        ("swimctl keys list --state exp", ["expiring", "expired"]),
        ("swimctl config set tiers.public.messages", ["tiers.public.messages_per_second"]),
        ("swimctl doctor --only co", ["config", "code", "connections"]),
        ("swimctl serve --source si", ["simulator"]),
        ("swimctl service show --scope u", ["user"]),
        ("swimctl nonsense x", []),
    ],
    ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else "",
)
def test_words_that_fit_are_offered(daemon: LiveDaemon, line: str, offered: list[str]) -> None:
    assert complete(daemon, line) == offered


async def test_keys_and_connections_are_offered_by_their_ids(daemon: LiveDaemon) -> None:
    key = daemon.make_key()
    async with dial(daemon.url, key.api_key) as client:
        await client.subscribe("*")
        (connection,) = [one["id"] for one in daemon.connections]
        assert complete(daemon, "swimctl connections close client_") == [connection]
        assert str(key.record.id) in complete(daemon, "swimctl explain --key ")
    assert str(key.record.id) in complete(daemon, "swimctl keys show ")


def test_where_nothing_is_known_nothing_is_offered(tmp_path: Path) -> None:
    nobody = Daemon(tmp_path / "h", config="[nonsense\n")
    for line in ("swimctl keys show ", "swimctl connections close "):
        assert complete(nobody, line) == []
    assert complete(nobody, "swimctl tail tmi.i") == ["tmi.issued"], "built-in channels also beside a broken file"


def test_database_that_is_none_is_passed_over(tmp_path: Path) -> None:
    broken = Daemon(tmp_path / "h")
    (tmp_path / "h" / "swim.db").write_bytes(os.urandom(100))
    assert complete(broken, "swimctl keys show ") == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_answered_in_their_own_form(tmp_path: Path, shell: str) -> None:
    asked = {
        "_TYPER_COMPLETE_ARGS": "swimctl tail flight.po", "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_SWIMCTL_COMPLETE": f"complete_{shell}",
    }  # fmt: skip
    daemon = Daemon(tmp_path / "h")
    done = subprocess.run(
        [sys.executable, "-m", "swimctl"], env=daemon.environ | asked, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=60, cwd=ROOT,
    )  # fmt: skip
    assert ("flight.position" in done.stdout, "flight.positions" in done.stdout, done.stderr) == (True, True, "")


def test_table_of_words_is_that_of_the_commands() -> None:
    """Made anew by: python -m swimctl.completion.tree."""
    from swimctl.completion.table import COMMANDS
    from swimctl.completion.tree import tree

    assert tree() == COMMANDS


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("swimctl --config swim.toml ke", ["keys"]),
        ("swimctl --debug keys li", ["list"]),
        ("swimctl keys create --owner me --t", ["--tier"]),
        ("swimctl keys create --tier=public --o", ["--owner"]),
        ("swimctl tail --count 3 flight.dep", ["flight.departed"]),
        ("swimctl tail 'flight.departed' flight.arr", ["flight.arrived"]),
        ("swimctl completion z", ["zsh"]),
        ("swimctl publish --file ", []),
        ("swimctl keys nonsense ", []),
        ("swimctl keys show 7 ", []),
    ],
)
def test_words_before_the_one_typed_are_understood(daemon: LiveDaemon, line: str, offered: list[str]) -> None:
    assert complete(daemon, line) == offered


def test_press_of_tab_loads_neither_typer_nor_a_command(tmp_path: Path) -> None:
    asked = {"COMP_WORDS": "swimctl tail fl", "COMP_CWORD": "2", "_SWIMCTL_COMPLETE": "complete_bash"}
    code = (
        "import sys\nfrom swimctl.__main__ import main\n"
        "try:\n    main()\nfinally:\n    print(sorted(sys.modules), file=sys.__stderr__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=Daemon(tmp_path / "h").environ | asked, capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL, timeout=60, cwd=ROOT,
    )  # fmt: skip
    assert "flight.departed" in done.stdout
    for heavy in ("typer", "asyncio", "websockets", "rich", "sqlalchemy", "swim_server.config"):
        assert f"'{heavy}'" not in done.stderr, heavy


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_of_each_shell_is_printed(tmp_path: Path, shell: str) -> None:
    done = Daemon(tmp_path / "h").swimctl("completion", shell, check=True)
    assert f"complete_{shell}" in done.stdout
    assert Daemon(tmp_path / "h").swimctl("completion", "csh").returncode == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_script_works_in_bash(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "h")
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    program = bin_folder / "swimctl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m swimctl "$@"\n', "utf-8")
    program.chmod(0o755)
    script = (
        'eval "$(swimctl completion bash)"; COMP_WORDS=(swimctl keys cr); COMP_CWORD=2;'
        ' _swimctl_completion swimctl; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=daemon.environ | {"PATH": f"{bin_folder}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False, timeout=60, cwd=ROOT,
    )  # fmt: skip
    assert done.stdout == "create\n"
