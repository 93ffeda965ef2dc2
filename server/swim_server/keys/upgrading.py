"""The schema against what the code needs, and how the one becomes the other."""

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
from swim_server.keys.schema import Schema, observe
from swim_server.keys.tables import NEEDED_KEY_COLUMNS, api_keys, audit_log
from swim_server.sql.database import Database
from swim_server.sql.errors import StoreMisconfigured


class SchemaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a database stands."""

    database: str
    """``sqlite`` or ``mssql``."""
    revision: str | None
    """The last change that was made here; None: none by us."""
    newest_revision: str
    missing: dict[str, tuple[str, ...]]
    """Columns that an upgrade would add, by table."""
    missing_needed: tuple[str, ...]
    """Those of the table of keys without which no key can be checked."""

    @property
    def is_usable(self) -> bool:
        """Tell whether keys can be checked."""
        return not self.missing_needed

    @property
    def is_up_to_date(self) -> bool:
        """Tell whether an upgrade would change nothing."""
        return not self.missing


def schema_status(database: Database) -> SchemaStatus:
    """Compare. Raises StoreError."""
    schema = observe(database)
    return SchemaStatus(
        database=database.engine.dialect.name,
        revision=database.read(_revision),
        newest_revision=_newest_revision(),
        missing=schema.missing(),
        missing_needed=tuple(sorted(NEEDED_KEY_COLUMNS - schema.key_columns)),
    )


def upgrade(database: Database) -> None:
    """Add what is missing, all in one transaction; what somebody took away again too. Raises StoreError."""
    schema = observe(database)

    def work(connection: Connection) -> None:
        configuration = _configuration(schema)
        configuration.attributes["connection"] = connection
        if schema.missing():
            command.stamp(configuration, "base")  # every change looks at what is there
        command.upgrade(configuration, "head")

    database.write(work)


def upgrade_sql(database: Database) -> str:
    """Return the statements that ``upgrade`` would run, for somebody else to run; empty when there is nothing to do."""
    status = schema_status(database)
    if status.revision == status.newest_revision:
        if status.is_up_to_date:
            return ""
        missing = "; ".join(f"{table}: {', '.join(columns)}" for table, columns in status.missing.items())
        raise StoreMisconfigured(
            f"columns were taken away after the last upgrade ({missing})", "run `swimctl db upgrade`"
        )
    configuration = _configuration(observe(database))
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
