"""Contexts: which service a command uses, by name; what works on a remote one; keys that are never shown."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.installation import RUN_SECONDS
from support.live_daemon import LiveDaemon, live_daemon
from support.preloaded import run_command

SUPPORT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("c") / "h", sources=["simulator?flights=50&speed=60"]) as daemon:
        yield daemon


class User:
    """Somebody with a configuration folder of their own, and no SWIM_ variable."""

    def __init__(self, daemon: LiveDaemon, folder: Path) -> None:
        self.file = folder / "swim" / "contexts.toml"
        kept = {name: value for name, value in daemon.environ.items() if not name.startswith("SWIM_")}
        self.environ = kept | {"XDG_CONFIG_HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}

    def run(self, *words: str, given: str = "", code: int | None = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = None if given else run_command(words, self.environ | more, Path.cwd(), RUN_SECONDS)
        done = done or subprocess.run(
            [sys.executable, "-m", "swimctl", *words], env=self.environ | more, input=given, text=True,
            capture_output=True, timeout=RUN_SECONDS, check=False,
        )  # fmt: skip
        assert code is None or done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done


@pytest.fixture
def user(daemon: LiveDaemon, tmp_path: Path) -> User:
    return User(daemon, tmp_path)


def test_home_is_reached_by_option_variable_and_use_in_this_order(user: User, daemon: LiveDaemon) -> None:
    user.run("context", "add", "live", "--home", str(daemon.home))
    user.run("context", "add", "other", "--home", str(daemon.home / "other"))
    assert user.run("status", code=3)
    assert json.loads(user.run("--context", "live", "status", "--json").stdout)["home"] == str(daemon.home)
    assert user.run("status", "--context", "live")
    assert user.run("status", SWIM_CONTEXT="live")
    user.run("context", "use", "live")
    assert user.run("status")
    assert user.run("status", code=3, SWIM_CONTEXT="other")
    assert user.run("status", "--context", "live", SWIM_CONTEXT="other")
    assert user.run("status", code=3, SWIM_HOME=str(daemon.home / "other")), "a variable goes before what is in use"
    user.run("context", "use", "--none")
    assert user.run("status", code=3)


def test_unknown_context_is_told_with_those_that_exist(user: User, daemon: LiveDaemon) -> None:
    user.run("context", "add", "live", "--home", str(daemon.home))
    for words in (["status", "--context", "lives"], ["context", "use", "lives"], ["context", "remove", "lives"]):
        done = user.run(*words, code=5)
        assert done.stderr.startswith("error: there is no context 'lives'")
    assert "those that exist: live" in user.run("--context", "x", "status", code=5).stderr


def add_address(user: User, daemon: LiveDaemon, api_key: str, *more: str) -> None:
    done = user.run("context", "add", "far", "--url", daemon.status()["url"], *more, given=f"{api_key}\n")
    assert api_key not in done.stdout + done.stderr


def test_distant_service_is_watched_recorded_and_fed_with_the_contexts_key(
    user: User, daemon: LiveDaemon, tmp_path: Path
) -> None:
    add_address(user, daemon, daemon.make_key("system").api_key, "--key-store", "file", "--use")
    assert json.loads(user.run("tail", "flight.*", "--json", "--count", "1").stdout)["id"]
    user.run("record", str(tmp_path / "r"), "--count", "1")
    rows = [
        {"type": "system.notice", "data": {"text": str(number)}, "event_id": f"far {number}"} for number in range(3)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    first = user.run("publish", "--file", "-", "--json", given=lines).stdout.splitlines()
    again = user.run("publish", "--file", "-", "--json", given=lines).stdout.splitlines()
    assert [json.loads(line)["id"] for line in first] == [json.loads(line)["id"] for line in again]
    assert all(json.loads(line)["duplicate"] for line in again)
    checked = user.run("doctor", "--json", code=None)
    assert json.loads(checked.stdout)["checks"], checked.stderr


def test_what_a_distant_service_refuses_is_told_with_its_line(user: User, daemon: LiveDaemon) -> None:
    add_address(user, daemon, daemon.make_key("system").api_key, "--key-store", "file", "--use")
    lines = '{"type": "system.notice", "data": {}}\n{"type": "system.heartbeat", "data": {}}\n'
    done = user.run("publish", "--file", "-", given=lines, code=1)
    assert len(done.stdout.splitlines()) == 1
    assert "line 2:" in done.stderr and "1 event is stored" in done.stderr
    done = user.run("publish", "system.notice", "--data", "{}", "--timestamp", "2026-01-01T00:00:00Z", code=2)
    assert "timestamp" in done.stderr


def test_key_that_may_not_publish_is_refused(user: User, daemon: LiveDaemon) -> None:
    add_address(user, daemon, daemon.make_key("developer").api_key, "--key-store", "file")
    assert user.run("publish", "system.notice", "--data", "{}", "--context", "far", code=None).returncode in (1, 6)


@pytest.mark.parametrize(
    "words", [["status"], ["keys", "list"], ["restart"], ["config", "show"], ["logs"]], ids=" ".join
)
def test_command_of_this_machine_alone_says_so(user: User, daemon: LiveDaemon, words: list[str]) -> None:
    add_address(user, daemon, daemon.api_key(), "--key-store", "file", "--use")
    done = user.run(*words, code=2)
    assert done.stderr.startswith("error: the context far is ws://")


def test_keys_are_kept_for_the_owner_alone_and_never_shown(user: User, daemon: LiveDaemon) -> None:
    api_key = daemon.api_key()
    add_address(user, daemon, api_key, "--key-store", "file")
    assert user.file.stat().st_mode & 0o777 == 0o600
    shown = user.run("context", "list").stdout + user.run("context", "list", "--json").stdout
    assert api_key not in shown and '"key": "file"' in shown
    user.file.chmod(0o644)
    assert f"chmod 600 {user.file}" in user.run("context", "list", code=2).stderr


def test_key_in_an_address_is_refused(user: User) -> None:
    done = user.run("context", "add", "x", "--url", "ws://swim_dev_secret@example.org/", given="k\n", code=2)
    assert "secret" not in done.stderr


def test_key_in_a_keyring_is_used_and_forgotten(user: User, daemon: LiveDaemon, tmp_path: Path) -> None:
    user.environ |= {
        "PYTHON_KEYRING_BACKEND": "support.keyring_backend.FileKeyring", "PYTHONPATH": str(SUPPORT),
        "SWIM_TEST_KEYRING": str(tmp_path / "keyring"),
    }  # fmt: skip
    api_key = daemon.api_key()
    add_address(user, daemon, api_key, "--use")
    assert api_key in (tmp_path / "keyring").read_text("utf-8")
    assert api_key not in user.file.read_text("utf-8")
    assert user.run("tail", "flight.*", "--json", "--count", "1")
    user.run("context", "remove", "far", "--yes")
    assert api_key not in (tmp_path / "keyring").read_text("utf-8")


def test_daemon_keeps_its_home_whatever_becomes_of_the_name(user: User, tmp_path: Path) -> None:
    home = tmp_path / "s"
    user.run("context", "add", "s", "--home", str(home), "--use")
    user.run("serve", "--detach", "--port", "0")
    try:
        user.run("context", "add", "s", "--home", str(tmp_path / "t"), "--yes")
        user.run("restart", SWIM_HOME=str(home))
        assert json.loads(user.run("status", "--json", SWIM_HOME=str(home)).stdout)["home"] == str(home)
        assert user.run("status", code=3)
    finally:
        user.run("stop", SWIM_HOME=str(home), code=None)


def test_file_that_is_broken_stops_no_command_that_needs_no_context(user: User) -> None:
    user.file.parent.mkdir(parents=True)
    user.file.write_text("contexts = 3\n", "utf-8")
    assert user.run("version")
    assert str(user.file) in user.run("status", code=2).stderr


def test_replacing_asks(user: User, daemon: LiveDaemon) -> None:
    user.run("context", "add", "live", "--home", str(daemon.home))
    assert "Replace it?" in user.run("context", "add", "live", "--home", "/elsewhere", code=2).stderr
