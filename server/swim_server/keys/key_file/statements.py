"""The texts of the statements about keys, as SQLAlchemy writes them for SQLite: a test compares both. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from swim_server.keys.schema import AUDIT_TABLE, KEYS_TABLE

SCHEMA_VERSION = "PRAGMA schema_version"
HAS_SEALS = "SELECT 1 FROM sqlite_master WHERE name = 'swim_key_seals'"
_SEALS_TABLE = "swim_key_seals"


def select_nothing(table: str) -> str:
    """Return a query for all columns of no row."""
    return f"SELECT * FROM {table} WHERE 1 = 0"


def select_keys(columns: Sequence[str]) -> str:
    """Return a query for these columns of all keys."""
    return f"SELECT {_of(KEYS_TABLE, columns)} FROM {KEYS_TABLE}"


def select_raw_keys(columns: Sequence[str], count: int) -> str:
    """Return a query for these columns of so many keys, by their ids."""
    return f"SELECT {_of(KEYS_TABLE, ('id', *columns))} FROM {KEYS_TABLE} WHERE {KEYS_TABLE}.id IN ({_marks(count)})"


def select_seals(count: int) -> str:
    """Return a query for the seals of so many keys, by their ids."""
    columns, condition = _of(_SEALS_TABLE, ("key_id", "crc")), f"{_SEALS_TABLE}.key_id IN ({_marks(count)})"
    return f"SELECT {columns} FROM {_SEALS_TABLE} WHERE {condition}"


def select_audit_of_key(columns: Sequence[str]) -> str:
    """Return a query for a key's newest lines; parameters: two methods, the key's id, how many, 0."""
    return (
        f"SELECT {_of(AUDIT_TABLE, columns)} FROM {AUDIT_TABLE} "
        f"WHERE {AUDIT_TABLE}.method IN (?, ?) AND {AUDIT_TABLE}.api_key_id = ? "
        f"ORDER BY {AUDIT_TABLE}.request_time DESC, {AUDIT_TABLE}.id DESC LIMIT ? OFFSET ?"
    )


DELETE_NOTHING = f"DELETE FROM {KEYS_TABLE} WHERE 0 = 1"
SELECT_INACTIVE_OF_OWNER = (
    f"SELECT {KEYS_TABLE}.id FROM {KEYS_TABLE} WHERE {KEYS_TABLE}.owner_name = ? AND {KEYS_TABLE}.is_active = ? "
    f"AND {KEYS_TABLE}.created_at < ? LIMIT ? OFFSET ?"
)
"""Parameters: owner, 0, before when, how many, 0."""
DELETE_INACTIVE_OF_OWNER = (
    f"DELETE FROM {KEYS_TABLE} WHERE {KEYS_TABLE}.id = ? AND {KEYS_TABLE}.owner_name = ? AND {KEYS_TABLE}.is_active = ?"
)
SELECT_ID = f"SELECT {KEYS_TABLE}.id, {KEYS_TABLE}.api_key FROM {KEYS_TABLE} WHERE {KEYS_TABLE}.api_key IN (?)"
HAS_SEQUENCE = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"
GIVE_ID_BACK = "UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = ? AND seq = ?"


def insert_key(columns: Sequence[str]) -> str:
    """Return the statement that inserts a key with these columns."""
    return f"INSERT INTO {KEYS_TABLE} ({', '.join(columns)}) VALUES ({_marks(len(columns))})"


def update_key(columns: Sequence[str]) -> str:
    """Return the statement that changes these columns of a key, whose id is the last parameter."""
    changes = ", ".join(f"{column}=?" for column in columns)
    return f"UPDATE {KEYS_TABLE} SET {changes} WHERE {KEYS_TABLE}.id = ?"


def _of(table: str, columns: Sequence[str]) -> str:
    return ", ".join(f"{table}.{column}" for column in columns)


def _marks(count: int) -> str:
    return ", ".join("?" * count)
