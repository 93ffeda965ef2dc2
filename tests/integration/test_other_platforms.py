"""Where there is no POSIX (Windows): ``tail --url`` and the SDK work; what can't, says so."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live_daemon import LiveDaemon, live_daemon
from support.terminal import Terminal

PROGRAM = Path(__file__).parents[1] / "support" / "other_platform.py"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("o") / "h", sources=["simulator?flights=50&speed=60"]) as daemon:
        yield daemon


def run(daemon: LiveDaemon, *words: str) -> subprocess.CompletedProcess[str]:
    environ = daemon.environ | {"SWIM_API_KEY": daemon.api_key()}
    return subprocess.run(
        [sys.executable, str(PROGRAM), *words], env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_events_of_another_service_are_watched(daemon: LiveDaemon) -> None:
    done = run(daemon, "tail", "--url", daemon.status()["url"], "flight.*", "--json", "--count", "2")
    assert done.returncode == 0, done.stderr
    assert all(json.loads(line)["type"].startswith("flight.") for line in done.stdout.splitlines())
    assert len(done.stdout.splitlines()) == 2


def test_events_are_shown_as_a_table_on_a_terminal(daemon: LiveDaemon) -> None:
    words = ["tail", "--url", daemon.status()["url"], "flight.*", "--count", "1"]
    environ = daemon.environ | {"SWIM_API_KEY": daemon.api_key()}
    with Terminal(words, environ, through=[sys.executable, str(PROGRAM)]) as terminal:
        assert terminal.end() == 0
        assert "WHAT HAPPENED" in terminal.text
        assert not terminal.is_on_second_screen and terminal.has_cursor


def test_program_of_the_sdk_listens(daemon: LiveDaemon) -> None:
    program = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from support.other_platform import hide
        hide()
        from swim_client import SWIMClient
        client = SWIMClient()
        @client.on("*")
        def on_event(event, timestamp):
            print(event.type)
            client.stop()
        client.subscribe(["flight.*"])
        client.run()
    """
    environ = daemon.environ | {"SWIM_API_KEY": daemon.api_key(), "SWIM_URL": daemon.status()["url"]}
    words = [sys.executable, "-c", textwrap.dedent(program), str(PROGRAM.parents[1])]
    done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("flight.")


@pytest.mark.parametrize("words", [["serve", "--port", "0"], ["status"]], ids=" ".join)
def test_command_that_needs_posix_says_so(daemon: LiveDaemon, words: list[str]) -> None:
    done = run(daemon, *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: this command needs Linux: this Python has no ")


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["tail", "--help"], ["version"]], ids=" ".join)
def test_help_and_version_are_there(daemon: LiveDaemon, words: list[str]) -> None:
    done = run(daemon, *words)
    assert (done.returncode, done.stderr) == (0, "")
