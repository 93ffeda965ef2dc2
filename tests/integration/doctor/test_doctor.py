"""``swimctl doctor`` as people and scripts use it, on a healthy real daemon."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.doctor_faults import AS_ROOT, SMALL, Patient, fired
from support.live_daemon import await_true

SECRET = "correct-horse-battery"


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    """A daemon with traffic and a password."""
    folder = tmp_path_factory.mktemp("doctor")
    (folder / "password").write_text(f"{SECRET}\n", "utf-8")
    (folder / "password").chmod(0o600)
    patient = Patient(folder, config=SMALL + f'[database]\npassword_file = "{folder}/password"\n')
    patient.sources = ["simulator?flights=50&speed=30"]
    try:
        patient.start()
        yield patient
    finally:
        patient.finish()


def test_healthy_daemon_is_well_each_time(patient: Patient) -> None:
    for _ in range(3):
        exit_code, document = patient.doctor()
        assert not fired(document)
        assert (exit_code, document["ok"], document["first"]) == (0, True, None)
    needed = {"id", "area", "status", "expected", "observed", "fix", "seconds"}
    assert all(needed <= set(each) for each in document["checks"])


def test_daemon_that_runs_as_root_is_told_of_and_another_is_not(patient: Patient) -> None:
    exit_code, document = json_of(patient.swimctl("doctor", "--timeout", "30", "--json", "--only", "host.user"))
    (found,) = document["checks"]
    assert (exit_code, found["status"]) == (0, "warn" if os.geteuid() == 0 else "ok")
    if os.geteuid() == 0:
        assert [each["command"].split()[0] for each in found["advice"]] == ["useradd", "swimctl"]


def json_of(done: subprocess.CompletedProcess[str]) -> tuple[int, dict[str, Any]]:
    return done.returncode, json.loads(done.stdout)


def test_strict_is_as_well(patient: Patient) -> None:
    exit_code, _ = patient.doctor("--strict")
    assert exit_code == 0


def test_piped_text_is_a_line_a_check(patient: Patient) -> None:
    done = patient.swimctl("doctor", "--timeout", "30", "--only", "code,host.disk")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert {len(row) for row in rows} == {4}
    assert ["ok", "code.process-is-disk"] in [row[:2] for row in rows]
    assert {row[1].partition(".")[0] for row in rows} == {"code", "host"}
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("format", ["nagios", "prometheus"])
def test_other_formats(patient: Patient, format: str) -> None:
    done = patient.swimctl("doctor", "--timeout", "30", "--format", format, *AS_ROOT)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("SWIM OK - " if format == "nagios" else "# HELP swim_doctor_ok")


@pytest.mark.parametrize(
    "words",
    [
        ("--only", "confg"),
        ("--skip", "nonsense"),
        ("--format", "xml"),
        ("--json", "--format", "nagios"),
        ("--watch", "--fix"),
        ("--bundle", "x.rar"),
        ("--url", "ws://127.0.0.1:1/", "--fix"),
        ("--url", "swim.example.org"),
        ("--bundle", "help.zip"),
    ],
    ids=["only", "skip", "format", "two-formats", "watch-and-fix", "archive", "url-and-fix", "no-url", "nobody-to-ask"],
)
def test_words_that_can_not_be_are_refused(patient: Patient, words: tuple[str, ...]) -> None:
    done = patient.swimctl("doctor", "--timeout", "30", *words)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()


def test_from_outside_a_door_is_asked_like_any_clients(patient: Patient) -> None:
    patient.environ["SWIM_API_KEY"] = patient.api_key()
    try:
        exit_code, document = patient.doctor("--url", patient.url)
    finally:
        del patient.environ["SWIM_API_KEY"]
    assert (exit_code, fired(document)) == (0, {})
    assert {each["area"] for each in document["checks"]} <= {"front", "keys"}
    exit_code, document = patient.doctor("--url", "ws://127.0.0.1:1/api/swim/v1/ws")
    assert (exit_code, document["first"]) == (3, "front.tcp")


def test_list_carries_nothing_out(tmp_path: Path, patient: Patient) -> None:
    done = patient.swimctl("doctor", "--list", "--json")
    assert done.returncode == 0
    assert {"code.process-is-disk", "process.lock"} <= {each["id"] for each in json.loads(done.stdout)}


def test_fix_mends_what_is_safe_says_so_and_looks_again(patient: Patient) -> None:
    (patient.folder / "password").chmod(0o644)
    exit_code, document = patient.doctor("--fix")
    assert document["changed"] == [f"{patient.folder}/password: 0644 → 0640"]
    assert (exit_code, fired(document)) == (0, {})


def test_fix_with_nothing_to_mend_says_so(patient: Patient) -> None:
    done = patient.swimctl("doctor", "--timeout", "30", "--fix", "--only", "code")
    assert done.returncode == 0
    assert done.stderr == "there is nothing to fix\n"


def test_bundle_lists_and_holds_what_a_helper_asks_for_without_a_secret(patient: Patient, tmp_path: Path) -> None:
    key = patient.api_key()
    patient.environ["SWIM_API_KEY"] = key
    patient.environ["SWIM_DATABASE__USERNAME"] = "somebody"
    log = patient.home / "swim.log"
    log.write_text(f"GET /?api_key={key} HTTP/1.1\nlogin with {SECRET} failed\n", "utf-8")
    path = tmp_path / "help.tar.gz"
    try:
        done = patient.swimctl("doctor", "--timeout", "30", "--bundle", str(path), "--yes", "--only", "code,process")
    finally:
        del patient.environ["SWIM_API_KEY"], patient.environ["SWIM_DATABASE__USERNAME"]
    assert "written" in done.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as archive:
        held = {each.name.removeprefix("help/"): archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]  # the bundle holds files only
    for name, data in held.items():
        assert name in done.stderr
        assert key.encode() not in data
        assert SECRET.encode() not in data
    assert {"doctor.json", "daemon/status.json", "config/effective.json", "home/swim.log", "home/swim.lock"} <= set(
        held
    )
    assert json.loads(held["daemon/version.json"])["files"]["swim_server/logs.py"]
    assert json.loads(held["doctor.json"])["checks"]


def test_bundle_is_judged_elsewhere_as_it_was_judged_here(patient: Patient, tmp_path: Path) -> None:
    path = tmp_path / "help.zip"
    words = ("--timeout", "30", "--only", "process,config,keys", "--json")
    done = patient.swimctl("doctor", *words, "--bundle", str(path), "--yes")
    here = {each["id"]: each["status"] for each in json.loads(done.stdout)["checks"]}
    elsewhere = Patient(tmp_path / "elsewhere")
    judged = elsewhere.swimctl("doctor", "--json", "--facts", str(path))
    document = json.loads(judged.stdout)
    assert {each["id"]: each["status"] for each in document["checks"]} == here
    assert document["subject"].startswith(f"{patient.home}, by facts of ")
    assert judged.returncode == done.returncode == 0


def test_explanation_leads_from_the_ground_to_the_check_with_facts(patient: Patient) -> None:
    done = patient.swimctl("doctor", "--timeout", "30", "--json", "--explain", "stream.sources")
    found = json.loads(done.stdout)
    path = [each["id"] for each in found["path"]]
    assert path.index("process.lock") < path.index("process.answers") < path.index("stream.sources")
    facts = {each["fact"]: each for each in found["path"][-1]["facts"]}
    assert '"simulator"' in facts["process.status"]["value"]
    assert facts["process.status"]["source"].endswith("control.sock, by the process itself")
    assert patient.swimctl("doctor", "--explain", "stream").returncode == 2


def test_what_is_logged_meanwhile_does_not_stand_in_the_document(tmp_path: Path) -> None:
    """A row that was changed by hand is logged whenever it is read."""
    patient = Patient(tmp_path / "altered")
    try:
        patient.start(port=0)
        patient.api_key()
        with contextlib.closing(sqlite3.connect(patient.home / "swim.db", timeout=20)) as database, database:
            database.execute("UPDATE swim_api_keys SET owner_name = 'somebody'")
        done = patient.swimctl("doctor", "--only", "keys", "--json")
        assert json.loads(done.stdout)["first"] == "keys.as-written"
        assert "not as our last change left it" in done.stderr
    finally:
        patient.finish()


def test_watch_tells_what_begins_and_ends_and_runs_a_program_for_it(tmp_path: Path) -> None:
    patient = Patient(tmp_path / "watched")
    told = tmp_path / "told"
    script = tmp_path / "notify"
    script.write_text(f"#!/bin/sh\ncat >> {told}\n", "utf-8")
    script.chmod(0o755)
    try:
        patient.start(port=0)
        words = ("--interval", "1", "--json", "--only", "config.valid", "--timeout", "30")
        process = patient.spawn("doctor", "--watch", *words, "--on-change", str(script))
        assert process.stdout is not None
        patient.configure(SMALL + "[nonsense]\n")
        begins = json.loads(process.stdout.readline())
        assert (begins["event"], begins["check"], begins["status"]) == ("begins", "config.valid", "fail")
        patient.configure(SMALL)
        ends = json.loads(process.stdout.readline())
        assert (ends["event"], ends["check"], ends["since"]) == ("ends", "config.valid", begins["since"])
        await_true(lambda: told.exists() and len(told.read_text("utf-8").splitlines()) == 2, seconds=30)
        assert [json.loads(line) for line in told.read_text("utf-8").splitlines()] == [begins, ends]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        patient.finish()


def test_default_installation_without_any_configuration_is_well(tmp_path: Path) -> None:
    patient = Patient(tmp_path, config="")
    patient.environ["SWIM_SERVER__PORT"] = "0"
    try:
        assert patient.swimctl("serve", "--detach").returncode == 0
        exit_code, document = patient.doctor()
        few = os.sysconf("SC_OPEN_MAX") < 10_755
        assert set(fired(document)) <= ({"process.descriptors"} if few else set())
        assert (exit_code, document["ok"]) == (0, True)
        os.kill(patient.status()["pid"], signal.SIGKILL)
        exit_code, document = patient.doctor("--fix")
        assert document["changed"] == [f"cleared the stale lockfile {patient.home}/swim.lock"]
        assert (exit_code, set(fired(document))) == (3, {"process.running"})
        assert patient.swimctl("doctor", "--format", "nagios").returncode == 2
    finally:
        patient.finish()
