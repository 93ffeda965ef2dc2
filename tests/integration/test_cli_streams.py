"""The command line with standard descriptors that are closed, full or of another character set, and without a home."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.daemon import ROOT, Daemon, end_all

pytestmark = pytest.mark.unmeasured

FULL = Path("/dev/full")
NOBODY = 54_321
"""A user id that no list of users has."""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """One that is not started yet."""
    daemon = Daemon(tmp_path / "home")
    yield daemon
    end_all(daemon)


def run(daemon: Daemon, redirections: str, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the redirections of a shell; what it leaves alone is a pipe."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-m", "swimctl", *words],
        env=daemon.environ | environ, text=True, errors="replace", capture_output=True, timeout=60, check=False,
        cwd=ROOT, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def keys(daemon: Daemon) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(daemon.swimctl("keys", "list", "--json", check=True).stdout)
    return found


NEW_KEY = ("keys", "create", "--tier", "developer", "--owner", "me")


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", "1</dev/null"])
def test_key_that_could_not_be_shown_is_not_made(daemon: Daemon, redirection: str) -> None:
    for words in (NEW_KEY, (*NEW_KEY, "--json")):
        done = run(daemon, redirection, *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: standard output can't be written: ")
    assert keys(daemon) == []


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_key_whose_successor_could_not_be_shown_is_left_as_it_is(daemon: Daemon, redirection: str) -> None:
    daemon.swimctl(*NEW_KEY, check=True)
    assert run(daemon, redirection, "keys", "rotate", "1").returncode == 1
    assert [(key["id"], key["expires_at"]) for key in keys(daemon)] == [(1, None)]


@pytest.mark.skipif(not hasattr(os, "mkfifo") or shutil.which("prlimit") is None, reason="needs prlimit (util-linux)")
def test_key_that_is_made_and_then_can_not_be_written_is_taken_back(daemon: Daemon, tmp_path: Path) -> None:
    """A disk that fills up: the file may not grow, and nobody could know that before writing."""
    daemon.swimctl(*NEW_KEY, check=True)
    shown = tmp_path / "shown"
    limit = 1_000_000
    with shown.open("wb") as full:
        full.truncate(limit)
    for number, words in ((2, NEW_KEY), (3, ("keys", "rotate", "1"))):
        with shown.open("ab") as file:
            done = subprocess.run(
            ["prlimit", f"--fsize={limit}", sys.executable, "-c",
             "import signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from swimctl.__main__ import main;"
             f" sys.argv[1:] = {list(words)!r}; main()"],
            env=daemon.environ, text=True, stdout=file, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert f"key {number} is revoked again" in done.stderr
    found = keys(daemon)
    assert [(key["id"], key["state"]) for key in found] == [(1, "active"), (2, "revoked"), (3, "revoked")]
    assert found[0]["expires_at"] is None
    assert shown.stat().st_size == limit


@pytest.mark.parametrize("redirections", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_service_lives_whatever_is_closed(daemon: Daemon, redirections: str) -> None:
    begun = run(daemon, redirections, "serve", "--detach", "--port", "0")
    assert begun.returncode == 0, begun.stderr
    before = daemon.status()
    assert run(daemon, redirections, "serve", "--detach", "--port", "0").returncode == 4
    restarted = run(daemon, redirections, "restart")
    assert restarted.returncode == 0, restarted.stderr
    after = daemon.status()
    assert (after["url"], after["pid"] == before["pid"]) == (before["url"], False)
    assert run(daemon, redirections, "status").returncode == 0
    assert run(daemon, redirections, "serve", "--port", "0").returncode == 4
    assert run(daemon, redirections, "stop").returncode == 0
    assert run(daemon, redirections, "status").returncode == 3


def test_service_in_the_foreground_with_closed_output_keeps_its_lock_over_a_restart(daemon: Daemon) -> None:
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "swimctl", "serve", "--port", "0"],
        env=daemon.environ, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=ROOT,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while daemon.swimctl("status").returncode != 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        daemon.swimctl("restart", check=True)
        assert daemon.swimctl("status").returncode == 0
        assert daemon.swimctl("serve", "--port", "0").returncode == 4
    finally:
        daemon.swimctl("stop")
        process.wait(20)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", ["--help", "--version", "keys list --json", "config show", "version", "tail --help"])
def test_output_that_takes_nothing_is_told_in_one_line(daemon: Daemon, words: str) -> None:
    done = run(daemon, ">/dev/full", *words.split())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: standard output can't be written: No space left on device\n"


def test_messages_that_nobody_takes_change_no_exit_code(daemon: Daemon) -> None:
    for redirection in ("2>&-", "2>/dev/full"):
        assert run(daemon, redirection, "status").returncode == 3
        assert run(daemon, redirection, "bogus").returncode == 2


def test_locale_without_our_characters_gets_plain_ones_and_escaped_json(daemon: Daemon) -> None:
    owner = "Zoë Łukasz → 𝄞"
    daemon.swimctl("keys", "create", "--tier", "developer", "--owner", owner, check=True)
    latin = {"PYTHONIOENCODING": "iso-8859-1", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "swimctl", "keys", "list"], env=daemon.environ | latin, capture_output=True, timeout=60,
        check=False, cwd=ROOT,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert "Zoë ?ukasz > ?" in done.stdout.decode("iso-8859-1")
    assert "swim_dev_~" in done.stdout.decode("iso-8859-1")
    told = run(daemon, "", "keys", "list", "--json", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (told.returncode, told.stdout.isascii()) == (0, True)
    assert json.loads(told.stdout)[0]["owner_name"] == owner


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv (util-linux)")
def test_user_without_a_home_is_served(daemon: Daemon) -> None:
    os.chown(daemon.home, NOBODY, NOBODY)

    def run_homeless(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        capabilities = "+dac_override,+dac_read_search"
        left = {name: value for name, value in daemon.environ.items() if name not in ("HOME", "SWIM_CONFIG")}
        return subprocess.run(
            ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--inh-caps={capabilities}",
             f"--ambient-caps={capabilities}", sys.executable, "-m", "swimctl", *words],
            env=left | environ, text=True, capture_output=True, timeout=60, check=False, cwd="/",
        )  # fmt: skip

    for words, code in (("keys list", 0), ("config show", 0), ("config path", 0), ("status", 3), ("db status", 0)):
        done = run_homeless(*words.split())
        assert done.returncode == code, (words, done.stderr)
        assert "a bug" not in done.stderr
    for environ in ({"SWIM_HOME": ""}, {"SWIM_HOME": "~/swim"}):
        done = run_homeless("status", **environ)
        assert done.returncode == 1
        assert "set SWIM_HOME to a folder" in done.stderr
    unset = run_homeless("config", "set", "tiers.public.connections", "3")
    assert unset.returncode == 2
    assert "name a file with --config FILE" in unset.stderr


LOOKS = (
    "keys list", "keys list --json", "keys audit", "db status", "db status --json", "db upgrade --sql", "config show",
    "config check", "status", "logs",
)  # fmt: skip


def test_looking_at_an_empty_machine_makes_nothing(daemon: Daemon, tmp_path: Path) -> None:
    home = tmp_path / "nothing"
    for words in (*LOOKS, "doctor --only database", "doctor --only keys"):
        done = daemon.swimctl(*words.split(), SWIM_HOME=str(home))
        assert "a bug" not in done.stderr, words
        assert not home.exists(), words
    assert daemon.swimctl("keys", "show", "1", SWIM_HOME=str(home)).returncode == 5
    assert daemon.swimctl("keys", "find", stdin="swim_dev_x" * 3, SWIM_HOME=str(home)).returncode == 5
    assert not home.exists()


def test_looking_at_keys_changes_no_byte(daemon: Daemon) -> None:
    daemon.swimctl(*NEW_KEY, check=True)
    before = {path: path.read_bytes() for path in daemon.home.rglob("*") if path.is_file()}
    for words in LOOKS:
        daemon.swimctl(*words.split())
    assert {path: path.read_bytes() for path in daemon.home.rglob("*") if path.is_file()} == before


def test_table_of_another_making_is_looked_at_without_adding_to_it(daemon: Daemon) -> None:
    path = daemon.home / "swim.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE swim_api_keys (id INTEGER PRIMARY KEY, api_key TEXT, tier TEXT, owner_name TEXT,"
                         " is_active INTEGER, expires_at TEXT, created_at TEXT)")  # fmt: skip
    database.close()
    before = path.read_bytes()
    assert daemon.swimctl("keys", "list").returncode == 0
    assert path.read_bytes() == before
