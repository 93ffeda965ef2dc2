"""Which of our columns a database has: read once, and tolerated if dispensable ones are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Column, Select, Table, literal_column, select, text

from swim_server.keys.tables import NEEDED_AUDIT_COLUMNS, NEEDED_KEY_COLUMNS, api_keys, audit_log
from swim_server.sql.database import Database
from swim_server.sql.errors import PermissionDenied, SchemaMissing

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
            raise SchemaMissing(api_keys.name)
        if missing := sorted(NEEDED_KEY_COLUMNS - self.key_columns):
            remedy = {} if all(api_keys.c[name].nullable for name in missing) else {"remedy": REMEDY_FOR_LEFT}
            raise SchemaMissing(api_keys.name, missing, **remedy)

    @property
    def can_audit(self) -> bool:
        """Tell whether the audit trail can be written."""
        return self.audit_columns >= NEEDED_AUDIT_COLUMNS

    def selectable(self) -> list[Column[Any]]:
        """Return the columns of ``swim_api_keys`` that exist."""
        return [column for column in api_keys.columns if column.name in self.key_columns]

    def storable(self, values: Mapping[str, object]) -> dict[str, Any]:
        """Remove from a key's values those without a column."""
        return {name: value for name, value in values.items() if name in self.key_columns}

    def missing(self) -> dict[str, tuple[str, ...]]:
        """Return what ``db upgrade`` would add: table -> columns, all of them if the table itself is missing."""
        found = {api_keys: self.key_columns}
        if self.audit_refusal is None:
            found[audit_log] = self.audit_columns
        absent = {table.name: _absent(table.columns.keys(), columns) for table, columns in found.items()}
        return {table: columns for table, columns in absent.items() if columns}


def observe(database: Database) -> Schema:
    """Find out which columns exist, by reading no rows from each table. Raises StoreError."""
    try:
        audit_columns, audit_refusal = _columns_of(database, audit_log), None
    except PermissionDenied as denied:
        audit_columns, audit_refusal = frozenset(), denied.problem  # a login that only checks keys needs no right to it
    return Schema(_columns_of(database, api_keys), audit_columns, audit_refusal)


def _columns_of(database: Database, table: Table) -> frozenset[str]:
    nothing: Select[Any] = select(literal_column("*")).select_from(table).where(text("1 = 0"))
    try:
        names = database.read(lambda connection: list(connection.execute(nothing).keys()))
    except SchemaMissing:
        return frozenset()
    return frozenset(name.lower() for name in names)


def _absent(wanted: Iterable[str], found: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in wanted if name not in found)
