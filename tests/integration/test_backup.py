"""Backups of a live service, restored: keys, history, configuration; ended keys stay ended."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.live_daemon import LiveDaemon
from support.wire_client import dial


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[LiveDaemon]:
    daemon = LiveDaemon(tmp_path / "home")
    yield daemon
    daemon.swimctl("stop")
    daemon.finish()


def serve(daemon: LiveDaemon) -> None:
    done = daemon.swimctl("serve", "--detach", "--port", "0")
    assert done.returncode == 0, done.stderr


def publish(daemon: LiveDaemon, count: int) -> list[str]:
    rows = [{"type": "system.notice", "data": {"n": number}} for number in range(count)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (daemon.home / "lines").write_text(lines, "utf-8")
    return daemon.swimctl("publish", "--file", str(daemon.home / "lines"), check=True).stdout.split()


def make_key(daemon: LiveDaemon, owner: str) -> dict[str, Any]:
    words = ("keys", "create", "--tier", "developer", "--owner", owner, "--json")
    found: dict[str, Any] = json.loads(daemon.swimctl(*words, check=True).stdout)
    return found


def stored_ids(daemon: LiveDaemon) -> list[str]:
    shown = daemon.swimctl("tail", "--last", "100000", "--no-follow", "--json", check=True).stdout
    return [json.loads(line)["id"] for line in shown.splitlines()]


async def test_live_service_comes_back_as_it_was_at_the_backup(daemon: LiveDaemon, tmp_path: Path) -> None:
    serve(daemon)
    kept, revoked = make_key(daemon, "kept"), make_key(daemon, "revoked later")
    ids = publish(daemon, 300)
    archive = tmp_path / "b.tar.gz"
    made = daemon.swimctl("backup", str(archive), "--json", check=True)
    assert {entry["part"] for entry in json.loads(made.stdout)["entries"]} >= {"keys", "history"}
    assert archive.stat().st_mode & 0o777 == 0o600
    daemon.swimctl("keys", "revoke", str(revoked["id"]), "--yes", check=True)
    make_key(daemon, "made later")
    later = publish(daemon, 5)
    busy = daemon.swimctl("restore", str(archive), "--yes")
    assert busy.returncode == 4, busy.stderr
    assert stored_ids(daemon)[-5:] == later
    daemon.swimctl("stop", check=True)
    done = daemon.swimctl("restore", str(archive), "--yes", "--json", check=True)
    told = json.loads(done.stdout)
    assert (told["ended_again"], told["missing_keys"], told["has_unknown_endings"]) == ([revoked["id"]], 1, False)
    assert all(Path(path).exists() for path in told["set_aside"])
    serve(daemon)
    assert stored_ids(daemon) == ids
    listed = {row["owner_name"]: row["state"] for row in json.loads(daemon.swimctl("keys", "list", "--json").stdout)}
    assert listed == {"kept": "active", "revoked later": "revoked"}
    async with dial(daemon.status()["url"], kept["api_key"]) as client:
        answer = await client.subscribe("*", after=ids[-1])
        assert answer["gap"] is True, "who has not seen what the backup lacks is told"
    assert publish(daemon, 1)[0] > later[-1]


async def test_backup_moves_to_a_machine_that_has_nothing(daemon: LiveDaemon, tmp_path: Path) -> None:
    serve(daemon)
    key, ids = make_key(daemon, "a"), publish(daemon, 20)
    daemon.swimctl("backup", str(tmp_path / "b.tar.gz"), check=True)
    daemon.swimctl("stop", check=True)
    other = LiveDaemon(tmp_path / "other")
    try:
        done = other.swimctl("restore", str(tmp_path / "b.tar.gz"), "--only", "keys", "--only", "history", check=True)
        assert "are valid again" in done.stderr
        serve(other)
        assert stored_ids(other) == ids
        async with dial(other.status()["url"], key["api_key"]):
            pass
    finally:
        other.swimctl("stop")
        other.finish()


def test_backup_while_events_are_stored_holds_one_moment(daemon: LiveDaemon, tmp_path: Path) -> None:
    """Every id in it was acknowledged, none before the last is missing."""
    serve(daemon)
    stop, acknowledged = threading.Event(), list[str]()

    def feed() -> None:
        while not stop.is_set():
            acknowledged.extend(publish(daemon, 200))

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        for number in range(3):
            daemon.swimctl("backup", str(tmp_path / f"{number}.tar.gz"), check=True)
    finally:
        stop.set()
        thread.join()
    for number in range(3):
        with tarfile.open(tmp_path / f"{number}.tar.gz") as archive:
            history = archive.extractfile("history.db")
            assert history is not None
            (tmp_path / str(number)).mkdir()
            (tmp_path / str(number) / "history.db").write_bytes(history.read())
        checked = daemon.swimctl("history", "check", str(tmp_path / str(number) / "history.db"))
        assert checked.returncode == 0, checked.stdout + checked.stderr
        with closing(sqlite3.connect(tmp_path / str(number) / "history.db")) as database:
            (count,) = database.execute("SELECT count(*) FROM events").fetchone()
            (last,) = database.execute("SELECT max(id) FROM events").fetchone()
        assert count == 0 or count == sum(1 for each in acknowledged if packed(each) <= last)


def packed(event_id: str) -> int:
    from swim_server.protocol.event_id import EventId

    return EventId.parse(event_id).to_integer()


def test_configuration_goes_where_it_was_or_where_it_is_told(daemon: LiveDaemon, tmp_path: Path) -> None:
    daemon.config_path.write_text("[tiers.public]\nconnections = 3\n", "utf-8")
    daemon.swimctl("config", "set", "tiers.public.messages_per_second", "7", check=True)
    daemon.swimctl("backup", str(tmp_path / "b.tar.gz"), check=True)
    daemon.config_path.write_text("[tiers.public]\nconnections = 4\n", "utf-8")
    daemon.swimctl("restore", str(tmp_path / "b.tar.gz"), "--only", "config", "--yes", check=True)
    assert "connections = 3" in daemon.config_path.read_text("utf-8")
    assert len(list(daemon.config_path.parent.glob("*.before-restore-*"))) == 1
    moved = tmp_path / "elsewhere" / "swim.toml"
    moved.parent.mkdir()
    moved.write_text("", "utf-8")
    daemon.swimctl(
        "--config", str(moved), "restore", str(tmp_path / "b.tar.gz"), "--only", "config", "--yes", check=True
    )
    assert "connections = 3" in moved.read_text("utf-8")
    assert "messages_per_second = 7" in moved.with_name("swim.local.toml").read_text("utf-8")


def edited(archive: Path, target: Path, change: str) -> Path:
    """A copy of an archive with something wrong in it."""
    with tarfile.open(archive) as old, tarfile.open(target, "w:gz") as new:
        for member in old:
            stream = old.extractfile(member)
            assert stream is not None
            content = stream.read()
            if change == "no manifest" and member.name == "manifest.json":
                continue
            if change == "newer" and member.name == "manifest.json":
                content = content.replace(b'"format": 1', b'"format": 2')
            if change == "other content" and member.name == "history.db":
                content = content[:-1] + bytes([content[-1] ^ 1])
            if change == "missing" and member.name == "history.db":
                continue
            if change == "link" and member.name == "history.db":
                link = tarfile.TarInfo("history.db")
                link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
                new.addfile(link)
                continue
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return target


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_archive_that_is_not_whole_changes_nothing(daemon: LiveDaemon, tmp_path: Path) -> None:
    serve(daemon)
    ids = publish(daemon, 3)
    archive = tmp_path / "b.tar.gz"
    daemon.swimctl("backup", str(archive), check=True)
    daemon.swimctl("stop", check=True)
    before = contents(daemon.home)
    for change in ("no manifest", "newer", "other content", "missing", "link", "cut", "text"):
        bad = tmp_path / f"{change}.tar.gz"
        if change == "cut":
            bad.write_bytes(archive.read_bytes()[:-200])
        elif change == "text":
            bad.write_text("not an archive", "utf-8")
        else:
            edited(archive, bad, change)
        done = daemon.swimctl("restore", str(bad), "--yes")
        assert done.returncode == 1, (change, done.stderr)
        assert done.stderr.startswith(f"error: {bad} can't be restored: ")
        after = contents(daemon.home)
        assert [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)] == [], change
    serve(daemon)
    assert stored_ids(daemon) == ids


def test_restore_asks_before_it_replaces(daemon: LiveDaemon, tmp_path: Path) -> None:
    make_key(daemon, "a")
    daemon.swimctl("backup", str(tmp_path / "b.tar.gz"), check=True)
    asked = daemon.swimctl("restore", str(tmp_path / "b.tar.gz"))
    assert (asked.returncode, "set aside" in asked.stderr) == (2, True)
    assert daemon.swimctl("restore", str(tmp_path / "nothing")).returncode == 5
    assert daemon.swimctl("backup", str(tmp_path / "b.tar.gz")).returncode == 2


def test_nothing_to_back_up_leaves_no_file(daemon: LiveDaemon, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "swimctl", "backup", str(tmp_path / "b.tar.gz")], check=False, capture_output=True,
        env=daemon.environ | {"SWIM_CONFIG": "", "XDG_CONFIG_HOME": str(tmp_path)},
        cwd=tmp_path,  # a folder config there would have its say
    )  # fmt: skip
    assert done.returncode == 1 or Path("/etc/swim").exists()
    assert not (tmp_path / "b.tar.gz").exists()
