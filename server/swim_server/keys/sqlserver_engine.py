"""SQL Server and Azure SQL through pyodbc: the engine, its timeouts, its credentials, its dead connections."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import DBAPIError

from swim_server.config import DatabaseConfig
from swim_server.keys.database import ONLY_READS, Database
from swim_server.keys.errors import StoreError, StoreMisconfigured
from swim_server.keys.identity import ManagedIdentity, TokenSource
from swim_server.keys.repeating import OnRepeat, patient
from swim_server.keys.sqlserver import NO_DRIVER_MANAGER, choose_driver, explain_fault, read_fault

ACCESS_TOKEN_ATTRIBUTE = 1256
"""``SQL_COPT_SS_ACCESS_TOKEN`` of Microsoft's driver."""
RECYCLE_SECONDS = 1_500
"""Azure drops connections that were idle for 30 minutes."""

_UID = re.compile(r"(?i)(?:^|;)\s*(?:uid|user id|user)\s*=")
_CREDENTIALS = re.compile(r"(?i);?\s*(?:uid|user id|user|pwd|password|authentication|trusted_connection)\s*=")


def open_sqlserver(
    url: URL,
    config: DatabaseConfig,
    *,
    patience_seconds: float = 0,
    on_repeat: OnRepeat | None = None,
    tokens: TokenSource | None = None,
) -> Database:
    """Make the engine; nothing is connected to yet. Raises StoreMisconfigured.

    ``patience_seconds``: how long a call is repeated while the server says that it is busy or waking up.
    """
    pyodbc = import_pyodbc()
    if config.authentication == "managed-identity" and tokens is None:
        tokens = ManagedIdentity(client_id=config.identity_client_id)
    connection_string = odbc_string(url, config, pyodbc)
    engine = create_engine(
        "mssql+pyodbc://",
        creator=_connector(pyodbc, connection_string, config, tokens),
        hide_parameters=True,
        pool_size=config.pool_size,
        max_overflow=0,
        pool_timeout=config.connect_timeout_seconds,
        pool_recycle=RECYCLE_SECONDS,
        pool_use_lifo=True,
    )
    event.listen(engine, "handle_error", _throw_spoiled_away)
    event.listen(engine, "begin", _begin)
    repeat = patient(patience_seconds, on_repeat) if patience_seconds > 0 else None
    return Database(engine, explain, repeat)


def import_pyodbc() -> ModuleType:
    """Import pyodbc, which needs the system's ODBC library. Raises StoreMisconfigured where that is missing."""
    try:
        import pyodbc
    except ImportError as error:
        raise NO_DRIVER_MANAGER from error
    pyodbc.pooling = False  # one pool is enough, and ours throws dead connections away
    module: ModuleType = pyodbc
    return module


def odbc_string(url: URL, config: DatabaseConfig, pyodbc: ModuleType) -> str:
    """Build the connection string: the configured one, or one from the URL, with the credentials that belong to it."""
    password = read_password(config)
    uses_token = config.authentication == "managed-identity"
    if config.odbc is not None:
        return _completed(config.odbc, config.username, password, uses_token)
    if uses_token and (url.username or url.password):
        raise StoreMisconfigured(
            "in [database] url: a user name stands beside a managed identity", "remove one of them"
        )
    url = url.set(username=url.username or config.username, password=url.password or password)
    query = {name.lower(): value for name, value in url.query.items()}
    if "odbc_connect" not in query and "dsn" not in query and "driver" not in query:
        driver = choose_driver(pyodbc.drivers())
        extra = {"driver": driver} | ({"TDS_Version": "7.4"} if driver == "FreeTDS" else {})
        url = url.update_query_dict(extra)
    dialect = url.get_dialect()()
    arguments, _ = dialect.create_connect_args(url)
    text = str(arguments[0])
    return text.replace(";Trusted_Connection=Yes", "") if uses_token else text


def read_password(config: DatabaseConfig) -> str | None:
    """The configured password, or the first line of the configured file. Raises StoreMisconfigured."""
    if config.password_file is None:
        return config.password
    if config.password is not None:
        raise StoreMisconfigured("in [database]: password and password_file are both set", "keep one of them")
    try:
        text = Path(config.password_file).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a text in UTF-8"
        raise StoreMisconfigured(f"in [database] password_file: can't read {config.password_file}", reason) from None
    return text.partition("\n")[0].rstrip("\r")


def braced(value: str) -> str:
    """A value as it must stand in a connection string: in braces, a closing one doubled."""
    return "{" + value.replace("}", "}}") + "}"


def explain(error: DBAPIError, was_used: bool) -> StoreError:
    """Tell what an error of a driver means for the caller."""
    arguments = getattr(error.orig, "args", ())
    return explain_fault(read_fault(arguments), was_used)


def _completed(odbc: str, username: str | None, password: str | None, uses_token: bool) -> str:
    if uses_token and _CREDENTIALS.search(odbc):
        raise StoreMisconfigured(
            "in [database] odbc: credentials stand beside a managed identity", "remove one of them"
        )
    text = odbc.rstrip().rstrip(";")
    if username is not None and not _UID.search(odbc):
        text += f";UID={braced(username)}"
    if password is not None:
        text += f";PWD={braced(password)}"
    return text


def _connector(
    pyodbc: ModuleType, connection_string: str, config: DatabaseConfig, tokens: TokenSource | None
) -> Callable[[], Any]:
    """How the pool makes a connection. Only this ``timeout`` is honoured for logins, not one in the string."""
    login_seconds, query_seconds = math.ceil(config.connect_timeout_seconds), math.ceil(config.query_timeout_seconds)

    def connect() -> Any:
        attributes = {} if tokens is None else {ACCESS_TOKEN_ATTRIBUTE: tokens.token()}
        connection = pyodbc.connect(connection_string, timeout=login_seconds, attrs_before=attributes)
        connection.timeout = query_seconds
        return connection

    return connect


def _begin(connection: Connection) -> None:
    """Spare what only reads the two messages that begin and end a transaction."""
    driver_connection: Any = connection.connection.dbapi_connection
    driver_connection.autocommit = bool(connection.get_execution_options().get(ONLY_READS))


def _throw_spoiled_away(context: ExceptionContext) -> None:
    """Let the pool drop a connection after an error that spoils it; SQLAlchemy doesn't know what these drivers say."""
    original = context.original_exception
    if context.connection is not None and read_fault(getattr(original, "args", ())).spoils_connection:
        context.is_disconnect = True
