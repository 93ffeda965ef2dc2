"""Run by Alembic: on the connection it is given or, for ``--sql``, into a buffer."""

from __future__ import annotations

from alembic import context

from swim_server.keys.migrations.additions import VERSION_TABLE

connection = context.config.attributes.get("connection")
if connection is not None:
    context.configure(connection=connection, version_table=VERSION_TABLE)
else:
    context.configure(
        dialect_name=context.config.attributes["dialect_name"],
        dialect_opts={"deprecate_large_types": True} if context.config.attributes["dialect_name"] == "mssql" else {},
        output_buffer=context.config.output_buffer,
        as_sql=True,
        literal_binds=True,
        version_table=VERSION_TABLE,
    )

with context.begin_transaction():
    context.run_migrations()
