"""Faults with a daemon of their own: a provider of another user, a frozen feed, a full neighbour."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.control_group import control_group
from support.doctor_faults import SMALL, Patient, copy_of_the_code, fired
from support.doctor_faults_process import program
from support.doctor_faults_service import DiagnosedDaemon
from support.feed_server import FeedServer, feed_server
from support.live_daemon import await_true

from swimctl.doctor.checks.stream.sources import FROZEN_SNAPSHOTS

WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
"""As root it owns its files, and may do with those of others what anybody may."""
EAT = """
import sys, time
eaten = bytearray(int(sys.argv[1]))
for at in range(0, len(eaten), 4096):
    eaten[at] = 1
print("eaten", flush=True)
time.sleep(600)
"""
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away and take capabilities")


def result(daemon: Patient, check: str) -> dict[str, Any]:
    """What doctor says of one thing; nothing of it is to be pasted."""
    _, document = daemon.doctor("--only", check)
    found: dict[str, Any] = next(each for each in document["checks"] if each["id"] == check)
    assert found["fix"] is None
    return found


def snapshot() -> bytes:
    """A feed of now in which the one who flies is where it was."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    pilot = {
        "cid": 1000001, "name": "X", "callsign": "DLH1AB", "server": "X", "pilot_rating": 0, "latitude": 49.5,
        "longitude": 9.5, "altitude": 30000, "groundspeed": 440, "transponder": "2000", "heading": 120,
        "qnh_i_hg": 29.92, "qnh_mb": 1013, "flight_plan": None, "logon_time": "2026-01-16T14:30:15.0000000Z",
        "last_updated": moment,
    }  # fmt: skip
    return json.dumps({
        "general": {"version": 3, "update_timestamp": moment, "connected_clients": 1}, "pilots": [pilot],
        "prefiles": [],
    }).encode()  # fmt: skip


class Troubled(DiagnosedDaemon):
    """A daemon with a feed that stands still, a drop folder and an event file whose writers are of another user."""

    feed: FeedServer


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troubled]:
    folder = tmp_path_factory.mktemp("alone")
    for name in ("spool", "drops"):
        (folder / name).mkdir()
        (folder / name).chmod(0o777)
    is_over = threading.Event()
    with feed_server(snapshot()) as feed:
        patient = Troubled(
            folder,
            config=f"""{SMALL}
[[sources]]
kind = "file"
path = "{folder}/spool/events.json"
[[sources]]
kind = "drop"
path = "{folder}/drops"
[[sources]]
kind = "vatsim"
url = "{feed.url}"
interval_seconds = 0.2
""",
        )
        patient.before, patient.feed = WITHOUT_CAPABILITIES, feed

        def go_on() -> None:
            while not is_over.wait(0.2):
                feed.documents = [snapshot()]

        stamps = threading.Thread(target=go_on)
        stamps.start()
        try:
            patient.start(port=0)
            yield patient
        finally:
            is_over.set()
            stamps.join()
            patient.finish()


def source(daemon: Patient, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in daemon.status()["sources"] if each["kind"] == kind)
    return found


@root_only
def test_event_file_of_another_user_is_read_and_doctor_says_why_it_is_kept(daemon: Troubled) -> None:
    whole = daemon.folder / "whole.json"
    whole.write_text(json.dumps([{"type": "tmi.issued", "data": {"program_id": each}} for each in range(15)]), "utf-8")
    whole.chmod(0o644)
    shutil.chown(whole, "nobody")
    whole.rename(daemon.folder / "spool" / "events.json")
    await_true(lambda: source(daemon, "file")["events"] == 15, seconds=60, what="the reading")
    await_true(lambda: str(source(daemon, "file")["details"].get("writers")).startswith("not known"), seconds=30)
    found = result(daemon, "stream.event-file")
    assert found["status"] == "ok"
    assert "it is another user's: it is kept until it has not grown for ten minutes" in found["evidence"][0]


@root_only
def test_drop_folder_whose_lines_are_rejected_fails_with_their_number(daemon: Troubled) -> None:
    whole = daemon.folder / "whole.ndjson"
    whole.write_text("no json\n" * 300, "utf-8")
    whole.rename(daemon.folder / "drops" / "provider.ndjson")
    await_true(lambda: source(daemon, "drop")["rejected"] >= 300, seconds=60, what="the rejection")
    found = result(daemon, "stream.sources")
    assert found["status"] == "fail"
    assert "rejects most of its input: 300 of 300" in found["observed"]


@root_only
def test_feed_whose_stamps_move_while_nobody_does_is_told(daemon: Troubled) -> None:
    await_true(
        lambda: source(daemon, "vatsim")["details"].get("frozen_snapshots", 0) >= FROZEN_SNAPSHOTS, seconds=60,
        what="a world that stands still",
    )  # fmt: skip
    found = result(daemon, "stream.sources")
    told = " ".join([found["observed"], *found["evidence"]])
    assert "no flying aircraft has moved" in told


@root_only
def test_memory_that_a_neighbour_of_the_same_limit_uses_up_is_told_as_his(daemon: Troubled) -> None:
    limit = 400 * 1024 * 1024
    with (
        control_group(memory_bytes=limit) as group,
        group.entered(),
        program(EAT, str(int(limit * 0.9))) as (eater, _),
    ):
        group.add(daemon.info.pid)
        try:
            found = result(daemon, "process.memory")
        finally:
            group.remove(daemon.info.pid)
        assert eater.poll() is None
    assert found["status"] in ("warn", "fail")
    assert "with what shares its limit" in found["observed"]
    assert [each["kind"] for each in found["advice"][:2]] == ["inspect", "inspect"]


def test_state_that_is_not_what_history_tells_fails(tmp_path: Path) -> None:
    """A bug: what comes live is not folded."""
    daemon = Patient(tmp_path, copy_of_the_code(tmp_path / "code"))
    daemon.edit(
        "swim_server/state/world.py", "        concerned = self._by_type.get(event.type)\n",
        "        concerned = () if event.type == 'flight.updated' else self._by_type.get(event.type)\n",
    )  # fmt: skip
    try:
        daemon.start(port=0)
        flight = {"flight_uid": 7, "callsign": "BAW7"}
        daemon.put(("flight.created", {**flight, "phase": "prefiled"}))
        daemon.put(("flight.updated", {**flight, "phase": "enroute"}))
        daemon.put(("system.notice", {"text": "later"}))
        found = result(daemon, "stream.state-is-fold")
        assert found["status"] == "fail"
        assert "flights 7: otherwise in phase, updated_at than its 2 events tell" in found["observed"]
    finally:
        daemon.finish()


def test_release_that_was_switched_and_deleted_is_restarted_with_its_own_arguments(tmp_path: Path) -> None:
    daemon = Patient(tmp_path, copy_of_the_code(tmp_path / "releases" / "1"))
    current = tmp_path / "current"
    current.symlink_to(daemon.code)
    daemon.use(current)
    daemon.sources = ["simulator?flights=3"]
    try:
        daemon.start(port=0)
        arguments = daemon.status()["arguments"]
        newer = copy_of_the_code(tmp_path / "releases" / "2") / "swimctl" / "text.py"
        newer.write_text(f"{newer.read_text('utf-8')}# newer\n", "utf-8")
        (tmp_path / "next").symlink_to(tmp_path / "releases" / "2")
        (tmp_path / "next").replace(current)
        shutil.rmtree(daemon.code)
        _, document = daemon.doctor("--only", "code,process")
        told = fired(document)
        first = next(each for each in document["checks"] if each["id"] == document["first"])
        assert first["area"] == "code", told
        command = first["fix"] or first["advice"][0]["command"]
        assert command == "swimctl restart"
        daemon.paste(command)
        assert daemon.status()["arguments"] == arguments
        assert not fired(daemon.doctor("--only", "code,process")[1])
    finally:
        daemon.finish()
