"""Which user a system unit runs as, and which folders its configuration makes it write to."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from swim_server.config import (
    AdlConfig,
    AdlDatabaseConfig,
    Config,
    DatabaseConfig,
    DropSourceConfig,
    FileSourceConfig,
    LoggingConfig,
    SimulatorSourceConfig,
)

from swimctl.errors import WrongUsage
from swimctl.systemd import installation
from swimctl.systemd.installation import find_user, written_folders

MISSING = "nobody-has-this-name"


def test_user_that_is_named_must_exist(tmp_path: Path) -> None:
    assert find_user("root", tmp_path) == "root"
    with pytest.raises(WrongUsage, match=f"there is no user '{MISSING}'\nmake one: useradd"):
        find_user(MISSING, tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to another user")
def test_service_runs_as_the_owner_of_its_home(tmp_path: Path) -> None:
    daemon = pwd.getpwnam("daemon")
    os.chown(tmp_path, daemon.pw_uid, daemon.pw_gid)
    assert find_user(None, tmp_path) == "daemon"


def test_service_of_no_known_user_runs_as_swim_or_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "missing"
    monkeypatch.setattr(installation, "SYSTEM_USER", "daemon")
    assert find_user(None, home) == "daemon"
    monkeypatch.setattr(installation, "SYSTEM_USER", MISSING)
    assert find_user(None, home, is_draft=True) == MISSING
    with pytest.raises(WrongUsage, match="--run-as USER"):
        find_user(None, home)


def test_unit_may_write_where_the_configuration_leads() -> None:
    config = Config(
        sources=[
            FileSourceConfig(path="/spool/events/events.json"),
            DropSourceConfig(path="/spool/drop"),
            SimulatorSourceConfig(),
        ],
        logging=LoggingConfig(file="/log/swim/swim.log"),
        database=DatabaseConfig(url="sqlite:////keys/swim.db?timeout=3"),
        adl={
            "one": AdlConfig(
                flights=AdlDatabaseConfig(url="sqlite:////adl/flights.db"),
                tmis=AdlDatabaseConfig(url="mssql+pyodbc://swim@db.example.org/VATSIM_TMI"),
            )
        },
    )
    assert [str(path) for path in written_folders(config)] == [
        "/spool/events", "/spool/drop", "/log/swim", "/keys", "/adl",
    ]  # fmt: skip
