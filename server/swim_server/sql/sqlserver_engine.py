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

from swim_server.config import DatabaseConfig
from swim_server.sql.database import ONLY_READS, Database
from swim_server.sql.errors import StoreError, StoreMisconfigured
from swim_server.sql.managed_identity import ManagedIdentity, TokenSource
from swim_server.sql.prepared import keep_prepared
from swim_server.sql.retry import OnRepeat, patient
from swim_server.sql.sqlserver import NO_DRIVER_MANAGER, choose_driver, explain_fault, read_fault

ACCESS_TOKEN_ATTRIBUTE = 1256
"""``SQL_COPT_SS_ACCESS_TOKEN`` of Microsoft's driver."""
RECYCLE_SECONDS = 1_500
"""Azure drops connections that have been idle for 30 minutes."""

_UID = re.compile(r"(?i)(?:^|;)\s*(?:uid|user id|user)\s*=")
_FREETDS = re.compile(r"(?i)driver\s*=\s*\{?[^;]*(?:freetds|tdsodbc)")
_PORT = re.compile(r"(?i)(server=[^;,]+),(\d+)")
"""A port as Microsoft's driver reads it; FreeTDS takes ``host,1433`` for a host name."""
_CREDENTIALS = re.compile(r"(?i)(?:^|;)\s*(?:uid|user id|user|pwd|password|authentication|trusted_connection)\s*=")


def open_sqlserver(
    url: URL,
    config: DatabaseConfig,
    *,
    patience_seconds: float = 0,
    on_repeat: OnRepeat | None = None,
    tokens: TokenSource | None = None,
) -> Database:
    """Build the engine, without connecting yet. Raises StoreMisconfigured.

    ``patience_seconds``: how long a call is retried while the server reports that it is busy or waking up.
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
    keep_prepared(engine)
    repeat = patient(patience_seconds, on_repeat) if patience_seconds > 0 else None
    return Database(engine, explain, repeat)


def import_pyodbc() -> ModuleType:
    """Import pyodbc, which needs the system's ODBC library. Raises StoreMisconfigured if that is missing."""
    try:
        import pyodbc
    except ImportError as error:
        raise NO_DRIVER_MANAGER from error
    pyodbc.pooling = False  # one pool is enough, and ours discards dead connections
    module: ModuleType = pyodbc
    return module


def odbc_string(url: URL, config: DatabaseConfig, pyodbc: ModuleType) -> str:
    """Build the connection string: the configured one, or one from the URL, with its credentials."""
    odbc = config.odbc or _query_value(url, "odbc_connect")
    username, password = config.username or url.username, read_password(config) or url.password
    if odbc is None:
        odbc = _string_of(url, pyodbc)
    uses_token = config.authentication == "managed-identity"
    if uses_token and (username or password or _CREDENTIALS.search(odbc)):
        raise StoreMisconfigured("in [database]: credentials stand beside a managed identity", "remove one of them")
    if uses_token and _FREETDS.search(odbc):
        raise StoreMisconfigured("FreeTDS can't log in with a managed identity", "use Microsoft's msodbcsql18")
    if not uses_token and not username and config.odbc is None and "odbc_connect" not in url.query:
        odbc += ";Trusted_Connection=Yes"
    return with_credentials(odbc, username, password)


def with_credentials(odbc: str, username: str | None, password: str | None) -> str:
    """Append user and password to a connection string, as its driver reads them."""
    brace = braced_for_freetds if _FREETDS.search(odbc) else braced
    text = odbc.rstrip().rstrip(";") + ";"
    if username and not _UID.search(odbc):
        text += f"UID={brace(username)};"
    if password is not None:
        text += f"PWD={brace(password)};"
    return text


def _string_of(url: URL, pyodbc: ModuleType) -> str:
    """Return the connection string that SQLAlchemy builds from a URL, without the URL's credentials."""
    url = URL.create(url.drivername, host=url.host, port=url.port, database=url.database, query=url.query)
    if not {"driver", "dsn"} & {name.lower() for name in url.query}:
        driver = choose_driver(pyodbc.drivers())
        url = url.update_query_dict({"driver": driver} | ({"TDS_Version": "7.4"} if driver == "FreeTDS" else {}))
    arguments, _ = url.get_dialect()().create_connect_args(url)
    text = str(arguments[0]).replace(";Trusted_Connection=Yes", "")
    return _PORT.sub(r"\1;Port=\2", text) if _FREETDS.search(text) else text


def _query_value(url: URL, name: str) -> str | None:
    value = url.query.get(name)
    return value if value is None or isinstance(value, str) else value[-1]


def read_password(config: DatabaseConfig) -> str | None:
    """Return the configured password, or the first line of the configured file. Raises StoreMisconfigured."""
    if config.password_file is None:
        return config.password
    if config.password is not None:
        raise StoreMisconfigured("in [database]: password and password_file are both set", "keep one of them")
    try:
        text = Path(config.password_file).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not UTF-8 text"
        raise StoreMisconfigured(f"in [database] password_file: can't read {config.password_file}", reason) from None
    return text.partition("\n")[0].rstrip("\r")


def braced(value: str) -> str:
    """Quote a value for a connection string: in braces, with closing braces doubled."""
    return "{" + value.replace("}", "}}") + "}"


def braced_for_freetds(value: str) -> str:
    """Quote a value for FreeTDS 1.3, which reads up to ``};`` and does not undo doubled braces."""
    if "};" in value:
        raise StoreMisconfigured(
            "FreeTDS can't take a password with '};' in it", "use Microsoft's driver, or another password"
        )
    return "{" + value + "}"


def explain(error: BaseException | None, was_used: bool) -> StoreError:
    """Return what an error of a driver means for the caller."""
    fault = read_fault(getattr(error, "args", ()))
    installed = import_pyodbc().drivers() if fault.is_no_driver else ()
    return explain_fault(fault, was_used, installed)


def _connector(
    pyodbc: ModuleType, connection_string: str, config: DatabaseConfig, tokens: TokenSource | None
) -> Callable[[], Any]:
    """Return the function with which the pool connects. Only this ``timeout`` applies to logins."""
    login_seconds, query_seconds = math.ceil(config.connect_timeout_seconds), math.ceil(config.query_timeout_seconds)

    def connect() -> Any:
        attributes = {} if tokens is None else {ACCESS_TOKEN_ATTRIBUTE: tokens.token()}
        connection = pyodbc.connect(connection_string, timeout=login_seconds, attrs_before=attributes)
        connection.timeout = query_seconds
        return connection

    return connect


def _begin(connection: Connection) -> None:
    """Skip the two messages that begin and end a transaction if there are only reads."""
    driver_connection: Any = connection.connection.dbapi_connection
    try:
        driver_connection.autocommit = bool(connection.get_execution_options().get(ONLY_READS))
    except connection.dialect.loaded_dbapi.Error as error:
        connection.invalidate(error)
        raise


def _throw_spoiled_away(context: ExceptionContext) -> None:
    """Make the pool drop a connection after an error that spoils it; SQLAlchemy doesn't know these drivers' errors."""
    original = context.original_exception
    if context.connection is not None and read_fault(getattr(original, "args", ())).spoils_connection:
        context.is_disconnect = True
