"""The command line as a whole: global options, errors, exit codes, help."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
import typer
from swim_server.config import ConfigError, Problem
from swim_server.daemon.home import HomeError
from swim_server.daemon.lockfile import AlreadyRunning as LockHeld

from swimctl import app as app_module
from swimctl.app import hoist, load_command, run
from swimctl.command_table import ENTRIES, GLOBAL_OPTIONS
from swimctl.errors import (
    AlreadyRunning,
    CommandFailed,
    DaemonNotRunning,
    NotFound,
    Refused,
    WrongUsage,
)
from swimctl.help_style import TextStyle
from swimctl.overview import overview


@pytest.mark.parametrize(
    ("words", "hoisted"),
    [
        (["serve", "--config", "x.toml", "--port", "0"], ["--config", "x.toml", "serve", "--port", "0"]),
        (["keys", "list", "--config=x.toml", "--debug"], ["--config=x.toml", "--debug", "keys", "list"]),
        (["publish", "--", "--debug", "--config", "x"], ["publish", "--", "--debug", "--config", "x"]),
        (["serve", "--config"], ["--config", "serve"]),
        ([], []),
    ],
)
def test_global_options_may_stand_after_the_command(words: list[str], hoisted: list[str]) -> None:
    assert hoist(words) == hoisted


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (CommandFailed("it broke", "mend it"), 1, "error: it broke\nmend it\n"),
        (WrongUsage("not so"), 2, "error: not so\n"),
        (DaemonNotRunning(), 3, "error: the daemon is not running\nstart it with: swimctl serve --detach\n"),
        (AlreadyRunning("there is one"), 4, "error: there is one\n"),
        (NotFound("no key 7"), 5, "error: no key 7\n"),
        (Refused("no"), 6, "error: no\n"),
        (ConfigError([Problem("a.b", "must be 1")]), 2, "error: in a.b: must be 1\n"),
        (HomeError(Path("/x"), "Permission denied"), 1,
         "error: can't use /x as home: Permission denied; set SWIM_HOME to a folder that you may write to\n"),
        (LockHeld(Path("/x/swim.lock"), None), 4,
         "error: already running in /x: its pid is not known yet; "
         "stop it with swimctl stop, or set another SWIM_HOME\n"),
        (PermissionError(13, "Permission denied", "/x/y"), 1, "error: Permission denied: /x/y\n"),
        (SyntaxError("invalid syntax", ("/x/y.py", 3, 1, "def (")), 1,
         "error: the code on disk is broken: /x/y.py, line 3: invalid syntax\n"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Abort(), 130, ""),
        (ZeroDivisionError("division by zero"), 1,
         "error: a bug in swimctl: ZeroDivisionError: division by zero\n"
         "run it again with --debug and report what it prints\n"),
    ],
)  # fmt: skip
def test_error_is_told_in_a_line_or_two_and_has_its_exit_code(
    error: BaseException,
    code: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(typer.main, "get_command", lambda _: type("Command", (), {"main": staticmethod(fail)}))
    assert run(["status"]) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", told)


def test_traceback_is_shown_with_debug_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(typer.main, "get_command", lambda _: 1 // 0)
    assert run(["status", "--debug"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    assert run(["status"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_command_that_does_not_exist_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stauts"]) == 2
    assert capsys.readouterr().err == "error: there is no command 'stauts'\ndid you mean: swimctl status\n"
    assert run(["zzz"]) == 2
    assert capsys.readouterr().err == "error: there is no command 'zzz'\nall commands: swimctl --help\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["status", "--jsno"], "error: swimctl status: there is no option --jsno"),
        (["stop", "--timeout", "soon"], "error: swimctl stop: --timeout: must be a number, 0 or more, got"),
        (["stop", "--timeout", "-1"], "error: swimctl stop: --timeout: must be a number, 0 or more, got"),
        (["connections", "close"], "error: swimctl connections close: ID is missing"),
        (["connections", "lst"], "error: there is no command 'connections lst'"),
        (["connections"], "error: swimctl connections needs a command"),
        (["status", "extra"], "error: swimctl status: unexpected argument: extra"),
        (["--confg", "x", "status"], "error: swimctl: there is no option --confg"),
    ],
)
def test_wrong_usage_is_told_in_two_lines_and_exits_with_2(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(told)
    assert lines[-1].startswith(("see: swimctl", "did you mean"))
    assert len(lines) == 2


def test_version_option_prints_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    from swim_server import __version__

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"swimctl {__version__}\n"


def test_overview_is_what_help_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Usage: swimctl [OPTIONS] COMMAND [ARGS]...\n")
    for name, entry in ENTRIES.items():
        assert f"  {name} " in printed
        assert entry.summary.split()[0] in printed


@pytest.mark.parametrize("width", [50, 80, 100, 200])
def test_overview_fits_its_width(width: int) -> None:
    lines = overview(width).splitlines()
    assert max(len(line) for line in lines if not line.startswith("  swimctl ")) <= width


def test_overview_is_coloured_only_when_asked() -> None:
    assert "\x1b[" not in overview(80)
    assert "\x1b[1m" in overview(80, style=TextStyle(attributes=True, colour=True))


def test_overview_names_the_global_options_that_there_are() -> None:
    command = typer.main.get_command(app_module.root)
    declared = {option for parameter in command.params for option in parameter.opts} | {"-h", "--help"}
    told = {word.split()[0] for name, _ in GLOBAL_OPTIONS for word in name.split(", ")}
    assert told == declared


def all_commands() -> list[tuple[str, object]]:
    """Every command with its full name, groups taken apart."""
    found: list[tuple[str, object]] = []
    for entry in ENTRIES.values():
        command = load_command(entry.module, entry.name)
        inner = getattr(command, "commands", None)
        if inner is None:
            found.append((entry.name, command))
        else:
            found += [(f"{entry.name} {name}", one) for name, one in inner.items()]
    return found


def test_every_command_has_a_summary_and_examples_in_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name, _ in all_commands():
        assert run([*name.split(), "--help"]) == 0
        printed = capsys.readouterr().out
        assert f"Usage: swimctl {name}" in printed
        assert "Examples:\n" in printed, f"{name} has no examples"
        assert f"  swimctl {name}" in printed or "| swimctl" in printed, f"no example of {name} itself"
        assert max(map(len, printed.splitlines())) <= 120


def test_help_is_the_same_for_every_reader_and_without_colour(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tail", "-h"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_reader_that_goes_away_ends_the_command_quietly(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(typer.main, "get_command", lambda _: type("Command", (), {"main": staticmethod(fail)}))
    monkeypatch.setattr(sys, "stdout", open("/dev/null", "w"))  # noqa: SIM115, PTH123  # its descriptor is replaced
    assert run(["status"]) == 0
    assert capfd.readouterr().err == ""
    sys.stdout.close()


def test_output_stream_without_a_descriptor_is_no_terminal() -> None:
    from swimctl.output import Output

    assert Output.to(io.StringIO(), {}).is_terminal is False
