"""The two things that a change to the schema may do: make a table that is missing, add columns that are missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alembic import context, op
from sqlalchemy import Column

VERSION_TABLE = "swim_schema_version"
"""Which changes have been made; Alembic's default name may be used by another program in this database."""


def add_table(name: str, *columns: Column[Any], **options: Any) -> bool:
    """Make a table unless it exists. Tells whether it was made."""
    if _found().get(name):
        return False
    op.create_table(name, *columns, **options)
    return True


def add_columns(table: str, *columns: Column[Any]) -> None:
    """Add to a table the columns that it lacks: nullable ones, of which its rows and other writers know nothing."""
    found = _found().get(table, frozenset())
    for column in columns:
        if not column.nullable:
            raise AssertionError(f"{table}.{column.name} would break the other programs that write this table")
        if column.name not in found:
            op.add_column(table, column)


def _found() -> Mapping[str, frozenset[str]]:
    """Return the columns there were when the upgrade began, by table."""
    found: Mapping[str, frozenset[str]] = context.config.attributes["found"]
    return found
