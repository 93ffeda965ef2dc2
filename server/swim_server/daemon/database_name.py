"""Names a key database so that two can be told apart, without user or password."""

from __future__ import annotations

import re

from swim_server.config import DatabaseConfig
from swim_server.sql.sqlite_file import plain_path

_ODBC_FIELD = re.compile(r"\s*([^=;]+?)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;]*)\s*(?:;|$)")
"""A value may be in braces, and contain semicolons."""


def describe_database(config: DatabaseConfig, default_path: str) -> str:
    """Name a database by its location and name, so that two can be told apart; no user, no password."""
    if config.odbc is not None:
        kept = {"server", "address", "addr", "database", "port", "dsn"}
        shown = [f"{name}={value}" for name, value in _ODBC_FIELD.findall(config.odbc) if name.lower() in kept]
        return f"odbc {';'.join(shown)}"
    if config.url is None:
        return f"sqlite:///{default_path}"
    if (path := plain_path(config.url)) is not None:
        return f"{config.url.partition(':')[0]}:///{path}"
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(config.url)
    except ArgumentError:
        return "a database whose url can't be read"
    return URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()
