"""Life of the daemon from the command line: serve, status, reload, restart, stop, logs, and their exit codes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.daemon import Daemon, NotAnswering, end_all


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """One that is not started yet."""
    daemon = Daemon(tmp_path / "home")
    yield daemon
    end_all(daemon)


def pid_in_lockfile(daemon: Daemon) -> int:
    return int(tomllib.loads((daemon.home / "swim.lock").read_text("utf-8"))["pid"])


def test_detached_daemon_lives_as_the_contract_says(daemon: Daemon) -> None:
    begun = daemon.swimctl("serve", "--detach", "--port", "0")
    assert begun.returncode == 0, begun.stderr
    match = re.fullmatch(r"serving at (ws://127\.0\.0\.1:\d+/api/swim/v1/ws) \(pid (\d+)\)\n", begun.stdout)
    assert match is not None

    status = json.loads(daemon.swimctl("status", "--json").stdout)
    assert (status["url"], status["pid"]) == (match[1], int(match[2]))
    assert {
        "pid", "version", "fingerprint", "url", "uptime_seconds", "connections", "events_published", "deliveries",
        "sources", "history",
    } <= status.keys()  # fmt: skip
    assert status["connections"]["by_tier"]["public"] == {"current": 0, "limit": 5}

    again = daemon.swimctl("serve", "--port", "0")
    assert again.returncode == 4
    assert f"pid {match[2]}" in again.stderr
    assert daemon.swimctl("serve", "--detach", "--port", "0").returncode == 4

    logs = daemon.swimctl("logs", "-n", "1")
    assert logs.returncode == 0
    assert "serving" in logs.stdout

    stopped = daemon.swimctl("stop")
    assert (stopped.returncode, stopped.stderr) == (0, f"stopped (pid {match[2]})\n")
    for words in ("status", "stop", "tail", "reload", "restart", "connections list", "status --json"):
        gone = daemon.swimctl(*words.split())
        assert gone.returncode == 3, words
        assert gone.stdout == ""
        assert "the daemon is not running" in gone.stderr
        assert len(gone.stderr.splitlines()) == 2


def test_detached_daemon_as_json(daemon: Daemon) -> None:
    told = json.loads(daemon.swimctl("serve", "--detach", "--port", "0", "--json", check=True).stdout)
    assert told.keys() == {"pid", "url", "home", "log"}
    assert told["pid"] == pid_in_lockfile(daemon)


def test_detached_daemon_that_can_not_start_says_why(daemon: Daemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = daemon.swimctl("serve", "--detach", "--port", str(port))
    assert failed.returncode == 1
    assert str(port) in failed.stderr
    assert "Traceback" not in failed.stderr
    assert daemon.swimctl("status").returncode == 3


def test_wrong_configuration_is_told_before_anything_starts(daemon: Daemon) -> None:
    daemon.config_path.write_text("[server]\nprot = 1\n[tiers.developer]\nconnections = -5\n", "utf-8")
    for words in (["serve"], ["serve", "--detach"], ["config", "check"], ["keys", "list"]):
        failed = daemon.swimctl(*words)
        assert failed.returncode == 2, words
        assert failed.stderr.splitlines() == [
            f"error: in server.prot: there is no such setting, did you mean port? ({daemon.config_path}, line 2)",
            f"in tiers.developer.connections: must be 1 or more, got -5 ({daemon.config_path}, line 4)",
        ]


def test_wrong_source_is_told_with_those_that_exist(daemon: Daemon) -> None:
    failed = daemon.swimctl("serve", "--source", "simulater", "--source", "file:x?intervall_seconds=1")
    assert failed.returncode == 2
    assert "did you mean simulator?" in failed.stderr
    assert "did you mean interval_seconds?" in failed.stderr


def test_home_that_can_not_be_written_is_told(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    failed = daemon.swimctl("serve", SWIM_HOME=str(tmp_path / "file" / "home"))
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: can't use ")
    assert "set SWIM_HOME" in failed.stderr


def test_killed_daemon_leaves_a_home_that_the_next_takes_over(daemon: Daemon) -> None:
    daemon.start()
    daemon.publish("tmi.issued", airport="KJFK")
    daemon.kill()
    assert daemon.swimctl("status").returncode == 3
    stale = daemon.swimctl("stop")
    assert stale.returncode == 3
    assert "cleared the stale lockfile of pid" in stale.stderr
    daemon.start()
    assert daemon.status()["history"]["events"] == 1


def test_stopped_process_is_ended_by_signals(daemon: Daemon) -> None:
    daemon.start()
    assert daemon.process is not None
    os.kill(daemon.process.pid, signal.SIGSTOP)
    stopped = daemon.swimctl("stop", "--timeout", "0.5")
    assert stopped.returncode == 0
    assert "sending SIGTERM" in stopped.stderr
    assert daemon.process.wait(5) == -signal.SIGKILL


def test_terminated_daemon_stops_in_order(daemon: Daemon) -> None:
    daemon.start()
    assert daemon.stop() == 0
    assert "stopped" in daemon.log
    with pytest.raises(NotAnswering):
        daemon.status()


def test_reload_changes_what_can_be_changed_and_names_the_rest(daemon: Daemon) -> None:
    daemon.start()
    assert daemon.swimctl("reload").stdout == "nothing changed\n"
    assert daemon.swimctl("config", "set", "tiers.public.connections", "10").returncode == 0
    assert daemon.swimctl("config", "set", "server.heartbeat_seconds", "9").returncode == 0
    reloaded = daemon.swimctl("reload")
    assert reloaded.returncode == 0
    assert reloaded.stdout == ("changed: tiers.public.connections\nneeds swimctl restart: server.heartbeat_seconds\n")
    assert daemon.status()["connections"]["by_tier"]["public"]["limit"] == 10


def test_reload_of_a_wrong_file_changes_nothing_and_exits_with_2(daemon: Daemon) -> None:
    daemon.start()
    daemon.config_path.write_text("[tiers.public]\nconnections = 0\n", "utf-8")
    refused = daemon.swimctl("reload")
    assert refused.returncode == 2
    assert "in tiers.public.connections: must be 1 or more, got 0" in refused.stderr
    assert daemon.status()["connections"]["by_tier"]["public"]["limit"] == 5


def test_restart_puts_a_new_process_in_the_place_of_the_old(daemon: Daemon) -> None:
    daemon.start()
    before = daemon.status()
    restarted = daemon.swimctl("restart")
    assert restarted.returncode == 0, restarted.stderr
    after = daemon.status()
    assert after["pid"] != before["pid"]
    assert after["url"] == before["url"]
    assert f"pid {before['pid']} → {after['pid']}" in restarted.stdout


def test_status_watched_through_a_pipe_is_one_document_a_second(daemon: Daemon) -> None:
    daemon.start()
    watching = daemon.spawn("status", "--watch", "--json")
    try:
        assert watching.stdout is not None
        pids = [json.loads(watching.stdout.readline())["pid"] for _ in range(2)]
    finally:
        watching.send_signal(signal.SIGINT)
        _, told = watching.communicate(timeout=10)
    assert pids == [daemon.status()["pid"]] * 2
    assert (watching.returncode, told) == (130, "")


def test_logs_follow_what_is_written_and_a_rotated_file(daemon: Daemon) -> None:
    log = daemon.home / "swim.log"
    log.write_text("one\ntwo\n", "utf-8")
    following = daemon.spawn("logs", "-f", "-n", "1")
    assert following.stdout is not None
    try:
        assert following.stdout.readline() == "two\n"
        with log.open("a", encoding="utf-8") as file:
            file.write("three\n")
        assert following.stdout.readline() == "three\n"
        log.rename(log.with_suffix(".1"))
        log.write_text("four\n", "utf-8")
        assert following.stdout.readline() == "four\n"
    finally:
        following.terminate()
        following.communicate(timeout=10)


def test_connection_is_listed_and_closed_by_its_id(daemon: Daemon) -> None:
    daemon.start()
    words = ("tail", "flight.departed", "--airport", "KJFK", "--url", daemon.url)
    watching = daemon.spawn(*words, SWIM_API_KEY=daemon.key())
    try:
        deadline = time.monotonic() + 20
        while not any(one["channels"] for one in daemon.connections):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        cells = daemon.swimctl("connections", "list", "--tier", "developer").stdout.rstrip("\n").split("\t")
        assert cells[1] == "developer"
        assert cells[7] == "flight.departed airports=KJFK"
        assert daemon.swimctl("connections", "list", "--tier", "gold").returncode == 2
        assert daemon.swimctl("connections", "list", "--tier", "partner", "--json").stdout == "[]\n"
        assert daemon.swimctl("connections", "close", "client_0").returncode == 5
        refused = daemon.swimctl("connections", "close", cells[0])
        assert refused.returncode == 2
        assert "--yes" in refused.stderr
        closed = daemon.swimctl("connections", "close", cells[0], "--yes")
        assert (closed.returncode, closed.stdout) == (0, f"closed {cells[0]}\n")
    finally:
        watching.terminate()
        _, told = watching.communicate(timeout=10)
    assert "connection lost" in told


def test_help_is_at_hand_without_a_daemon_or_a_home(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    for words in ([], ["--help"], ["keys", "--help"], ["tail", "-h"], ["--version"], ["version"]):
        done = daemon.swimctl(*words, SWIM_HOME="/nonexistent/home")
        assert (done.returncode, done.stderr) == (0, ""), words
        assert done.stdout


def test_reload_whose_configuration_file_is_gone_changes_nothing_and_names_it(daemon: Daemon) -> None:
    """Else another folder's file, or the defaults, would be taken: limits and sources of nobody's choice."""
    daemon.start()
    daemon.config_path.rename(daemon.config_path.with_name("moved.toml"))
    refused = daemon.swimctl("reload", "--config", str(daemon.config_path.with_name("moved.toml")))
    assert refused.returncode == 2
    assert str(daemon.config_path) in refused.stderr


@pytest.mark.parametrize("removed", [False, True], ids=["kept", "removed"])
def test_reload_of_a_daemon_of_an_earlier_release_folder_names_both_files(tmp_path: Path, removed: bool) -> None:
    """Each release has its configuration; the daemon was started in the earlier one."""
    daemon = Daemon(tmp_path / "h")
    environ = {name: value for name, value in daemon.environ.items() if name != "SWIM_CONFIG"}
    folders = [tmp_path / "1", tmp_path / "2"]
    for number, folder in enumerate(folders):
        (folder / "config").mkdir(parents=True)
        (folder / "config" / "swim.toml").write_text(f"[tiers.public]\nconnections = {7 + number}\n", "utf-8")

    def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "swimctl", *words], cwd=folder, env=environ, text=True, capture_output=True,
            check=False, timeout=60,
        )  # fmt: skip

    try:
        assert run(folders[0], "serve", "--detach", "--port", "0").returncode == 0
        if removed:
            shutil.rmtree(folders[0])
        done = run(folders[1], "reload")
        assert str(folders[0] / "config/swim.toml") in done.stderr
        assert str(folders[1] / "config/swim.toml") in done.stderr or removed
        assert done.returncode == (2 if removed else 0), done.stderr
        assert json.loads(run(folders[1], "status", "--json").stdout)["connections"]["by_tier"]["public"]["limit"] == 7
    finally:
        run(folders[1], "stop")
        end_all(daemon)
