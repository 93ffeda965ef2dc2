"""Rows of faults that need no daemon of their own: each is done to one that serves, found, and undone."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.doctor_faults import SMALL, Patient
from support.doctor_faults_process import free_port
from support.doctor_faults_service import DiagnosedDaemon, client
from support.live_daemon import await_true

from swimctl.doctor.probes.procfs import ProcFs

HARMFUL = ("kill ", "rm ", "swimctl stop", "truncate ", "swimctl serve")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DiagnosedDaemon]:
    folder = tmp_path_factory.mktemp("rows")
    port = free_port()
    (folder / "spool").mkdir()
    config = SMALL.replace("port = 0", f'port = {port}\npublic_url = "ws://localhost:{port}/api/swim/v1/ws"')
    patient = DiagnosedDaemon(
        folder,
        config=f'{config}[logging]\nlevel = "debug"\n[[sources]]\nkind = "file"\npath = "{folder}/spool/events.json"\n',
    )
    patient.environ["SWIM_HISTORY__KEEP"] = "1h"
    try:
        patient.start(port=port)
        del patient.environ["SWIM_HISTORY__KEEP"]
        yield patient
    finally:
        patient.finish()


def result(daemon: Patient, check: str, *, proven: str = "") -> dict[str, Any]:
    """What doctor says of one thing. What ends or loses something is to be decided, and says what is lost.

    ``proven``: how a fix may begin that looks harmful and is not.
    """
    _, document = daemon.doctor("--only", check)
    found: dict[str, Any] = next(each for each in document["checks"] if each["id"] == check)
    harmful = [each for each in found["advice"] if each["command"].startswith(HARMFUL)]
    assert all(each["kind"] == "decide" and each["requires"] for each in harmful), harmful
    fix = found["fix"] or ""
    assert not fix.startswith(HARMFUL) or (proven and fix.startswith(proven)), fix
    return found


def test_level_debug_of_a_public_service_is_told(daemon: DiagnosedDaemon) -> None:
    found = result(daemon, "process.logging")
    assert (found["status"], found["observed"]) == ("warn", "level debug")


def test_variable_that_shortens_history_for_the_process_alone_is_named(daemon: DiagnosedDaemon) -> None:
    found = result(daemon, "config.environment")
    assert found["status"] == "fail"
    assert f"SWIM_HISTORY__KEEP=1h in the environment of pid {daemon.info.pid}" in found["observed"]


def test_storm_of_keys_that_nobody_has_is_told(daemon: DiagnosedDaemon) -> None:
    """From many addresses: from one alone they are refused without a look."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    for number in range(210):
        address = f"198.51.{number // 100}.{number % 100 + 1}"
        headers = {"Authorization": "Bearer swim_dev_abcdefghijklmnopqrstuvwxyz012345", "X-Forwarded-For": address}
        connection.request("GET", "/flights", headers=headers)
        connection.getresponse().read()
    connection.close()
    found = result(daemon, "connections.refused")
    assert (found["status"], found["fix"]) == ("warn", None)
    assert "connections with unknown keys" in found["observed"]


def test_configuration_that_is_gone_is_told_beside_the_process_that_still_has_it(daemon: DiagnosedDaemon) -> None:
    kept = daemon.config_path.rename(daemon.home / "kept.toml")
    try:
        done = daemon.swimctl("doctor", "--json", "--only", "config,process.answers", "--timeout", "30")
    finally:
        kept.rename(daemon.config_path)
    found = {each["id"]: each for each in json.loads(done.stdout)["checks"]}
    assert found["config.valid"]["status"] == "fail"
    assert str(daemon.config_path) in found["config.valid"]["observed"]
    assert found["process.answers"]["status"] == "ok"


def test_log_that_was_moved_away_is_told_with_both_names_and_opened_again(daemon: DiagnosedDaemon) -> None:
    log = daemon.home / "daemon.log"
    moved = log.rename(log.with_name("daemon.log.1"))
    found = result(daemon, "host.log", proven="kill -USR2 ")
    assert (found["status"], found["fix"]) == ("warn", f"kill -USR2 {daemon.info.pid}")
    assert f"writes to {moved}, which was {log} at its start" in found["observed"]
    paste_and_await(daemon, found["fix"], log)
    moved.unlink()


@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_log_that_is_another_file_now_is_told_and_opened_again(daemon: DiagnosedDaemon, how: str) -> None:
    log = daemon.home / "daemon.log"
    if how == "removed":
        log.unlink()
    else:
        (daemon.home / "empty").touch()
        (daemon.home / "empty").replace(log)
    found = result(daemon, "host.log", proven="kill -USR2 ")
    assert (found["status"], found["fix"]) == ("fail", f"kill -USR2 {daemon.info.pid}")
    assert "which was removed or replaced: its lines are lost" in found["observed"]
    paste_and_await(daemon, found["fix"], log)


def paste_and_await(daemon: DiagnosedDaemon, fix: str, log: Path) -> None:
    """Paste the signal; what is logged then stands in the file of that name, and doctor is content."""
    before = daemon.info.pid
    daemon.paste(fix)
    await_true(lambda: result(daemon, "host.log")["status"] == "ok", what="the log's file")
    assert daemon.info.pid == before
    length = log.stat().st_size
    with client(daemon, daemon.api_key()):
        await_true(lambda: log.stat().st_size > length, what="a line in it")


def test_second_daemon_that_takes_from_the_same_event_file_is_named(daemon: DiagnosedDaemon, tmp_path: Path) -> None:
    path = daemon.folder / "spool" / "events.json"
    twin = Patient(tmp_path, config=f'{SMALL}[[sources]]\nkind = "file"\npath = "{path}"\n')
    try:
        twin.start(port=0)
        found = result(daemon, "stream.event-file")
        assert (found["status"], found["fix"]) == ("fail", None)
        assert f"pid {twin.info.pid} (swimctl of home {twin.home}) takes {path} too" in found["observed"]
    finally:
        twin.finish()
    assert result(daemon, "stream.event-file")["status"] == "ok"


def test_state_is_folded_again_from_what_history_tells(daemon: DiagnosedDaemon) -> None:
    daemon.put(("flight.created", {"flight_uid": 7, "callsign": "BAW7", "phase": "prefiled"}))
    daemon.put(("flight.updated", {"flight_uid": 7, "callsign": "BAW7", "phase": "enroute"}))
    daemon.put(("tmi.issued", {"program_id": 1}))
    daemon.put(("system.notice", {"text": "later"}))
    found = result(daemon, "stream.state-is-fold")
    assert found["status"] == "ok", found
    assert "folded again" in found["observed"]


def test_plain_http_is_answered_at_the_public_address(daemon: DiagnosedDaemon) -> None:
    found = result(daemon, "front.http")
    assert found["status"] == "ok", found["observed"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_home_of_another_user_than_the_process_is_told(daemon: DiagnosedDaemon) -> None:
    nobody = pwd.getpwnam("nobody")
    shutil.chown(daemon.home, nobody.pw_uid)
    try:
        found = result(daemon, "process.user")
        assert found["status"] == "warn"
        assert "it runs as root" in found["observed"]
        assert "belongs to nobody" in found["observed"]
    finally:
        shutil.chown(daemon.home, 0)


@pytest.mark.parametrize("how", ["renamed", "replaced", "removed"])
def test_history_that_is_another_file_now_is_told_with_its_events(daemon: DiagnosedDaemon, how: str) -> None:
    history = daemon.home / "history.db"
    aside = history.with_name("aside.db")
    os.link(history, aside)
    if how == "renamed":
        history.rename(history.with_name("history.db.old"))
    elif how == "removed":
        history.unlink()
    else:
        shutil.copy2(aside, daemon.home / "copy.db")
        (daemon.home / "copy.db").replace(history)
    try:
        found = result(daemon, "process.files")
        assert (found["status"], found["fix"]) == ("fail", None), [
            each for each in ProcFs().links(daemon.info.pid) if "history" in each
        ]
        word = "was renamed to" if how == "renamed" else "was removed or replaced"
        assert word in found["observed"]
        assert "events are in the old history, which goes when the process ends" in " ".join(found["evidence"])
    finally:
        if how == "renamed":
            history.with_name("history.db.old").rename(history)
            aside.unlink()
        else:
            aside.replace(history)


@pytest.mark.long
def test_client_that_never_subscribes_is_told_with_its_owner(daemon: DiagnosedDaemon) -> None:
    with client(daemon, daemon.api_key()):
        await_true(lambda: result(daemon, "connections.subscribed")["status"] == "warn", seconds=120, what="a minute")
        assert "a test: 1 connection" in result(daemon, "connections.subscribed")["observed"]
