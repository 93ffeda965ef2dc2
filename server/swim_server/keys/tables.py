"""The two tables for SQLAlchemy Core, with column types that both databases read the same way.

The columns are those of existing installations; ``swim_audit_log`` too is a table of the earlier system, whose REST
interface writes its requests to it, so our rows are distinguished by ``method``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Dialect, Index, Integer, MetaData, Table, Unicode, text
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from swim_server.keys.key_file.values import read_bit, read_time, stored_bit, stored_time


class _SqliteColumn(UserDefinedType[Any]):
    """A SQLite column by its declared type; values are passed through unchanged."""

    cache_ok = True

    def __init__(self, declared: str) -> None:
        self.declared = declared

    def get_col_spec(self, **_: Any) -> str:
        return self.declared


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time: DATETIME2 on SQL Server, ``YYYY-MM-DD HH:MM:SS.ffffff`` text on SQLite.

    Reading tolerates what other programs write into SQLite (``datetime('now')``, ISO 8601 with an offset, epoch
    seconds). What can't be read becomes the epoch, so that a broken ``expires_at`` never keeps a key valid.
    """

    impl = Unicode
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name != "mssql":
            return dialect.type_descriptor(_SqliteColumn("DATETIME"))
        from sqlalchemy.dialects.mssql import DATETIME2

        return dialect.type_descriptor(DATETIME2())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is not None and dialect.name == "mssql":
            return value.astimezone(UTC).replace(tzinfo=None)
        return stored_time(value)

    def process_result_value(self, value: object, dialect: Dialect) -> datetime | None:
        return read_time(value)


class Bit(TypeDecorator[bool]):
    """A BIT. Only what is clearly 1 reads as true: a key with an unreadable ``is_active`` is not active."""

    impl = Integer
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name != "mssql":
            return dialect.type_descriptor(_SqliteColumn("BIT"))
        from sqlalchemy.dialects.mssql import BIT

        return dialect.type_descriptor(BIT())

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> int | None:
        return stored_bit(value)

    def process_result_value(self, value: object, dialect: Dialect) -> bool | None:
        return read_bit(value)


metadata = MetaData()
big_identity = BigInteger().with_variant(Integer, "sqlite")
"""SQLite autoincrements only INTEGER columns."""

api_keys = Table(
    "swim_api_keys",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("api_key", Unicode(64), nullable=False, unique=True),
    Column("tier", Unicode(20), nullable=False),
    Column("owner_name", Unicode(100), nullable=False),
    Column("owner_email", Unicode(255)),
    Column("description", Unicode(500)),
    Column("expires_at", UtcDateTime),
    Column("created_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    Column("is_active", Bit, nullable=False, server_default=text("1")),
    Column("source_id", Unicode(50)),
    Column("can_write", Bit),
    Column("allowed_sources", Unicode()),
    Column("ip_whitelist", Unicode()),
    Column("owner_cid", Integer),
    Column("key_hint", Unicode(40)),
    sqlite_autoincrement=True,
)

audit_log = Table(
    "swim_audit_log",
    metadata,
    Column("id", big_identity, primary_key=True, autoincrement=True),
    Column("api_key_id", Integer),
    Column("endpoint", Unicode(255), nullable=False),
    Column("method", Unicode(10), nullable=False),
    Column("ip_address", Unicode(45), nullable=False),
    Column("user_agent", Unicode(500)),
    Column("request_time", UtcDateTime, nullable=False),
    Column("details", Unicode()),
    sqlite_autoincrement=True,
)

Index("IX_swim_audit_log_key", audit_log.c.api_key_id, audit_log.c.request_time)
Index("IX_swim_audit_log_time", audit_log.c.request_time)
