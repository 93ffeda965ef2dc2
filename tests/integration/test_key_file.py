"""A backup moved over the key database while the daemon runs is read at once, and ending a key works."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live_daemon import LiveDaemon, await_true, comes_true, live_daemon
from support.wire_client import dial, try_to_connect


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path / "home") as daemon:
        yield daemon


def move_backup_over(daemon: LiveDaemon) -> None:
    database = daemon.home / "swim.db"
    backup = daemon.home / "backup.db"
    shutil.copy2(database, backup)
    backup.replace(database)


async def test_key_revoked_after_a_backup_was_moved_over_the_file_is_refused(daemon: LiveDaemon) -> None:
    issued = daemon.make_key("developer")
    assert (await try_to_connect(daemon.url, issued.api_key))[1] is None
    move_backup_over(daemon)
    done = daemon.swimctl("keys", "revoke", str(issued.record.id), "--yes")
    assert done.returncode == 0, done.stderr
    assert (await try_to_connect(daemon.url, issued.api_key))[1] is not None
    assert "the key database was replaced by another file" in daemon.log


async def test_key_made_after_a_backup_was_moved_over_the_file_is_let_in(daemon: LiveDaemon) -> None:
    daemon.api_key()
    inode = (daemon.home / "swim.db").stat().st_ino
    move_backup_over(daemon)
    assert (daemon.home / "swim.db").stat().st_ino != inode
    await_true(lambda: "was replaced by another file" in daemon.log, what="the log")
    async with dial(daemon.url, daemon.issue("partner")["api_key"]):
        pass


async def test_live_client_whose_key_is_not_in_the_backup_is_closed(daemon: LiveDaemon) -> None:
    daemon.api_key()
    shutil.copy2(daemon.home / "swim.db", daemon.home / "backup.db")
    async with dial(daemon.url, daemon.api_key("partner")):
        assert any(daemon.counted().values())
        (daemon.home / "backup.db").replace(daemon.home / "swim.db")
        await comes_true(lambda: "connections closed" in daemon.log, what="the close")


def test_revoking_exits_1_where_the_daemon_reads_another_database(daemon: LiveDaemon, tmp_path: Path) -> None:
    issued = daemon.make_key("developer")
    other = tmp_path / "other.db"
    shutil.copy2(daemon.home / "swim.db", other)
    other.chmod(0o600)
    done = daemon.swimctl("keys", "revoke", str(issued.record.id), "--yes", SWIM_DATABASE__URL=f"sqlite:///{other}")
    assert done.returncode == 1, done.stdout
    assert f"key {issued.record.id} is revoked here, and active in the database that the daemon reads" in done.stderr
