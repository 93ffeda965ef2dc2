"""Doctor's advice harms nobody: it knows whose a process is, and how it was started."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.live_daemon import LiveDaemon, await_true
from support.wire_client import dial, try_to_connect

HARMS = re.compile(r"\b(kill|rm|stop|truncate|chown)\b|serve")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[LiveDaemon]:
    daemon = LiveDaemon(tmp_path / "home")
    yield daemon
    daemon.finish()


def doctor(daemon: LiveDaemon, *words: str) -> dict[str, dict[str, Any]]:
    """Every check's result by its id."""
    done = daemon.swimctl("doctor", "--json", "--timeout", "20", *words, timeout=120)
    return {each["id"]: each for each in json.loads(done.stdout)["checks"]}


def harmful(results: dict[str, dict[str, Any]]) -> list[str]:
    """All that is to be typed and may end or lose something."""
    commands = [each["fix"] for each in results.values() if each["fix"]]
    commands += [advice["command"] for each in results.values() for advice in each["advice"]]
    return [command for command in commands if HARMS.search(command)]


def test_port_of_another_homes_daemon_is_not_to_be_taken_from_it(daemon: LiveDaemon, tmp_path: Path) -> None:
    daemon.start()
    other = LiveDaemon(tmp_path / "other", config=f"[server]\nport = {daemon.port}\n")
    results = doctor(other, "--only", "process")
    found = results["process.port"]
    assert f"pid {daemon.info.pid} (swimctl of home {daemon.home})" in found["observed"]
    assert found["fix"] is None
    assert found["advice"][0]["command"] == f"export SWIM_HOME={daemon.home}"
    offered = next(each["command"] for each in found["advice"] if "server.port" in each["command"])
    assert str(daemon.port) not in offered
    assert not [each for each in harmful({"process.port": found}) if "serve" not in each]


def test_fix_starts_a_killed_daemon_with_its_own_arguments(tmp_path: Path) -> None:
    daemon = LiveDaemon(tmp_path / "home", sources=["simulator?flights=3"])
    daemon.start()
    daemon.kill()
    fix = doctor(daemon, "--only", "process.lock")["process.lock"]["fix"]
    assert fix == "swimctl serve --port 0 --source 'simulator?flights=3' --detach"
    daemon.finish()


def test_start_with_a_secret_among_its_arguments_is_to_be_decided(tmp_path: Path) -> None:
    daemon = LiveDaemon(tmp_path / "home", sources=["vatsim?url=http://me:hunter2@127.0.0.1:9/data"])
    daemon.start()
    daemon.kill()
    found = doctor(daemon, "--only", "process.lock")["process.lock"]
    assert found["fix"] is None
    assert [each["kind"] for each in found["advice"]] == ["decide"]
    assert "hunter2" not in json.dumps(found)
    daemon.finish()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a home to another user")
def test_home_of_another_user_is_served_as_that_user(daemon: LiveDaemon) -> None:
    daemon.start()
    daemon.kill()
    nobody = pwd.getpwnam("nobody")
    shutil.chown(daemon.home, nobody.pw_uid)
    found = doctor(daemon, "--only", "process.lock")["process.lock"]
    assert found["fix"] is None
    (advice,) = found["advice"]
    assert advice["kind"] == "fix"
    assert advice["command"].startswith(f"sudo -u nobody env SWIM_HOME={daemon.home} swimctl serve")
    assert "as user nobody" in advice["requires"]
    shutil.chown(daemon.home, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a home to another user")
def test_files_of_root_in_a_home_of_another_user_are_given_back(daemon: LiveDaemon) -> None:
    daemon.start()
    daemon.stop()
    nobody = pwd.getpwnam("nobody")
    shutil.chown(daemon.home, nobody.pw_uid)
    found = doctor(daemon, "--only", "host.ownership,process.running")
    assert f"{daemon.home}/sources belongs to root" in found["host.ownership"]["observed"]
    assert found["process.running"]["cause"] == "host.ownership"
    fix = found["host.ownership"]["fix"]
    assert fix == f"chown -R nobody: {daemon.home}"
    subprocess.run(["bash", "-c", fix], check=True)
    assert doctor(daemon, "--only", "host.ownership")["host.ownership"]["status"] == "ok"
    shutil.chown(daemon.home, 0)


def test_lock_and_socket_removed_under_a_stopped_daemon_are_no_reason_to_end_it(daemon: LiveDaemon) -> None:
    daemon.start()
    pid = daemon.info.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        for name in ("swim.lock", "control.sock"):
            (daemon.home / name).unlink()
        results = doctor(daemon, "--only", "process")
        assert f"was deleted or replaced under pid {pid} (swimctl of home" in results["process.lock"]["observed"]
        assert harmful({"process.lock": results["process.lock"]}) == []
    finally:
        os.kill(pid, signal.SIGCONT)
    await_true(lambda: doctor(daemon, "--only", "process.lock,process.answers")["process.answers"]["status"] == "ok")


def test_doctor_beside_restarts_and_reloads_tells_no_fault(daemon: LiveDaemon) -> None:
    """Where another process has taken over between two questions, all is asked again."""
    daemon.start()
    is_over = threading.Event()

    def restart() -> None:
        while not is_over.is_set():
            daemon.swimctl("restart")
            daemon.swimctl("reload")
            is_over.wait(1.0)

    restarts = threading.Thread(target=restart)
    restarts.start()
    try:
        for _ in range(4):
            results = doctor(daemon, "--only", "process,stream,connections,database")
            assert {each["id"]: each["observed"] for each in results.values() if each["status"] == "fail"} == {}
            assert harmful(results) == []
    finally:
        is_over.set()
        restarts.join()


async def test_key_that_knocks_again_and_again_is_named(tmp_path: Path) -> None:
    daemon = LiveDaemon(tmp_path / "home", config="[server]\nport = 0\n[tiers.developer]\nconnections_per_key = 1\n")
    daemon.start()
    try:
        issued = daemon.make_key("developer")
        async with dial(daemon.url, issued.api_key):
            for _ in range(20):
                assert (await try_to_connect(daemon.url, issued.api_key))[1] is not None
            found = doctor(daemon, "--only", "connections.refused")["connections.refused"]
        assert (found["status"], found["fix"]) == ("warn", None)
        assert f"key {issued.record.id}: refused 20 times (limit)" in found["observed"]
        assert found["advice"][0]["command"] == f"swimctl keys show {issued.record.id}"
    finally:
        daemon.finish()


def test_database_replaced_by_a_file_of_other_rights_is_no_reason_to_stop(daemon: LiveDaemon) -> None:
    """The history, which is not opened anew: what is in the old file is counted, nothing is advised that loses it."""
    daemon.start()
    daemon.put(("tmi.issued", {"number": 1}))
    history = daemon.home / "history.db"
    shutil.copy2(history, daemon.home / "copy.db")
    (daemon.home / "copy.db").replace(history)
    found = doctor(daemon, "--only", "process.files")["process.files"]
    assert found["status"] in {"fail", "ok"}
    if found["status"] == "fail":
        assert "was removed or replaced at" in found["observed"]
        assert found["fix"] is None
