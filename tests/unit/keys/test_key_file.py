"""The key file without SQLAlchemy says what the key store says, with the same statements."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.engine import make_url
from support.key_store_contract import OPERATOR, insert_plain, new_key
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.config import DatabaseConfig
from swim_server.daemon.database_name import describe_database
from swim_server.keys.key_file.key_file import KeyFile
from swim_server.keys.opening import open_database
from swim_server.keys.schema import AUDIT_COLUMNS, AUDIT_TABLE, KEY_COLUMNS, KEYS_TABLE, NOT_NULL, observe
from swim_server.keys.store import KeyStore
from swim_server.keys.tables import api_keys, audit_log
from swim_server.sql.errors import DatabaseAbsent, SchemaMissing, StoreMisconfigured, StoreUnavailable
from swim_server.sql.sqlite_file import plain_path

from swimctl.doctor.probes.database import sql_access
from swimctl.doctor.probes.database.file_access import FileAccess
from swimctl.doctor.probes.database.marker import OWNER


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "swim.db"


@pytest.fixture
def store(path: Path) -> Iterator[KeyStore]:
    store = KeyStore(open_database(DatabaseConfig(), path), clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes)
    yield store
    store.close()


class TracedFile(KeyFile):
    """A key file whose statements are recorded, with their parameters."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, busy_timeout_seconds=1)
        self.sent: list[str] = []

    def _connect(self, database: str, *, is_uri: bool = False) -> sqlite3.Connection:
        connection = super()._connect(database, is_uri=is_uri)
        connection.set_trace_callback(lambda sql: self.sent.append(" ".join(sql.split())))
        return connection


def traced(store: KeyStore) -> list[str]:
    """Record the statements that SQLAlchemy sends, with their parameters."""
    sent: list[str] = []

    def connected(connection: sqlite3.Connection, _record: Any) -> None:
        connection.set_trace_callback(lambda sql: sent.append(" ".join(sql.split())))

    event.listen(store.database.engine, "connect", connected)
    store.database.engine.dispose()
    return sent


def by_hand(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def fill(store: KeyStore, path: Path) -> None:
    """Make keys of every kind: good, ended, restricted, plain, altered, of a row by hand, ended elsewhere."""
    now = datetime.now(UTC)
    made = [store.create(new_key(ip_whitelist=("10.0.0.0/8",), owner_cid=7), OPERATOR).record.id for _ in range(5)]
    store.expire(made[0], now + timedelta(days=3), OPERATOR)
    store.revoke(made[1], "lost", OPERATOR)
    store.rotate(made[2], timedelta(hours=1), OPERATOR)
    store.touch(made, now)
    insert_plain(store, "swim_dev_hp_test")
    by_hand(
        path,
        f"UPDATE swim_api_keys SET is_active = 1 WHERE id = {made[1]}",
        f"UPDATE swim_api_keys SET tier = 'captain' WHERE id = {made[3]}",
        "INSERT INTO swim_api_keys (api_key, tier, owner_name, expires_at, is_active, can_write) "
        "VALUES ('swim_x', 'system', 'x', '2031-01-01T00:00:00+02:00', '1', 'yes')",
    )


def test_the_columns_known_without_sqlalchemy_are_those_of_the_tables() -> None:
    assert (api_keys.name, audit_log.name) == (KEYS_TABLE, AUDIT_TABLE)
    assert tuple(api_keys.columns.keys()) == KEY_COLUMNS
    assert tuple(audit_log.columns.keys()) == AUDIT_COLUMNS
    assert {column.name for column in api_keys.columns if not column.nullable} == NOT_NULL


def test_all_keys_are_read_by_the_statements_that_sqlalchemy_writes(store: KeyStore, path: Path) -> None:
    fill(store, path)
    reader = KeyStore(
        open_database(DatabaseConfig(), path, is_read_only=True), clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes
    )
    sent, file = traced(reader), TracedFile(path)
    assert file.records() == reader.list()
    assert sum(record.is_altered for record in file.records()) >= 2
    assert sorted(file.sent[: len(sent)]) == sorted(sent)
    reader.close()


@pytest.mark.parametrize("is_left_behind", [False, True])
def test_the_marker_is_written_and_removed_by_the_statements_that_sqlalchemy_writes(
    store: KeyStore, path: Path, is_left_behind: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create(new_key(), OPERATOR)
    if is_left_behind:
        by_hand(
            path,
            "INSERT INTO swim_api_keys (api_key, tier, owner_name, created_at, is_active) "
            f"VALUES ('sha256$', 'public', '{OWNER}', '2026-01-01 00:00:00.000000', 0)",
        )
    monkeypatch.setattr(secrets, "token_hex", lambda count: "ab" * count)
    sent, file, access = traced(store), TracedFile(path), FileAccess(path, 1)
    access._file = file
    ours = access.mark()
    access.unmark(ours.key_id)
    if is_left_behind:
        by_hand(path, "UPDATE sqlite_sequence SET seq = 2 WHERE name = 'swim_api_keys'")
        by_hand(
            path,
            "INSERT INTO swim_api_keys (id, api_key, tier, owner_name, created_at, is_active) "
            f"VALUES (2, 'sha256$', 'public', '{OWNER}', '2026-01-01 00:00:00.000000', 0)",
        )
    theirs = sql_access.mark(store.database)
    sql_access.remove(store.database, theirs.key_id)
    assert ours == theirs, "a marker leaves no gap behind"
    assert changes(file.sent) == changes(sent)
    assert [record.id for record in store.list()] == [1]
    assert store.create(new_key(), OPERATOR).record.id == 2


def changes(sent: list[str]) -> list[str]:
    """Return the statements of transactions, without what differs by the time of day."""
    return [without_times(sql) for sql in sent if "1 = 0" not in sql and not sql.startswith("PRAGMA")]


def without_times(sql: str) -> str:
    words = sql.split("'")
    return "'".join("TIME" if word[:2] == "20" and ":" in word else word for word in words)


STORED = st.one_of(
    st.none(), st.text(max_size=12), st.integers(-(2**40), 2**40), st.floats(allow_nan=False), st.binary(max_size=4),
    st.sampled_from(["2026-11-27 10:00:00.000000", "2026-11-27T10:00:00Z", "1", 1, 1.0, "0"]),
)  # fmt: skip


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.fixed_dictionaries({name: STORED for name in KEY_COLUMNS if name not in {"id", "api_key"}}), max_size=3
    )
)
def test_whatever_other_programs_stored_is_read_like_sqlalchemy_reads_it(
    store: KeyStore, path: Path, rows: list[dict[str, Any]]
) -> None:
    store.tables.schema()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DELETE FROM swim_api_keys")
    for number, row in enumerate(rows):
        values = {"api_key": f"swim_{number}"} | {name: value for name, value in row.items() if value is not None}
        values = {"tier": "x", "owner_name": "x", "is_active": 0} | values
        marks = ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO swim_api_keys ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))
    connection.close()
    assert outcome(lambda: KeyFile(path, busy_timeout_seconds=1).records()) == outcome(store.list)


def outcome(read: Any) -> object:
    """Return what reading gives, or the kind of its error."""
    try:
        return read()
    except Exception as error:  # noqa: BLE001  # both may refuse a value, in the same way
        return type(error)


def test_a_column_that_is_missing_is_left_out_by_both(store: KeyStore, path: Path) -> None:
    store.create(new_key(), OPERATOR)
    by_hand(path, "ALTER TABLE swim_api_keys DROP COLUMN key_hint", "DROP TABLE swim_audit_log")
    file = KeyFile(path, busy_timeout_seconds=1)
    assert file.schema() == observe(store.database)
    reader = KeyStore(
        open_database(DatabaseConfig(), path, is_read_only=True), clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes
    )
    assert file.records() == reader.list()
    reader.close()
    by_hand(path, "ALTER TABLE swim_api_keys DROP COLUMN tier")
    with pytest.raises(SchemaMissing, match="rename the columns back"):
        file.records()


def test_what_can_t_be_read_is_told_as_the_store_tells_it(path: Path) -> None:
    file = KeyFile(path, busy_timeout_seconds=0.01)
    with pytest.raises(DatabaseAbsent):
        file.records()
    by_hand(path, "CREATE TABLE other (id)")
    with pytest.raises(SchemaMissing, match="swim_api_keys"):
        file.records()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    for work in (file.records, lambda: file.write(lambda connection: None)):
        with pytest.raises(StoreUnavailable, match="locked"):
            work()
    holder.close()
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreMisconfigured, match="damaged"):
        file.records()


@given(st.text(st.characters(codec="utf-8"), max_size=20), st.sampled_from(["sqlite", "sqlite+pysqlite"]))
def test_a_plain_url_is_read_like_sqlalchemy_reads_it(rest: str, driver: str) -> None:
    url = f"{driver}:///{rest}"
    found = plain_path(url)
    if found is not None:
        assert str(found) == str(Path(str(make_url(url).database)))
        assert make_url(url).query == {}
    name = describe_database(DatabaseConfig(url=f"{driver}:////var/lib/swim/{rest}.db"), "")
    assert "?" in rest or name.endswith(f"{rest}.db") or Path(f"/{rest}.db") != Path(f"/{rest}.db").resolve()


@pytest.mark.parametrize("url", ["sqlite:////srv/a b/swim.db", "sqlite+pysqlite:///swim.db", "sqlite:////x/50%25.db"])
def test_a_database_is_named_as_sqlalchemy_names_it(url: str) -> None:
    assert describe_database(DatabaseConfig(url=url), "") == make_url(url).render_as_string()
