"""One wording for every mistake on the command line, one rule for exit codes, one style for every help text."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swimctl.app import load_command, run
from swimctl.command_table import ENTRIES

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def swimctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process: exit code, standard output, standard error."""
    monkeypatch.setenv("SWIM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SWIM_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))

    def run_here(words: str) -> tuple[int, str, str]:
        code = run(words.split())
        return code, *capsys.readouterr()

    return run_here


def paths() -> Iterator[list[str]]:
    """Every command there is, as typed."""

    def walk(command: Any, path: list[str]) -> Iterator[list[str]]:
        yield path
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, [*path, name])

    for entry in ENTRIES.values():
        yield from walk(load_command(entry.module, entry.name), [entry.name])


@pytest.mark.parametrize(
    ("words", "problem", "hint"),
    [
        ("bogus", "there is no command 'bogus'", "swimctl"),
        ("key list", "there is no command 'key'", "did you mean: swimctl keys list"),
        ("key abc", "there is no command 'key'", "did you mean: swimctl keys"),
        ("keys lst", "there is no command 'keys lst'", "did you mean: swimctl keys list"),
        ("service xyzzy", "there is no command 'service xyzzy'", "all commands: swimctl service --help"),
        ("keys", "swimctl keys needs a command", "see: swimctl keys --help"),
        ("keys show abc", "swimctl keys show: ID: must be a whole number, 1 or more, got abc", "keys show --help"),
        ("keys show 0", "swimctl keys show: ID: must be a whole number, 1 or more, got 0", "keys show --help"),
        ("keys show", "swimctl keys show: ID is missing", "see: swimctl keys show --help"),
        ("keys create", "swimctl keys create: --tier is missing", "see: swimctl keys create --help"),
        ("tail --count x", "swimctl tail: --count: must be a whole number, 1 or more, got x", "see: swimctl tail"),
        ("bench --clients 0", "must be a whole number from 1 to 60,000, got 0", "see: swimctl bench --help"),
        ("bench --rate x", "must be a number from 0.01 to 10,000, got x", "see: swimctl bench --help"),
        ("tail --jsn", "swimctl tail: there is no option --jsn", "did you mean --json? see: swimctl tail --help"),
        ("status extra", "swimctl status: unexpected argument: extra", "see: swimctl status --help"),
        ("status --json=1", "--json takes no value", "see: swimctl"),
        ("keys find", "no key was given on standard input", "swimctl keys find < key.txt"),
        ("--config nope.toml status", "--config: there is no file nope.toml", "swimctl config init nope.toml"),
        ("status --config nope.toml", "--config: there is no file nope.toml", "swimctl config init nope.toml"),
    ],
)
def test_wrong_words_are_told_in_one_voice_and_end_with_2(swimctl: Run, words: str, problem: str, hint: str) -> None:
    code, out, err = swimctl(words)
    told, next_step = err.splitlines()
    assert (code, out) == (2, "")
    assert told.startswith("error: ")
    assert problem in told
    assert hint in next_step


def test_configuration_named_by_the_environment_must_be_there_too(
    swimctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWIM_CONFIG", "nope.toml")
    assert swimctl("status")[0] == 2
    assert "SWIM_CONFIG: there is no file nope.toml" in swimctl("status")[2]
    assert swimctl("version")[0] == 0


@pytest.mark.parametrize(
    "words", ["keys import nope", "publish --file nope", "replay nope", "bench --compare nope", "keys show 7", "logs"]
)
def test_what_is_not_there_ends_with_5(swimctl: Run, words: str) -> None:
    code, out, err = swimctl(words)
    assert (code, out) == (5, "")
    assert err.startswith("error: ")


def test_unit_that_is_not_installed_ends_with_5(swimctl: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for words in ("service show --scope user", "service show --scope user --json"):
        code, out, _ = swimctl(words)
        assert (code, "ExecStart" in out) == (5, True)
    assert swimctl("service uninstall --scope user --yes")[0] == 5


def test_file_that_is_a_folder_fails(swimctl: Run, tmp_path: Path) -> None:
    for words in (f"keys import {tmp_path}", f"bench --compare {tmp_path}"):
        code, _, err = swimctl(words)
        assert (code, "is a folder, not a file" in err) == (1, True)


def answer_no(words: list[str], home: Path) -> tuple[int, str]:
    """Run a command on a terminal and answer its question with n."""
    master, slave = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "swimctl", *words], stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=os.environ | {"SWIM_HOME": str(home)}, cwd=home,
        )  # fmt: skip
        os.write(master, b"n\n")
        _, err = process.communicate(timeout=60)
    finally:
        os.close(master)
        os.close(slave)
    return process.returncode, err


def test_every_no_ends_with_1_and_is_told(swimctl: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    swimctl("keys create --tier public --owner me")
    (home / "there").write_text("mine", "utf-8")
    for words in (["keys", "revoke", "1"], ["keys", "expire", "1"], ["config", "init", "there"], ["record", "there"]):
        code, err = answer_no(words, home)
        assert code == 1, words
        assert err.endswith("[y/N] error: cancelled: nothing was done\n"), words
    assert (home / "there").read_text("utf-8") == "mine"
    assert swimctl("keys revoke 1")[0] == 2


def test_help_of_every_command_fits_80_columns_and_has_examples(swimctl: Run) -> None:
    for path in paths():
        code, out, _ = swimctl(" ".join([*path, "--help"]))
        assert code == 0
        assert [line for line in out.splitlines() if len(line) > 80] == [], path
        assert "Examples:" in out or "Commands:" in out, path
        assert "\x1b" not in out
        assert "<str>" not in out
        assert "..." not in out.partition("Commands:")[2], f"a summary is cut: {path}"


@pytest.mark.parametrize(
    ("environ", "has_bold", "has_colour"),
    [({}, True, True), ({"NO_COLOR": "1"}, True, False), ({"TERM": "dumb"}, False, False)],
)
@pytest.mark.parametrize("words", [[], ["keys", "--help"], ["tail", "--help"], ["keys", "create", "--help"]])
def test_help_is_styled_alike_and_no_color_takes_the_colour_alone(
    words: list[str], environ: dict[str, str], has_bold: bool, has_colour: bool
) -> None:
    left = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "swimctl", *words], stdin=slave, stdout=slave, stderr=slave,
        env=left | {"TERM": "xterm"} | environ,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    while chunk := _read(master):
        shown += chunk
    os.close(master)
    assert process.wait(30) == 0
    assert (b"\x1b[1mUsage:\x1b[0m" in shown, b"\x1b[36m" in shown) == (has_bold, has_colour)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # the terminal's other end is closed
        return b""
