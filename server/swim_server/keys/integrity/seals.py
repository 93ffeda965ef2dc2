"""A checksum of each key's row in the SQLite file, written by our own changes: a damaged bit makes no key valid.

Only in SQLite: the tables of a server belong to others, and a server checks its own pages. A row that an operator
changed by hand, which is allowed, does not match its seal either: that is reported, and the row is believed unless the
audit trail contradicts it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Integer, MetaData, Table, column, delete, insert, select, table, text

from swim_server.keys.integrity.row_seal import ROWS_AT_ONCE, SEALED_COLUMNS, Alteration, alteration, crc

SEALED = "sealed keys"
"""Key in a connection's ``info`` for the ids of the rows that its transaction has sealed."""

metadata = MetaData()
key_seals = Table("swim_key_seals", metadata, Column("key_id", Integer, primary_key=True), Column("crc", Integer))


def is_kept(connection: Connection) -> bool:
    """Tell whether this database has seals."""
    return bool(connection.dialect.name == "sqlite")


def seal(connection: Connection, columns: Collection[str], key_ids: Iterable[int]) -> None:
    """Seal the rows as they are now, inside the transaction that changed them."""
    if not is_kept(connection):
        return
    ids = sorted(set(key_ids))
    metadata.create_all(connection)
    for start in range(0, len(ids), ROWS_AT_ONCE):
        chunk = ids[start : start + ROWS_AT_ONCE]
        connection.execute(delete(key_seals).where(key_seals.c.key_id.in_(chunk)))
        rows = [{"key_id": key_id, "crc": crc(row)} for key_id, row in _raw_rows(connection, columns, chunk).items()]
        if rows:
            connection.execute(insert(key_seals), rows)
    connection.info.setdefault(SEALED, set()).update(ids)


def find_alterations(
    connection: Connection, columns: Collection[str], rows: Sequence[Mapping[str, Any]]
) -> list[Alteration | None]:
    """Return what is wrong with each row; None: nothing, or it has no seal, as an earlier version wrote none."""
    if not is_kept(connection):
        return [None] * len(rows)
    found: list[Alteration | None] = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        chunk = rows[start : start + ROWS_AT_ONCE]
        ids = [row["id"] for row in chunk]
        raw = _raw_rows(connection, columns, ids)
        seals = _read_seals(connection, ids)
        found += [alteration(row, raw.get(row["id"]), seals.get(row["id"])) for row in chunk]
    return found


def _raw_rows(connection: Connection, columns: Collection[str], ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Read the rows as SQLite stores them, without type conversion, from the table and not from an index."""
    names = [name for name in SEALED_COLUMNS if name in columns]
    raw = table("swim_api_keys", column("id"), *(column(name) for name in names))
    statement = select(raw.c.id, *(raw.c[name] for name in names)).where(raw.c.id.in_(ids))
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in connection.execute(statement)}


def _read_seals(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    exists = connection.execute(text("SELECT 1 FROM sqlite_master WHERE name = 'swim_key_seals'")).first()
    if exists is None:
        return {}
    statement = select(key_seals.c.key_id, key_seals.c.crc).where(key_seals.c.key_id.in_(ids))
    return {row[0]: row[1] for row in connection.execute(statement)}
