"""Which of our columns a database has: read once, and tolerated if dispensable ones are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.sql.errors import PermissionDenied, SchemaMissing

if TYPE_CHECKING:
    from sqlalchemy import Column, Select, Table

    from swim_server.sql.database import Database

KEYS_TABLE, AUDIT_TABLE = "swim_api_keys", "swim_audit_log"
KEY_COLUMNS = (
    "id", "api_key", "tier", "owner_name", "owner_email", "description", "expires_at", "created_at", "last_used_at",
    "is_active", "source_id", "can_write", "allowed_sources", "ip_whitelist", "owner_cid", "key_hint",
)  # fmt: skip
"""In the table's order, known without SQLAlchemy."""
NOT_NULL = frozenset({"id", "api_key", "tier", "owner_name", "is_active"})
"""Columns of ``swim_api_keys`` that can't be added to a table with rows."""
NEEDED_KEY_COLUMNS = frozenset({"id", "api_key", "tier", "owner_name", "expires_at", "is_active"})
"""Without one of these no key can be judged. Any other column may be missing."""
AUDIT_COLUMNS = (
    "id", "api_key_id", "endpoint", "method", "ip_address", "user_agent", "request_time", "details",
)  # fmt: skip
NEEDED_AUDIT_COLUMNS = frozenset({"api_key_id", "endpoint", "method", "ip_address", "user_agent", "request_time"})

REMEDY_FOR_LEFT = "rename the columns back, or restore the table: an upgrade adds only nullable columns"
"""The remedy for a missing column that an upgrade can't add to a table with rows."""


class Schema(msgspec.Struct, frozen=True):
    """The columns found, in lower case; an empty set: the table does not exist."""

    key_columns: frozenset[str]
    audit_columns: frozenset[str]
    audit_refusal: str | None = None
    """Why the login may not read the audit trail; whether its table exists is unknown then."""

    def require_keys(self) -> None:
        """Raise SchemaMissing if no key could be judged."""
        if not self.key_columns:
            raise SchemaMissing(KEYS_TABLE)
        if missing := sorted(NEEDED_KEY_COLUMNS - self.key_columns):
            remedy = {} if NOT_NULL.isdisjoint(missing) else {"remedy": REMEDY_FOR_LEFT}
            raise SchemaMissing(KEYS_TABLE, missing, **remedy)

    @property
    def can_audit(self) -> bool:
        """Tell whether the audit trail can be written."""
        return self.audit_columns >= NEEDED_AUDIT_COLUMNS

    def selectable(self) -> list[Column[Any]]:
        """Return the columns of ``swim_api_keys`` that exist."""
        from swim_server.keys.tables import api_keys

        return [column for column in api_keys.columns if column.name in self.key_columns]

    def storable(self, values: Mapping[str, object]) -> dict[str, Any]:
        """Remove from a key's values those without a column."""
        return {name: value for name, value in values.items() if name in self.key_columns}

    def missing(self) -> dict[str, tuple[str, ...]]:
        """Return what ``db upgrade`` would add: table -> columns, all of them if the table itself is missing."""
        absent = {KEYS_TABLE: _absent(KEY_COLUMNS, self.key_columns)}
        if self.audit_refusal is None:
            absent[AUDIT_TABLE] = _absent(AUDIT_COLUMNS, self.audit_columns)
        return {table: columns for table, columns in absent.items() if columns}


def observe(database: Database) -> Schema:
    """Find out which columns exist, by reading no rows from each table. Raises StoreError."""
    from swim_server.keys.tables import api_keys, audit_log

    try:
        audit_columns, audit_refusal = _columns_of(database, audit_log), None
    except PermissionDenied as denied:
        audit_columns, audit_refusal = frozenset(), denied.problem  # a login that only checks keys needs no right to it
    return Schema(_columns_of(database, api_keys), audit_columns, audit_refusal)


def _columns_of(database: Database, table: Table) -> frozenset[str]:
    from sqlalchemy import literal_column, select, text

    nothing: Select[Any] = select(literal_column("*")).select_from(table).where(text("1 = 0"))
    try:
        names = database.read(lambda connection: list(connection.execute(nothing).keys()))
    except SchemaMissing:
        return frozenset()
    return frozenset(name.lower() for name in names)


def _absent(wanted: Iterable[str], found: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in wanted if name not in found)
