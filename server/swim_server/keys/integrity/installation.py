"""Which installation a key database in a home belongs to, so that one from another home is noticed.

Only for the home's own SQLite file. One named in ``[database]`` may well be shared by several installations.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, select, update

from swim_server.sql.database import Database

metadata = MetaData()
_home = Table("swim_home", metadata, Column("installation", String(64), nullable=False))


def claim(database: Database, installation: str) -> str | None:
    """Make a key database belong to this installation; return the other one that it belonged to.

    A database of an earlier version has no name, and one without tables has nothing that could belong to anybody.
    Blocks; raises StoreError.
    """
    has_keys = database.read(lambda connection: inspect(connection).has_table("swim_api_keys"))
    if not has_keys or database.read(_read) == installation:
        return None

    def write(connection: Connection) -> str | None:
        metadata.create_all(connection)
        former = _read(connection)
        values = {"installation": installation}
        connection.execute(insert(_home).values(values) if former is None else update(_home).values(values))
        return former if former != installation else None

    return database.write(write)


def _read(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_home.name):
        return None
    found: str | None = connection.execute(select(_home.c.installation)).scalar()
    return found
