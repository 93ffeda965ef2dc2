"""The key store's contract through pyodbc, with Microsoft's driver and FreeTDS.

Behind the scripted server stands SQLite, which is no judge of T-SQL. ``SWIM_TEST_SQLSERVER``, an ODBC connection
string of an empty database of a real SQL Server, runs the same contract there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.key_store_contract import KeyStoreContract
from support.odbc import DRIVERS, connection_string
from support.seeded_bytes import SeededBytes
from support.tds_server import TdsServer
from support.tds_sqlite import SqliteStatements
from support.virtual_clock import VirtualClock
from swim_server.config import DatabaseConfig
from swim_server.keys.opening import open_database
from swim_server.keys.store import KeyStore
from swim_server.keys.tables import metadata

REAL_SERVER = os.environ.get("SWIM_TEST_SQLSERVER")
ENGINES = [*DRIVERS, *(["server"] if REAL_SERVER else [])]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(params=ENGINES)
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "server":
        assert REAL_SERVER is not None
        yield REAL_SERVER
        return
    statements = SqliteStatements(tmp_path / "behind.db")
    statements.create_tables()
    with TdsServer(statements) as server:
        yield connection_string(request.param, server.port)


@pytest.fixture
def store(connection: str, clock: VirtualClock, tmp_path: Path) -> Iterator[KeyStore]:
    database = open_database(DatabaseConfig(odbc=connection), tmp_path / "unused.db")
    if connection == REAL_SERVER:
        metadata.drop_all(database.engine)
        metadata.create_all(database.engine)
    store = KeyStore(database, clock=clock, randbytes=SeededBytes(1))
    yield store
    store.close()


class TestContract(KeyStoreContract):
    """The contract, through pyodbc."""
