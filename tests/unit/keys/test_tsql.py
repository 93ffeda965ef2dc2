"""No statement of ours is unproven by a grammar of T-SQL, whether or not a driver is there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Table, func, select
from sqlalchemy.dialects.mssql.pyodbc import MSDialect_pyodbc
from sqlalchemy.schema import CreateIndex, CreateTable
from support.key_store_contract import OPERATOR, new_key
from support.seeded_bytes import SeededBytes
from support.tsql import NotTsql, Statements, check_tsql
from support.virtual_clock import VirtualClock
from swim_server.config import DatabaseConfig
from swim_server.keys.audit import AuditEntry
from swim_server.keys.opening import open_database
from swim_server.keys.store import KeyStore
from swim_server.keys.tables import metadata

from swimctl.doctor.probes.database import sql_access


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KeyStore]:
    store = KeyStore(
        open_database(DatabaseConfig(), tmp_path / "swim.db"), clock=VirtualClock(), randbytes=SeededBytes(1)
    )
    yield store
    store.close()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM swim_api_keys WHERE is_active IS @P2",
        "SELECT id FROM swim_api_keys WHERE is_active = TRUE",
        "SELECT 'a' || 'b'",
        "SELECT id FROM swim_api_keys WHERE (is_active = 1",
        "SELECT id FROM swim_api_keys ORDER BY",
        "INSERT INTO swim_api_keys (id VALUES (1)",
    ],
)
def test_what_sql_server_would_refuse_is_found(sql: str) -> None:
    with pytest.raises(NotTsql):
        check_tsql(sql)


def test_every_statement_about_keys_is_tsql(store: KeyStore) -> None:
    statements = Statements(store.database.engine)
    issued = store.create(new_key(), OPERATOR)
    store.find(issued.api_key)
    store.records([1, 2])
    store.records(range(1, 5_000))
    store.list()
    store.audit(1)
    store.expire(1, VirtualClock().now + timedelta(2), OPERATOR)
    store.touch([1, 2], VirtualClock().now)
    store.log_refusals([AuditEntry(at=VirtualClock().now, action="refuse", key_id=1, actor="c", origin="::1")])
    store.rotate(1, timedelta(1), OPERATOR)
    store.revoke(1, "lost", OPERATOR)
    assert len({sql.split(" ")[0] for sql in statements.sent} & {"SELECT", "INSERT", "UPDATE"}) == 3


def test_every_statement_of_the_doctor_is_tsql(store: KeyStore) -> None:
    store.list()
    statements = Statements(store.database.engine)
    marked = sql_access.mark(store.database)
    sql_access.remove(store.database, marked.key_id)
    assert [sql for sql in statements.sent if sql.startswith("DELETE")]
    assert store.list() == []
    check_tsql(str(select(func.sysutcdatetime()).compile(dialect=MSDialect_pyodbc())))


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_every_table_is_made_by_tsql(table: Table) -> None:
    dialect = MSDialect_pyodbc()
    check_tsql(str(CreateTable(table).compile(dialect=dialect)))
    for index in table.indexes:
        check_tsql(str(CreateIndex(index).compile(dialect=dialect)))
