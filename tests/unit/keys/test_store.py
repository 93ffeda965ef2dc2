"""The key store on SQLite: the contract, and what only an embedded file knows."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from support.key_store_contract import OPERATOR, KeyStoreContract, new_key
from support.seeded_bytes import SeededBytes
from support.virtual_clock import VirtualClock
from swim_server.config import DatabaseConfig
from swim_server.keys.format import Tier
from swim_server.keys.new_key import NewKey
from swim_server.keys.opening import open_database
from swim_server.keys.store import KeyStore
from swim_server.sql.errors import OutcomeUnknown, SchemaMissing, StoreMisconfigured, StoreUnavailable


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "swim.db"


@pytest.fixture
def store(path: Path, clock: VirtualClock) -> Iterator[KeyStore]:
    store = open_store(path, clock)
    yield store
    store.close()


def open_store(path: Path, clock: VirtualClock, **config: Any) -> KeyStore:
    database = open_database(DatabaseConfig(**config), path)
    return KeyStore(database, clock=clock, randbytes=SeededBytes(1))


def execute(path: Path, script: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(script)
    connection.close()


class TestContract(KeyStoreContract):
    """The contract, on SQLite."""


def test_file_and_its_companions_are_readable_by_their_owner_alone(store: KeyStore, path: Path) -> None:
    store.create(new_key(), OPERATOR)
    files = list(path.parent.iterdir())
    assert {file.name for file in files} >= {"swim.db"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_key_stands_in_no_file(store: KeyStore, path: Path) -> None:
    issued = store.create(new_key(), OPERATOR)
    store.find(issued.api_key)
    store.close()
    assert not [file for file in path.parent.iterdir() if issued.api_key.encode() in file.read_bytes()]


def test_two_stores_on_one_file_see_each_others_changes(store: KeyStore, path: Path, clock: VirtualClock) -> None:
    issued = store.create(new_key(), OPERATOR)
    other = open_store(path, clock)
    other.revoke(issued.record.id, None, OPERATOR)
    other.close()
    assert not store.get(issued.record.id).is_active


def test_locked_file_is_unavailable_and_well_again_afterwards(path: Path, clock: VirtualClock) -> None:
    store = open_store(path, clock, query_timeout_seconds=0.01)
    issued = store.create(new_key(), OPERATOR)
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        store.revoke(issued.record.id, None, OPERATOR)
    locker.execute("ROLLBACK")
    locker.close()
    assert not store.revoke(issued.record.id, None, OPERATOR).is_active
    store.close()


@pytest.mark.parametrize(
    ("written", "is_expired"),
    [
        ("'2026-01-16 14:29:00'", True),
        ("'2026-01-16T15:29:59+01:00'", True),
        ("'2026-01-16 14:30:01'", False),
        ("'2026-01-17'", False),
        ("1768573799", True),
        ("'soon'", True),
        ("''", True),
        ("NULL", False),
    ],
)
def test_expiry_written_by_others_is_understood_and_an_unreadable_one_has_passed(
    store: KeyStore, path: Path, clock: VirtualClock, written: str, is_expired: bool
) -> None:
    key_id = store.create(new_key(), OPERATOR).record.id
    execute(path, f"UPDATE swim_api_keys SET expires_at = {written}")
    assert store.get(key_id).is_expired(clock.now) is is_expired


@pytest.mark.parametrize(
    ("written", "is_active"), [("1", True), ("'1'", True), ("0", False), ("'0'", False), ("'yes'", False)]
)
def test_activity_written_by_others_is_true_only_when_plainly_so(
    store: KeyStore, path: Path, written: str, is_active: bool
) -> None:
    key_id = store.create(new_key(), OPERATOR).record.id
    execute(path, f"UPDATE swim_api_keys SET is_active = {written}")
    assert store.get(key_id).is_active is is_active


OLD_TABLE = """
CREATE TABLE swim_api_keys (id INTEGER PRIMARY KEY AUTOINCREMENT, api_key TEXT NOT NULL UNIQUE COLLATE NOCASE,
  tier TEXT NOT NULL, owner_name TEXT NOT NULL, owner_email TEXT NOT NULL, description TEXT, expires_at TEXT,
  created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, last_used_at TEXT, is_active INTEGER NOT NULL DEFAULT 1);
INSERT INTO swim_api_keys (api_key, tier, owner_name, owner_email)
  VALUES ('swim_dev_Hp_test', 'Developer ', 'HP', 'x@y');
"""


def test_table_of_an_old_installation_is_lived_with(path: Path, clock: VirtualClock) -> None:
    execute(path, OLD_TABLE)
    store = open_store(path, clock)
    found = store.find("swim_dev_Hp_test")
    assert found is not None
    assert (found.tier, found.ip_whitelist, found.can_write) == (Tier.DEVELOPER, None, None)
    assert store.find("swim_dev_hp_TEST") is None
    issued = store.create(new_key(), OPERATOR)
    assert store.find(issued.api_key) == issued.record
    store.close()


def test_restriction_that_an_old_table_cannot_hold_is_refused_by_name(path: Path, clock: VirtualClock) -> None:
    execute(path, OLD_TABLE)
    store = open_store(path, clock)
    with pytest.raises(SchemaMissing, match="ip_whitelist"):
        store.create(new_key(ip_whitelist=("10.0.0.0/8",)), OPERATOR)
    assert len(store.list()) == 1
    store.close()


def test_missing_needed_column_is_named(path: Path, clock: VirtualClock) -> None:
    execute(path, OLD_TABLE.replace("expires_at TEXT", "ends TEXT"))
    store = open_store(path, clock)
    with pytest.raises(SchemaMissing, match="swim_api_keys: expires_at"):
        store.list()
    store.close()


def test_audit_table_of_another_make_is_left_alone_and_told(path: Path, clock: VirtualClock) -> None:
    execute(path, "CREATE TABLE swim_audit_log (id INTEGER PRIMARY KEY, what TEXT NOT NULL)")
    store = open_store(path, clock)
    store.create(new_key(), OPERATOR)
    assert not store.is_audited
    assert store.audit() == []
    store.close()


def test_column_that_goes_away_is_lived_with_at_once(store: KeyStore, path: Path) -> None:
    store.create(new_key(), OPERATOR)
    execute(path, "ALTER TABLE swim_api_keys DROP COLUMN key_hint")
    assert [record.hint for record in store.list()] == ["swim_dev_…"]


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda path: path.write_bytes(b"not a database, but long enough to be read as one" * 50), "not a database"),
        (lambda path: path.mkdir(), "directory"),
    ],
)
def test_file_that_is_no_database_is_told(
    path: Path, clock: VirtualClock, prepare: Callable[[Path], object], expected: str
) -> None:
    prepare(path)
    with pytest.raises(StoreMisconfigured, match=expected):
        open_store(path, clock).list()


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"url": "postgresql://x/y"}, "postgresql is not"),
        ({"url": "nonsense"}, "not a database URL"),
        ({"url": "sqlite://"}, "must be a file"),
        ({"url": "sqlite:///x", "odbc": "y"}, "both set"),
    ],
)
def test_database_that_can_not_be_used_is_told(
    path: Path, clock: VirtualClock, config: dict[str, str], expected: str
) -> None:
    with pytest.raises(StoreMisconfigured, match=expected):
        open_store(path, clock, **config)


def test_configured_sqlite_file_is_used(path: Path, clock: VirtualClock, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.db"
    store = open_store(path, clock, url=f"sqlite:///{elsewhere}")
    store.create(NewKey(tier=Tier.PUBLIC, owner_name="x"), OPERATOR)
    store.close()
    assert elsewhere.exists()
    assert not path.exists()


def test_commit_that_fails_is_not_repeated_and_its_outcome_called_unknown(store: KeyStore) -> None:
    store.create(new_key(), OPERATOR)
    attempts = []

    @event.listens_for(store.database.engine, "commit")
    def fail(connection: object) -> None:
        attempts.append(1)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise_as_driver(error)

    with pytest.raises(OutcomeUnknown, match="before a retry"):
        store.create(new_key(), OPERATOR)
    assert len(attempts) == 1


def raise_as_driver(error: sqlite3.Error) -> None:
    from sqlalchemy.exc import OperationalError

    raise OperationalError("COMMIT", {}, error)
