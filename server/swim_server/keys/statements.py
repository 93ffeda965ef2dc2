"""The statements that read and change keys inside a transaction. They commit nothing and decide nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, insert, select, update

from swim_server.keys.audit import CONNECT_METHOD, KEYS_METHOD, AuditEntry, entry_of
from swim_server.keys.errors import KeyNotFound
from swim_server.keys.new_key import NewKey
from swim_server.keys.records import KeyRecord
from swim_server.keys.rows import key_values, record_of
from swim_server.keys.schema import Schema
from swim_server.keys.tables import api_keys, audit_log
from swim_server.sql.errors import StoreMisconfigured

MAX_PARAMETERS = 2_000
"""SQL Server accepts 2,100 per statement."""
_FETCHED_ROWS = 100
MAX_ROWS = 1_000
"""SQL Server accepts no more in one list of VALUES."""


def insert_key(connection: Connection, schema: Schema, new_key: NewKey, stored: str, now: datetime) -> KeyRecord:
    """Insert a key, given as digest or plain, and read it back. Raises SchemaMissing."""
    # An unknown value is left to the column's default, which may be NOT NULL in a foreign table.
    values = {name: value for name, value in key_values(schema, new_key, stored, now).items() if value is not None}
    key_id = insert_keys(connection, [values])[values["api_key"]]
    return read_key(connection, schema, key_id)


def insert_keys(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Insert many keys, all with the same columns, in few statements. Returns their ids by their digests.

    The ids are read back by the digests: ``OUTPUT`` is refused if the table has a trigger (error 334), and
    ``SCOPE_IDENTITY()`` is wrong if the trigger inserts instead of us.
    """
    insert_rows(connection, api_keys, rows)
    stored = [row["api_key"] for row in rows]
    found = ids_of(connection, stored)
    if lost := len(set(stored) - found.keys()):
        raise StoreMisconfigured(
            f"the database took {len(rows)} keys and stored {lost} of them with other values",
            "check the triggers of swim_api_keys; nothing was changed",
        )
    return found


def ids_of(connection: Connection, stored: Sequence[str]) -> dict[str, int]:
    """Return the ids of the rows that hold exactly these texts; unknown texts are left out."""
    wanted = set(stored)
    found: dict[str, int] = {}
    for start in range(0, len(stored), MAX_PARAMETERS):
        condition = api_keys.c.api_key.in_(stored[start : start + MAX_PARAMETERS])
        for row in read_rows(connection, select(api_keys.c.id, api_keys.c.api_key).where(condition)):
            if row["api_key"] in wanted:  # the database may consider other texts equal
                found[row["api_key"]] = row["id"]
    return found


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows with the same columns, as many per statement as its parameters allow.

    Long statements pay off only if each one travels to a server.
    """
    if connection.dialect.name == "sqlite" and rows:
        connection.execute(insert(table).inline(), list(rows))
        return
    at_once = min(MAX_ROWS, MAX_PARAMETERS // max(1, len(rows[0]))) if rows else 1
    for start in range(0, len(rows), at_once):
        chunk = list(rows[start : start + at_once])
        connection.execute(insert(table).values(chunk).inline())  # no identity is needed


def update_key(connection: Connection, key_id: int, values: Mapping[str, Any]) -> None:
    """Update a key's row, which locks it until the transaction ends.

    Whether the row exists, only reading it tells: if the table has a trigger, the row count that a driver reports may
    be the trigger's.
    """
    connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(**values))


def write_last_used(connection: Connection, schema: Schema, key_ids: Sequence[int], at: datetime) -> None:
    """Write when keys were last used, if the table has that column."""
    if "last_used_at" not in schema.key_columns:
        return
    for start in range(0, len(key_ids), MAX_PARAMETERS):
        chunk = key_ids[start : start + MAX_PARAMETERS]
        connection.execute(update(api_keys).where(api_keys.c.id.in_(chunk)).values(last_used_at=at))


def lock_key(connection: Connection, schema: Schema, key_id: int) -> KeyRecord:
    """Read a key that no other transaction can change until this one ends. Raises KeyNotFound."""
    update_key(connection, key_id, {"is_active": api_keys.c.is_active})
    return read_key(connection, schema, key_id)


def read_key(connection: Connection, schema: Schema, key_id: int) -> KeyRecord:
    """Read a key inside the transaction. Raises KeyNotFound."""
    for row in read_rows(connection, select(*schema.selectable()).where(api_keys.c.id == key_id)):
        return record_of(row)
    raise KeyNotFound(key_id)


def read_rows(connection: Connection, statement: Select[Any]) -> list[dict[str, Any]]:
    """Run a query and return its rows by column name."""
    result = connection.execute(statement)
    names = list(result.keys())
    # In pieces: one long fetch would hold the GIL, and with it the loop's thread.
    return [dict(zip(names, row, strict=True)) for piece in result.partitions(_FETCHED_ROWS) for row in piece]


def write_audit(connection: Connection, schema: Schema, entries: Sequence[AuditEntry], method: str) -> None:
    """Append lines to the audit trail; if its table is missing they are dropped (``Schema.can_audit``)."""
    if not entries or not schema.can_audit:
        return
    rows = [
        {
            "api_key_id": entry.key_id,
            "endpoint": _cut(entry.action, 255),
            "method": method,
            "ip_address": _cut(entry.origin, 45),
            "user_agent": _cut(entry.actor, 500),
            "request_time": entry.at,
            "details": entry.detail,
        }
        for entry in entries
    ]
    columns = schema.audit_columns
    insert_rows(connection, audit_log, [{k: v for k, v in row.items() if k in columns} for row in rows])


def read_audit(connection: Connection, schema: Schema, key_id: int | None, limit: int) -> list[AuditEntry]:
    """Read our newest lines, newest first."""
    if not schema.can_audit:
        return []
    columns = [column for column in audit_log.columns if column.name in schema.audit_columns]
    statement = select(*columns).where(audit_log.c.method.in_([KEYS_METHOD, CONNECT_METHOD]))
    if key_id is not None:
        statement = statement.where(audit_log.c.api_key_id == key_id)
    newest_first = statement.order_by(audit_log.c.request_time.desc(), audit_log.c.id.desc()).limit(limit)
    return [entry_of(row) for row in read_rows(connection, newest_first)]


def _cut(text: str, limit: int) -> str:
    """Cut a text at a character boundary to a column, whose length counts UTF-16 units."""
    if len(text) * 2 <= limit or len(text.encode("utf-16-le", "replace")) <= limit * 2:
        return text
    return text.encode("utf-16-le", "replace")[: (limit - 1) * 2].decode("utf-16-le", "ignore") + "…"
