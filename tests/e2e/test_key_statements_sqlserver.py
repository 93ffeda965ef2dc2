"""The statements that reach a SQL Server, compared word by word, and the migrations that it would run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.key_store_contract import OPERATOR, new_key
from support.odbc import DRIVERS, connection_string
from support.seeded_bytes import SeededBytes
from support.tds_server import Error, TdsServer
from support.tds_sqlite import SqliteStatements
from support.virtual_clock import VirtualClock
from swim_server.config import DatabaseConfig
from swim_server.keys.audit import AuditEntry
from swim_server.keys.authenticator import Authenticator
from swim_server.keys.opening import open_database
from swim_server.keys.records import Granted
from swim_server.keys.store import KeyStore
from swim_server.keys.upgrading import schema_status, upgrade, upgrade_sql
from swim_server.sql.errors import PermissionDenied, SchemaMissing

KEY_COLUMNS = [
    "id",
    "api_key",
    "tier",
    "owner_name",
    "owner_email",
    "description",
    "expires_at",
    "created_at",
    "last_used_at",
    "is_active",
    "source_id",
    "can_write",
    "allowed_sources",
    "ip_whitelist",
    "owner_cid",
    "key_hint",
]
AUDIT_COLUMNS = ["api_key_id", "endpoint", "method", "ip_address", "user_agent", "request_time", "details"]
SELECT_KEYS = f"SELECT {', '.join(f'swim_api_keys.{name}' for name in KEY_COLUMNS)} FROM swim_api_keys"
INSERT_KEY = (
    "INSERT INTO swim_api_keys (api_key, tier, owner_name, owner_email, created_at, is_active, can_write, key_hint)"
    " VALUES (@P1, @P2, @P3, @P4, @P5, @P6, @P7, @P8)"
)
SELECT_ID = "SELECT swim_api_keys.id, swim_api_keys.api_key FROM swim_api_keys WHERE swim_api_keys.api_key IN (@P1)"
INSERT_AUDIT = f"INSERT INTO swim_audit_log ({', '.join(AUDIT_COLUMNS)}) VALUES (@P1, @P2, @P3, @P4, @P5, @P6, @P7)"
AUDIT_ORDER = "ORDER BY swim_audit_log.request_time DESC, swim_audit_log.id DESC"
SELECT_AUDIT = (
    f"SELECT TOP 200 {', '.join(f'swim_audit_log.{name}' for name in ['id', *AUDIT_COLUMNS])} FROM swim_audit_log"
    f" WHERE swim_audit_log.method IN (@P1, @P2) {AUDIT_ORDER}"
)
OLD_TABLES = """
CREATE TABLE swim_api_keys (
  id INTEGER NOT NULL IDENTITY, api_key NVARCHAR(64) NOT NULL UNIQUE, tier NVARCHAR(20) NOT NULL,
  owner_name NVARCHAR(100) NOT NULL, owner_email NVARCHAR(255) NOT NULL, description NVARCHAR(500),
  expires_at DATETIME2, created_at DATETIME2, last_used_at DATETIME2, is_active BIT NOT NULL DEFAULT 1);
CREATE TABLE swim_audit_log (
  id BIGINT NOT NULL IDENTITY, api_key_id INT, endpoint NVARCHAR(255) NOT NULL, method NVARCHAR(10) NOT NULL,
  ip_address NVARCHAR(45) NOT NULL, user_agent NVARCHAR(500), request_time DATETIME2 NOT NULL)
"""


@pytest.fixture
def statements(tmp_path: Path) -> SqliteStatements:
    return SqliteStatements(tmp_path / "behind.db")


@pytest.fixture
def server(statements: SqliteStatements) -> Iterator[TdsServer]:
    with TdsServer(statements) as server:
        yield server


def open_store(server: TdsServer, tmp_path: Path, driver: str = "microsoft") -> KeyStore:
    odbc = connection_string(driver, server.port)
    database = open_database(DatabaseConfig(odbc=odbc), tmp_path / "unused.db")
    return KeyStore(database, clock=VirtualClock(), randbytes=SeededBytes(1))


def test_each_call_sends_the_statements_that_it_should(
    statements: SqliteStatements, server: TdsServer, tmp_path: Path
) -> None:
    statements.create_tables()
    store = open_store(server, tmp_path)
    issued = store.create(new_key(), OPERATOR)
    entry = AuditEntry(at=VirtualClock().now, action="refuse", key_id=1, actor="client", origin="::1", detail="x")
    calls: dict[str, Callable[[], object]] = {
        "create": lambda: store.create(new_key(), OPERATOR),
        "find": lambda: store.find(issued.api_key),
        "records": lambda: store.records([1, 2]),
        "records, many": lambda: store.records(range(1, 5_000)),
        "list": store.list,
        "audit": store.audit,
        "expire": lambda: store.expire(1, VirtualClock().now + timedelta(2), OPERATOR),
        "touch": lambda: store.touch([1, 2], VirtualClock().now),
        "log": lambda: store.log_refusals([entry]),
        "rotate": lambda: store.rotate(2, timedelta(1), OPERATOR),
    }
    by_id = "WHERE swim_api_keys.id"
    expected = {
        "create": [INSERT_KEY, SELECT_ID, f"{SELECT_KEYS} {by_id} = @P1", INSERT_AUDIT],
        "find": [f"{SELECT_KEYS} WHERE swim_api_keys.api_key IN (@P1, @P2)"],
        "records": [f"{SELECT_KEYS} {by_id} IN (@P1, @P2)"],
        "records, many": [f"{SELECT_KEYS} {by_id} BETWEEN @P1 AND @P2"],
        "list": [SELECT_KEYS],
        "audit": [SELECT_AUDIT],
        "expire": [
            f"UPDATE swim_api_keys SET expires_at=@P1 {by_id} = @P2",
            f"{SELECT_KEYS} {by_id} = @P1",
            INSERT_AUDIT,
        ],
        "touch": [f"UPDATE swim_api_keys SET last_used_at=@P1 {by_id} IN (@P2, @P3)"],
        "log": [INSERT_AUDIT],
        "rotate": [
            f"UPDATE swim_api_keys SET is_active=swim_api_keys.is_active {by_id} = @P1",
            f"{SELECT_KEYS} {by_id} = @P1",
            f"UPDATE swim_api_keys SET expires_at=@P1 {by_id} = @P2",
            INSERT_KEY,
            SELECT_ID,
            f"{SELECT_KEYS} {by_id} = @P1",
            INSERT_AUDIT + ", (@P8, @P9, @P10, @P11, @P12, @P13, @P14)",
        ],
    }
    sent = {}
    for name, call in calls.items():
        server.sql.clear()
        call()
        sent[name] = [" ".join(sql.split()) for sql in server.sql]
    store.close()
    assert sent == expected


def test_what_only_reads_sends_one_message(statements: SqliteStatements, server: TdsServer, tmp_path: Path) -> None:
    """No transaction is begun and ended around it: on a server far away that would take three times as long."""
    statements.create_tables()
    store = open_store(server, tmp_path)
    issued = store.create(new_key(), OPERATOR)
    requests: list[str] = []
    server.on_statement = requests.append
    store.find(issued.api_key)
    store.close()
    assert len(requests) == 1
    assert requests[0].startswith("SELECT swim_api_keys.id")


LOOKUP_ROUND_TRIPS = {"microsoft": 1, "freetds": 2}
"""FreeTDS prepares anew whenever values are bound, and forgets the statement before in a round trip of its own."""


@pytest.mark.parametrize("driver", DRIVERS)
def test_lookup_costs_as_few_round_trips_as_its_driver_can_do(
    statements: SqliteStatements, server: TdsServer, tmp_path: Path, driver: str
) -> None:
    statements.create_tables()
    store = open_store(server, tmp_path, driver)
    issued = store.create(new_key(), OPERATOR)
    taken = []
    for _ in range(4):
        before = server.round_trips
        assert store.find(issued.api_key) == issued.record
        taken.append(server.round_trips - before)
    store.close()
    assert taken[1:] == [LOOKUP_ROUND_TRIPS[driver]] * 3, taken


@pytest.mark.parametrize("driver", DRIVERS)
def test_prepared_statement_that_the_server_has_forgotten_is_prepared_anew(
    statements: SqliteStatements, server: TdsServer, tmp_path: Path, driver: str
) -> None:
    statements.create_tables()
    store = open_store(server, tmp_path, driver)
    issued = store.create(new_key(), OPERATOR)
    store.find(issued.api_key)
    store.find(issued.api_key)
    forgotten = iter([Error(8179, "Could not find prepared statement with handle 1.", 16)])
    server.on_statement = lambda sql: next(forgotten, None)
    assert store.find(issued.api_key) == issued.record
    assert next(forgotten, None) is None
    before = server.round_trips
    assert store.find(issued.api_key) == issued.record
    assert server.round_trips - before == LOOKUP_ROUND_TRIPS[driver]
    assert len(server.logins) == 1
    store.close()


@pytest.mark.parametrize("driver", DRIVERS)
def test_statements_that_are_kept_prepared_are_few(
    statements: SqliteStatements, server: TdsServer, tmp_path: Path, driver: str
) -> None:
    """Lists of any length are asked for by statements of few lengths; the ones beyond that are forgotten in turn."""
    statements.create_tables()
    store = open_store(server, tmp_path, driver)
    made = store.create(new_key(), OPERATOR)
    for count in (*range(1, 40), 300, 700, 1900, 2000):
        found = store.records(range(made.record.id, made.record.id + count))
        assert list(found) == [made.record.id]
    asked = {sql for sql in server.sql if " IN (" in sql}
    assert len(asked) <= 13
    assert store.find(made.api_key) == made.record
    store.close()


@pytest.mark.parametrize("driver", DRIVERS)
async def test_lookups_of_one_turn_are_one_query(
    statements: SqliteStatements, server: TdsServer, tmp_path: Path, driver: str
) -> None:
    statements.create_tables()
    store = open_store(server, tmp_path, driver)
    made = [store.create(new_key(), OPERATOR) for _ in range(40)]
    store.find(made[0].api_key)
    authenticator = Authenticator(store)
    before = len(server.sql)
    decisions = await asyncio.gather(
        *(authenticator.authenticate(each.api_key, "192.0.2.7") for each in made for _ in range(3))
    )
    taken = len(server.sql) - before
    await authenticator.close()
    assert all(isinstance(decision, Granted) for decision in decisions)
    assert taken == 1


@pytest.mark.parametrize("driver", DRIVERS)
def test_login_without_rights_to_the_audit_trail_checks_and_changes_keys(
    statements: SqliteStatements, server: TdsServer, tmp_path: Path, driver: str
) -> None:
    statements.create_tables()
    denied = Error(229, "The SELECT permission was denied on the object 'swim_audit_log'.", 14)
    server.on_statement = lambda sql: denied if "swim_audit_log" in sql else None
    store = open_store(server, tmp_path, driver)
    issued = store.create(new_key(), OPERATOR)
    assert store.find(issued.api_key) == issued.record
    assert store.revoke(issued.record.id, None, OPERATOR).is_active is False
    assert not store.is_audited
    store.close()


@pytest.mark.parametrize("driver", DRIVERS)
def test_upgrade_of_an_empty_database_makes_everything(server: TdsServer, tmp_path: Path, driver: str) -> None:
    store = open_store(server, tmp_path, driver)
    with pytest.raises(SchemaMissing, match="table swim_api_keys"):
        store.list()
    upgrade(store.database)
    assert schema_status(store.database).is_up_to_date
    assert store.create(new_key(ip_whitelist=("10.0.0.0/8",)), OPERATOR).record.ip_whitelist == ("10.0.0.0/8",)
    store.close()


def test_upgrade_of_an_old_installation_only_adds_nullable_columns(
    statements: SqliteStatements, server: TdsServer, tmp_path: Path
) -> None:
    statements.execute_script(OLD_TABLES)
    store = open_store(server, tmp_path)
    issued = store.create(new_key(), OPERATOR)
    assert schema_status(store.database).missing == {
        "swim_api_keys": ("source_id", "can_write", "allowed_sources", "ip_whitelist", "owner_cid", "key_hint"),
        "swim_audit_log": ("details",),
    }
    server.sql.clear()
    upgrade(store.database)
    changes = [sql.strip() for sql in server.sql if sql.strip().startswith(("ALTER", "DROP", "CREATE", "EXEC"))]
    assert [change.split("(")[0].strip() for change in changes[:1]] == ["CREATE TABLE swim_schema_version"]
    assert changes[1:] == [
        "ALTER TABLE swim_api_keys ADD source_id NVARCHAR(50) NULL",
        "ALTER TABLE swim_api_keys ADD can_write BIT NULL",
        "ALTER TABLE swim_api_keys ADD allowed_sources NVARCHAR(max) NULL",
        "ALTER TABLE swim_api_keys ADD ip_whitelist NVARCHAR(max) NULL",
        "ALTER TABLE swim_api_keys ADD owner_cid INTEGER NULL",
        "ALTER TABLE swim_api_keys ADD key_hint NVARCHAR(40) NULL",
        "ALTER TABLE swim_audit_log ADD details NVARCHAR(max) NULL",
    ]
    store.close()
    again = open_store(server, tmp_path)
    assert again.find(issued.api_key) is not None
    again.close()


def test_printed_upgrade_says_the_same_and_changes_nothing(
    statements: SqliteStatements, server: TdsServer, tmp_path: Path
) -> None:
    statements.execute_script(OLD_TABLES)
    store = open_store(server, tmp_path)
    text = upgrade_sql(store.database)
    assert not [sql for sql in server.sql if not sql.strip().startswith("SELECT")]
    lines = [line for line in text.splitlines() if line and not line.startswith("--")]
    assert lines[0] == "BEGIN TRANSACTION;"
    assert "ALTER TABLE swim_api_keys ADD key_hint NVARCHAR(40) NULL;" in lines
    assert "ALTER TABLE swim_audit_log ADD details NVARCHAR(max) NULL;" in lines
    assert lines[-2:] == ["COMMIT;", "GO"]
    assert not [word for word in ("DROP", "RENAME", "ALTER COLUMN", "DELETE") if word in text.upper()]
    store.close()


def test_upgrade_says_only_what_it_did_and_names_what_it_may_not_add(
    statements: SqliteStatements, server: TdsServer, tmp_path: Path
) -> None:
    statements.execute_script(OLD_TABLES)
    statements.execute_script("ALTER TABLE swim_api_keys RENAME COLUMN is_active TO active")
    store = open_store(server, tmp_path)
    with pytest.raises(SchemaMissing, match="is_active") as caught:
        store.list()
    assert "db upgrade" not in caught.value.remedy
    upgraded = upgrade(store.database)
    assert "is_active" not in upgraded.added["swim_api_keys"]
    assert "key_hint" in upgraded.added["swim_api_keys"]
    assert upgraded.left == {"swim_api_keys": ("is_active",)}
    assert upgrade(store.database).added == {}
    store.close()


def test_audit_trail_that_may_not_be_read_is_not_taken_for_a_missing_one(
    statements: SqliteStatements, server: TdsServer, tmp_path: Path
) -> None:
    statements.create_tables()
    denied = Error(229, "The SELECT permission was denied on the object 'swim_audit_log'.", 14)
    server.on_statement = lambda sql: denied if "swim_audit_log" in sql else None
    store = open_store(server, tmp_path)
    status = schema_status(store.database)
    assert status.missing == {}
    assert "229" in str(status.not_permitted)
    for ask in (store.audit, lambda: upgrade_sql(store.database), lambda: upgrade(store.database)):
        with pytest.raises(PermissionDenied, match="229"):
            ask()
    store.close()


def test_optional_column_that_goes_away_costs_no_lookup(
    statements: SqliteStatements, server: TdsServer, tmp_path: Path
) -> None:
    statements.create_tables()
    store = open_store(server, tmp_path)
    issued = store.create(new_key(), OPERATOR)
    statements.execute_script("ALTER TABLE swim_api_keys DROP COLUMN key_hint")
    assert store.find(issued.api_key) is not None
    store.close()
