"""Opens the database of ADL tables that a configured connection names, read-only. Blocks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2s
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from swim_server.config import AdlDatabaseConfig
from swim_server.sql.database import ONLY_READS
from swim_server.sql.errors import StoreError, StoreUnavailable
from swim_server.sql.sqlserver import read_fault

RECYCLE_SECONDS = 1_500
MISSING_NUMBERS = frozenset({207, 208})
"""SQL Server: invalid column name, invalid object name."""
_PLACES = frozenset({"server", "address", "addr", "database", "dsn", "port"})
MISSING_STATES = frozenset({"42P01", "42703", "3F000"})
"""PostgreSQL: undefined table, undefined column, invalid schema name."""


class TablesUnreachable(Exception):
    """The tables can't be read: why and, if known, what to do. The text contains no password."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class AdlDatabase:
    """One connection, opened when it is first needed and discarded when it has failed. Used by one thread at a time."""

    def __init__(self, config: AdlDatabaseConfig, place: str) -> None:
        """Prepare the connection; ``place`` is its position in the configuration, for errors."""
        self._config = config
        self._place = place
        self._engine: Engine | None = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection for reading. Raises TablesUnreachable, also for errors raised inside the block."""
        try:
            if self._engine is None:
                self._engine = self._open()
            with self._engine.connect() as connection:
                connection.execution_options(**{ONLY_READS: True})
                yield connection
        except (SQLAlchemyError, StoreError, sqlite3.Error, ImportError) as error:
            self.close()
            raise TablesUnreachable(self._explain(error)) from error

    def is_missing(self, error: Exception) -> bool:
        """Tell whether an error says that a table or column doesn't exist."""
        original = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(original, sqlite3.Error):
            return str(original).startswith(("no such table", "no such column", "unknown database"))
        if getattr(original, "sqlstate", None) in MISSING_STATES:
            return True
        return read_fault(getattr(original, "args", ())).number in MISSING_NUMBERS

    def close(self) -> None:
        """Close the connection; the next reading opens it again."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _open(self) -> Engine:
        url = self._url()
        match url.get_backend_name():
            case "sqlite":
                return _open_sqlite(url, self._config)
            case "mssql":
                from swim_server.sql.sqlserver_engine import open_sqlserver

                return open_sqlserver(url, self._config).engine
            case "postgresql":
                return _open_postgresql(url, self._config)
            case other:
                raise TablesUnreachable(f"in {self._place} url: tables can't be read out of {other}")

    def _url(self) -> URL:
        try:
            return make_url(self._config.url or "mssql+pyodbc://")
        except ArgumentError:
            raise TablesUnreachable(f"in {self._place} url: not a database URL") from None

    def _explain(self, error: Exception) -> str:
        if isinstance(error, StoreUnavailable):
            return error.reason
        if isinstance(error, NoSuchModuleError | ImportError):
            return f"no driver for it is installed: {error}"
        original = error.orig if isinstance(error, DBAPIError) else error
        fault = read_fault(getattr(original, "args", ()))
        if fault.number or len(fault.state) == 5:
            return f"{fault.text or 'no answer'} ({fault.number or fault.state})"
        return (str(original).splitlines() or [type(original).__name__])[0][:300]


def identity(config: AdlDatabaseConfig) -> str:
    """Return a name for the database, independent of credentials: state of one is not used for another."""
    if config.odbc is not None:
        words = (word.partition("=") for word in config.odbc.lower().split(";"))
        told = ";".join(sorted(f"{key.strip()}={value.strip()}" for key, _, value in words if key.strip() in _PLACES))
    else:
        try:
            url = make_url(config.url or "")
            told = f"{url.get_backend_name()} {url.host} {url.port} {url.database}"
        except ArgumentError:
            told = ""
    return blake2s(told.encode(), digest_size=5).hexdigest()


def _open_sqlite(url: URL, config: AdlDatabaseConfig) -> Engine:
    """Open the provider's file, which is never created nor written to."""
    path = Path(url.database or "").absolute()

    def connect() -> Any:
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw", uri=True, timeout=config.query_timeout_seconds, check_same_thread=False
        )
        connection.execute("PRAGMA query_only=1").close()
        return connection

    creator: Callable[[], Any] = connect
    return create_engine("sqlite://", creator=creator, poolclass=NullPool, hide_parameters=True)


def _open_postgresql(url: URL, config: AdlDatabaseConfig) -> Engine:
    from swim_server.sql.sqlserver_engine import read_password

    url = url.set(username=url.username or config.username, password=url.password or read_password(config))
    limits: dict[str, Any] = {}
    if url.get_driver_name() in ("psycopg", "psycopg2"):
        limits = {
            "connect_timeout": max(1, round(config.connect_timeout_seconds)),
            # A time with a zone is compared in the session's zone: ours are UTC.
            "options": f"-c statement_timeout={round(config.query_timeout_seconds * 1000)} -c timezone=UTC",
        }
    return create_engine(
        url,
        connect_args=limits,
        hide_parameters=True,
        pool_size=config.pool_size,
        max_overflow=0,
        pool_timeout=config.connect_timeout_seconds,
        pool_recycle=RECYCLE_SECONDS,
        pool_pre_ping=True,
        isolation_level="AUTOCOMMIT",
    )
