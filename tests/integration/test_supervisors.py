"""A restart under real supervisors, at a terminal, and without either: it never causes an outage."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import swim_server
from support.daemon import NotAnswering
from support.live_daemon import LiveDaemon, await_true
from support.packages import missing, require_program

import swimctl

pytestmark = pytest.mark.unmeasured

SERVE = (sys.executable, "-m", "swimctl", "serve", "--port", "0")
PACKAGES = (swimctl, swim_server)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[LiveDaemon]:
    """A home in which a test starts a process in its own way."""
    daemon = LiveDaemon(tmp_path / "home")
    yield daemon
    pid = answering(daemon)
    if pid is not None:
        daemon.swimctl("stop")
    daemon.finish()


def answering(daemon: LiveDaemon) -> int | None:
    try:
        return int(daemon.status()["pid"])
    except NotAnswering:
        return None


@contextmanager
def started(daemon: LiveDaemon, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor, or what stands for one; ended with all that it has started."""
    with (daemon.home / "out.log").open("wb") as log:
        process = subprocess.Popen(words, env=daemon.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        await_true(lambda: answering(daemon), seconds=30, what="the service")
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        if process.poll() is None:
            process.kill()
            process.wait()


def assert_refused(daemon: LiveDaemon, *names: str) -> None:
    """The restart says no and by whom, and the service goes on as it is."""
    before = answering(daemon)
    done = daemon.swimctl("restart")
    assert done.returncode == 1, done.stdout
    assert "restart is refused, and the service keeps running" in done.stderr
    for name in names:
        assert name in done.stderr
    assert answering(daemon) == before
    assert daemon.swimctl("reload").returncode == 0


def test_restart_as_process_1_of_a_container_is_refused(daemon: LiveDaemon) -> None:
    unshare = require_program("unshare", "util-linux")
    if subprocess.run([unshare, "-fp", "--mount-proc", "true"], check=False, capture_output=True).returncode != 0:
        missing("this machine makes no process namespaces for us")
    with started(daemon, unshare, "-fp", "--mount-proc", "--kill-child", *SERVE) as container:
        assert daemon.status()["supervisor"] == "container"
        assert_refused(daemon, "its container waits for")
        assert container.poll() is None


@pytest.mark.parametrize("wrapped", [False, True], ids=["directly", "by-a-shell"])
def test_restart_under_tini_is_refused(daemon: LiveDaemon, wrapped: bool) -> None:
    tini = require_program("tini", "tini")
    words: Sequence[str] = ("sh", "-c", 'cd /; "$@"; exit $?', "sh", *SERVE) if wrapped else SERVE
    with started(daemon, tini, "-s", "-g", "--", *words) as init:
        assert_refused(daemon, "tini")
        assert init.poll() is None


def test_restart_under_supervisord_is_refused_and_named(daemon: LiveDaemon) -> None:
    supervisord = require_program("supervisord", "supervisor")
    config, errors = daemon.home / "supervisord.conf", daemon.home / "errors.log"
    config.write_text(
        f"""[supervisord]
nodaemon=true
logfile={daemon.home}/supervisord.log
pidfile={daemon.home}/supervisord.pid
[program:swim]
command={" ".join(SERVE)}
stopsignal=TERM
stderr_logfile={errors}
""",
        "utf-8",
    )
    with started(daemon, supervisord, "-n", "-c", str(config)):
        status = daemon.status()
        assert (status["supervisor"], status["supervised_as"]) == ("supervisord", "swim:swim")
        assert_refused(daemon, "supervisord", "supervisorctl restart swim:swim")
        os.kill(status["pid"], signal.SIGHUP)
        await_true(lambda: "restart refused" in errors.read_text("utf-8"), what="the log")
        assert answering(daemon) == status["pid"]


# A terminal, and nobody.


@contextmanager
def at_a_terminal(daemon: LiveDaemon, line: str) -> Iterator[int]:
    """A shell with a terminal of its own that runs a line; its end is the terminal's end."""
    pid, master = pty.fork()
    if pid == 0:  # pragma: no cover
        os.execvpe("bash", ["bash", "-c", line], daemon.environ)
    try:
        await_true(lambda: _drained_and_answering(master, daemon), seconds=30, what="the service")
        yield master
    finally:
        with suppress(OSError):
            os.close(master)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGHUP)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _drained_and_answering(master: int, daemon: LiveDaemon) -> int | None:
    _drain(master)
    return answering(daemon)


def _drain(master: int) -> None:
    while select.select([master], [], [], 0)[0]:
        with suppress(OSError):
            if os.read(master, 65_536):
                continue
        break


@pytest.mark.parametrize("redirection", ["2>err.log", "2>&1 | cat"], ids=["to-a-file", "to-a-pipe"])
def test_service_ends_with_its_terminal_wherever_its_errors_go(daemon: LiveDaemon, redirection: str) -> None:
    line = f"cd {daemon.home}; {' '.join(SERVE)} {redirection}"
    with at_a_terminal(daemon, line) as master:
        pid = answering(daemon)
        os.close(master)
        await_true(lambda: answering(daemon) is None, seconds=20, what="the end of the service")
        time.sleep(1.0)
        assert answering(daemon) is None, f"pid {pid} has gone on"


def test_hangup_that_was_ignored_at_the_start_stays_ignored(daemon: LiveDaemon) -> None:
    line = f"cd {daemon.home}; nohup {' '.join(SERVE)} >out.log 2>&1 & sleep 600"
    with at_a_terminal(daemon, line) as master:
        pid = answering(daemon)
        os.close(master)
        time.sleep(2.0)
        assert answering(daemon) == pid
        assert pid is not None
        os.kill(pid, signal.SIGHUP)
        time.sleep(2.0)
        assert answering(daemon) == pid


def test_hangup_of_one_that_nobody_supervises_restarts_it(daemon: LiveDaemon) -> None:
    done = daemon.swimctl("serve", "--detach", "--port", "0")
    assert done.returncode == 0, done.stderr
    pid = answering(daemon)
    assert pid is not None
    os.kill(pid, signal.SIGHUP)
    await_true(lambda: answering(daemon) not in (None, pid), seconds=30, what="another process")


# Releases beside each other.


def release(folder: Path) -> Path:
    """A copy of the code, and a command that runs it."""
    for package in PACKAGES:
        source = Path(package.__path__[0])
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def command(daemon: LiveDaemon, code: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command of a release."""
    found = daemon.environ | {"PYTHONPATH": str(code)} | environ
    return subprocess.run(
        [sys.executable, "-P", "-m", "swimctl", *words], env=found, text=True, capture_output=True, check=False,
        timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_restart_by_the_command_of_a_new_release_starts_that_release(daemon: LiveDaemon, tmp_path: Path) -> None:
    """The old release is removed before, as tools for deployment do."""
    old, new = release(tmp_path / "1"), release(tmp_path / "2")
    path = new / "swim_server" / "logs.py"
    path.write_text(path.read_text("utf-8") + "# newer\n", "utf-8")
    assert command(daemon, old, "serve", "--detach", "--port", "0").returncode == 0
    before = daemon.call("version")
    assert before["roots"]["swimctl"] == str(old / "swimctl")
    shutil.rmtree(old)
    done = command(daemon, new, "restart")
    assert done.returncode == 0, done.stderr
    after = daemon.call("version")
    assert after["roots"]["swimctl"] == str(new / "swimctl")
    assert after["fingerprint"] != before["fingerprint"]
    assert after["fingerprint"] in done.stdout
    assert f"from {new / 'swimctl'}; before: version" in done.stderr
    assert str(old / "swimctl") in done.stderr


def test_restart_to_another_program_than_asked_for_is_refused_and_names_both(
    daemon: LiveDaemon, tmp_path: Path
) -> None:
    """A release that is changed between the command's look at it and the start."""
    code = release(tmp_path / "1")
    assert command(daemon, code, "serve", "--detach", "--port", "0").returncode == 0
    pid = answering(daemon)
    program = {
        "executable": sys.executable, "folders": [str(code)], "root": str(code / "swimctl"), "version": "9.9.9",
        "fingerprint": "0123456789ab",
    }  # fmt: skip
    with pytest.raises(Exception, match="is another program") as failed:
        daemon.call("restart", {"program": program})
    for name in ("9.9.9", "0123456789ab", str(code / "swimctl"), daemon.call("version")["fingerprint"]):
        assert name in str(failed.value)
    gone = program | {"root": str(tmp_path / "gone" / "swimctl")}
    with pytest.raises(Exception, match="gone/swimctl: it is not there"):
        daemon.call("restart", {"program": gone})
    assert answering(daemon) == pid


def test_environment_that_a_restart_does_not_change_is_told_without_secrets(daemon: LiveDaemon) -> None:
    running: dict[str, Any] = {"SWIM_LOGGING__LEVEL": "info", "SWIM_DATABASE__PASSWORD": "old-secret"}
    assert daemon.swimctl("serve", "--detach", "--port", "0", **running).returncode == 0
    changed: dict[str, Any] = {"SWIM_LOGGING__LEVEL": "warning", "SWIM_DATABASE__PASSWORD": "new-secret"}
    done = daemon.swimctl("restart", **changed)
    assert done.returncode == 0, done.stderr
    assert "SWIM_LOGGING__LEVEL is info in the daemon" in done.stderr
    assert "SWIM_DATABASE__PASSWORD is *** in the daemon" in done.stderr
    assert "secret" not in done.stderr + done.stdout + daemon.everything_logged
    assert daemon.swimctl("restart", **running).stderr == ""
    asked = daemon.swimctl("doctor", "--only", "config.environment", "--json", **changed)
    check = next(each for each in json.loads(asked.stdout)["checks"] if each["id"] == "config.environment")
    assert check["status"] == "fail", check
    assert "SWIM_LOGGING__LEVEL" in str(check)
    assert "secret" not in asked.stdout
