"""Compares the schema with what the code needs, and upgrades it."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from swim_server.keys import migrations
from swim_server.keys.migrations.additions import VERSION_TABLE
from swim_server.keys.schema import NEEDED_KEY_COLUMNS, REMEDY_FOR_LEFT, Schema, observe
from swim_server.keys.tables import api_keys, audit_log
from swim_server.sql.database import Database
from swim_server.sql.errors import PermissionDenied, StoreMisconfigured

__all__ = ["REMEDY_FOR_LEFT", "SchemaStatus", "Upgraded", "schema_status", "upgrade", "upgrade_sql"]


class SchemaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a database."""

    database: str
    """``sqlite`` or ``mssql``."""
    revision: str | None
    """The last migration run here; None: none."""
    newest_revision: str
    missing: dict[str, tuple[str, ...]]
    """Columns that an upgrade would add, by table."""
    missing_needed: tuple[str, ...]
    """Missing columns of the table of keys without which no key can be checked."""
    not_permitted: str | None = None
    """Why the login can't see the audit trail's columns."""

    @property
    def is_usable(self) -> bool:
        """Whether keys can be checked."""
        return not self.missing_needed

    @property
    def is_up_to_date(self) -> bool:
        """Whether an upgrade would change nothing."""
        return not self.missing


def schema_status(database: Database) -> SchemaStatus:
    """Compare the schema with the code. Raises StoreError."""
    schema = observe(database)
    return SchemaStatus(
        database=database.engine.dialect.name,
        revision=database.read(_revision),
        newest_revision=_newest_revision(),
        missing=schema.missing(),
        missing_needed=tuple(sorted(NEEDED_KEY_COLUMNS - schema.key_columns)),
        not_permitted=schema.audit_refusal,
    )


class Upgraded(msgspec.Struct, frozen=True):
    """The result of an upgrade."""

    added: dict[str, tuple[str, ...]]
    """Columns by table, as the database has them now."""
    left: dict[str, tuple[str, ...]]
    """What is still missing: columns that can't be null, and so can't be added to a table with rows."""

    @property
    def problem(self) -> str | None:
        """What an administrator must do."""
        if not self.left:
            return None
        named = "; ".join(f"{table}: {', '.join(columns)}" for table, columns in self.left.items())
        return f"not added, as rows without them could not be judged: {named}"


def upgrade(database: Database) -> Upgraded:
    """Add what is missing, including what was removed later, all in one transaction. Raises StoreError."""
    schema = observe(database)
    _require_permission(schema)

    def work(connection: Connection) -> None:
        configuration = _configuration(schema)
        configuration.attributes["connection"] = connection
        if schema.missing():
            command.stamp(configuration, "base")  # every migration checks what exists
        command.upgrade(configuration, "head")

    database.write(work)
    before, after = schema.missing(), observe(database).missing()
    added = {
        table: tuple(column for column in columns if column not in after.get(table, ()))
        for table, columns in before.items()
    }
    return Upgraded({table: columns for table, columns in added.items() if columns}, after)


def _require_permission(schema: Schema) -> None:
    """Raise PermissionDenied if it is unknown what is missing."""
    if schema.audit_refusal is not None:
        raise PermissionDenied(schema.audit_refusal, "use a login that may read both tables")


def upgrade_sql(database: Database) -> str:
    """Return the statements that ``upgrade`` would run, for an administrator; empty if there is nothing to do."""
    schema = observe(database)
    _require_permission(schema)
    status = schema_status(database)
    if status.revision == status.newest_revision:
        if status.is_up_to_date:
            return ""
        missing = "; ".join(f"{table}: {', '.join(columns)}" for table, columns in status.missing.items())
        raise StoreMisconfigured(
            f"columns were taken away after the last upgrade ({missing})", "run `swimctl db upgrade`"
        )
    configuration = _configuration(schema)
    configuration.output_buffer = io.StringIO()
    configuration.attributes["dialect_name"] = status.database
    command.upgrade(configuration, f"{status.revision or 'base'}:head", sql=True)
    return configuration.output_buffer.getvalue()


def _configuration(schema: Schema) -> Config:
    configuration = Config()
    folder = Path(migrations.__file__).parent
    configuration.set_main_option("script_location", str(folder).replace("%", "%%"))
    configuration.attributes["found"] = {api_keys.name: schema.key_columns, audit_log.name: schema.audit_columns}
    return configuration


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _newest_revision() -> str:
    newest = ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head()
    assert newest is not None, "there are migrations"
    return newest
