"""Opens the key database that the configuration names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from swim_server.config import DatabaseConfig
from swim_server.sql.database import Database
from swim_server.sql.errors import StoreMisconfigured, StoreUnavailable
from swim_server.sql.sqlite import open_sqlite


def open_database(
    config: DatabaseConfig,
    default_path: Path,
    *,
    patience_seconds: float = 0,
    on_repeat: Callable[[StoreUnavailable, float], None] | None = None,
    is_read_only: bool = False,
) -> Database:
    """Open the configured database, or the SQLite file at ``default_path``. Raises StoreMisconfigured.

    The connection to a server is made with the first query. ``patience_seconds``: how long a call may be retried while
    a server reports that it is busy or waking up; for operators at a terminal, not for clients that connect.
    ``on_repeat`` is called before each wait, with its length in seconds. ``is_read_only``: no file is created; raises
    DatabaseAbsent if there is none.
    """
    if config.odbc is not None and config.url is not None:
        raise StoreMisconfigured("in [database]: url and odbc are both set", "keep one of them")
    if config.odbc is None and config.url is None:
        url = make_url("sqlite://").set(database=str(default_path))
    else:
        try:
            url = make_url(config.url or "mssql+pyodbc://")
        except ArgumentError:
            raise StoreMisconfigured("in [database] url: not a database URL", EXAMPLES) from None
    match url.get_backend_name():
        case "sqlite":
            return open_sqlite(
                url,
                busy_timeout_seconds=config.query_timeout_seconds,
                pool_size=config.pool_size,
                is_read_only=is_read_only,
            )
        case "mssql":
            from swim_server.sql.sqlserver_engine import open_sqlserver

            return open_sqlserver(url, config, patience_seconds=patience_seconds, on_repeat=on_repeat)
        case other:
            raise StoreMisconfigured(f"in [database] url: {other} is not a database that keys can live in", EXAMPLES)


EXAMPLES = "use sqlite:///path/to/swim.db or mssql+pyodbc://user@host/database"
