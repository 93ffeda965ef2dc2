"""The two things that a migration may do: create a missing table, add missing columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alembic import context, op
from sqlalchemy import Column

VERSION_TABLE = "swim_schema_version"
"""The table of migrations run; another program in this database may use Alembic's default name."""


def add_table(name: str, *columns: Column[Any], **options: Any) -> bool:
    """Create a table unless it exists; tell whether it was created."""
    if _found().get(name):
        return False
    op.create_table(name, *columns, **options)
    return True


def add_columns(table: str, *columns: Column[Any]) -> None:
    """Add missing columns to a table: nullable ones, which its rows and other writers need not know."""
    found = _found().get(table, frozenset())
    for column in columns:
        if not column.nullable:
            raise AssertionError(f"{table}.{column.name} would break the other programs that write this table")
        if column.name not in found:
            op.add_column(table, column)


def _found() -> Mapping[str, frozenset[str]]:
    """Return the columns that existed when the upgrade began, by table."""
    found: Mapping[str, frozenset[str]] = context.config.attributes["found"]
    return found
