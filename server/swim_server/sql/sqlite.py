"""The embedded key database: a SQLite file accessible only to its owner.

It uses SQLite's rollback journal, as keys change seldom: the one file is the whole database and can be copied at any
moment; an exclusive lock also blocks readers.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL

from swim_server.sql.database import ONLY_READS, Database
from swim_server.sql.errors import StoreMisconfigured
from swim_server.sql.sqlite_file import create_private_file, explain, explain_of_file, set_up, uri_to_read


def open_sqlite(
    url: URL, *, busy_timeout_seconds: float = 5, pool_size: int = 5, is_read_only: bool = False
) -> Database:
    """Open a SQLite file, created with mode 0600 if it doesn't exist yet. Raises StoreMisconfigured.

    ``is_read_only``: nothing is created or written. Raises DatabaseAbsent if there is nothing to read.
    """
    if not url.database or url.database == ":memory:":
        raise StoreMisconfigured("the key database must be a file, not one in memory", "set [database] url")
    path = Path(url.database)
    if is_read_only:
        url = url.set(database=uri_to_read(path), query={**url.query, "mode": "ro", "uri": "true"})
    else:
        create_private_file(path)
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=busy_timeout_seconds,
        connect_args={"timeout": busy_timeout_seconds, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: Any) -> None:
        set_up(connection)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get(ONLY_READS):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return Database(engine, partial(explain_of_file, path), is_read_only=is_read_only)


def open_nothing() -> Database:
    """Open an empty database in memory, equal to a file before it is created."""
    return Database(create_engine("sqlite://"), explain)
