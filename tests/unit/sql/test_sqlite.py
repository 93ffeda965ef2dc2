"""The SQLite file of the keys: what was changed is on the disk, and is its home's owner's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from support.mounts import NoMount, mount, mounted, tmpfs
from support.packages import missing
from swim_server.sql.errors import StoreMisconfigured, StoreUnavailable
from swim_server.sql.sqlite import open_sqlite


def test_a_commit_waits_for_the_journal_s_removal_too(tmp_path: Path) -> None:
    database = open_sqlite(make_url(f"sqlite:///{tmp_path}/swim.db"))
    mode = database.read(lambda connection: connection.execute(text("PRAGMA synchronous")).scalar_one())
    assert mode == 3, "EXTRA: a revoked key stays revoked after a power cut"
    database.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_what_root_makes_in_a_service_s_home_is_the_service_s(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 1234, 2345)
    open_sqlite(make_url(f"sqlite:///{home}/swim.db")).close()
    found = (home / "swim.db").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 2345, 0o600)


def test_a_damaged_file_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "swim.db").write_bytes(b"garbage" * 1000)
    database = open_sqlite(make_url(f"sqlite:///{tmp_path}/swim.db"))
    with pytest.raises(StoreMisconfigured, match="damaged"):
        database.read(lambda connection: connection.execute(text("SELECT * FROM sqlite_master")).all())
    database.close()


def test_a_disk_that_has_become_read_only_can_be_read_and_is_trouble_that_may_pass(tmp_path: Path) -> None:
    """So a key is ended in the daemon's memory, as on a full disk; a file of somebody else stays misconfigured."""
    url = make_url(f"sqlite:///{tmp_path}/swim.db")
    try:
        with mounted(tmp_path, *tmpfs("1m")):
            database = open_sqlite(url)
            database.write(lambda connection: connection.execute(text("CREATE TABLE keys (id)")))
            database.close()
            mount(tmp_path, "-o", "remount,ro")
            database = open_sqlite(url)
            assert database.read(lambda connection: connection.execute(text("SELECT * FROM keys")).all()) == []
            with pytest.raises(StoreUnavailable, match="read-only"):
                database.write(lambda connection: connection.execute(text("INSERT INTO keys VALUES (1)")))
            database.close()
    except NoMount as reason:
        missing(str(reason))
