"""Changes to many keys at once: import, and hashing the plain keys that the earlier system left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, select, update

from swim_server.keys.audit import KEYS_METHOD, Actor
from swim_server.keys.format import digest, hint, is_digest
from swim_server.keys.importing import ImportedKey
from swim_server.keys.integrity.seals import seal
from swim_server.keys.rows import key_values
from swim_server.keys.schema import Schema
from swim_server.keys.statements import ids_of, insert_keys, read_rows, write_audit
from swim_server.keys.store import KeyStore, entry
from swim_server.keys.tables import api_keys


class ImportOutcome(msgspec.Struct, frozen=True):
    """The result of an import."""

    imported: list[int]
    """The ids of the new rows."""
    existing: list[int]
    """The ids of rows that already held the key, plain or hashed; they are left unchanged."""


def import_keys(store: KeyStore, keys: Sequence[ImportedKey], actor: Actor, now: datetime) -> ImportOutcome:
    """Store keys that exist elsewhere, all or none; known ones are left unchanged. Raises StoreError."""

    def work(connection: Connection, schema: Schema) -> ImportOutcome:
        known = ids_of(connection, [form for key in keys for form in (key.stored, key.plain) if form])
        existing = [known.get(key.stored) or (known.get(key.plain) if key.plain else None) for key in keys]
        new = [key for key, known_id in zip(keys, existing, strict=True) if known_id is None]
        ids = insert_keys(connection, [_row_of(schema, key, now) for key in new])
        entries = [
            entry(now, actor, "import", ids[key.stored], f"{key.new_key.tier} key for {key.new_key.owner_name}")
            for key in new
        ]
        write_audit(connection, schema, entries, KEYS_METHOD)
        seal(connection, schema.key_columns, ids.values())
        return ImportOutcome(sorted(ids.values()), [known_id for known_id in existing if known_id is not None])

    return store.tables.change(work)


def plain_keys(store: KeyStore) -> list[int]:
    """Return the ids of the rows that hold the key itself."""
    return [record.id for record in store.list() if record.is_plaintext]


def harden(store: KeyStore, actor: Actor, now: datetime) -> list[int]:
    """Replace each plain key by its digest; all or none. Returns the ids. Raises StoreError.

    If another row already holds that digest, the key is there twice: this row is ended, and its text replaced by one
    that no key can have.
    """

    def work(connection: Connection, schema: Schema) -> list[int]:
        rows = read_rows(connection, select(api_keys.c.id, api_keys.c.api_key).order_by(api_keys.c.id))
        plain = {row["id"]: str(row["api_key"]) for row in rows if not is_digest(str(row["api_key"]))}
        hashed = {str(row["api_key"]) for row in rows if is_digest(str(row["api_key"]))}
        entries = []
        for key_id, api_key in plain.items():
            is_double = digest(api_key) in hashed
            connection.execute(
                update(api_keys).where(api_keys.c.id == key_id).values(**_hardened(schema, key_id, api_key, is_double))
            )
            detail = "the same key as another row: ended" if is_double else None
            entries.append(entry(now, actor, "harden", key_id, detail))
        write_audit(connection, schema, entries, KEYS_METHOD)
        seal(connection, schema.key_columns, plain)
        return list(plain)

    return store.tables.change(work)


def _row_of(schema: Schema, key: ImportedKey, now: datetime) -> dict[str, Any]:
    more = {"created_at": key.created_at or now, "last_used_at": key.last_used_at, "is_active": key.is_active}
    return key_values(schema, key.new_key, key.plain or key.stored, now, **more)


def _hardened(schema: Schema, key_id: int, api_key: str, is_double: bool) -> Mapping[str, object]:
    if is_double:
        return {"api_key": f"sha256$double-of-another-row-{key_id}", "is_active": False}
    return schema.storable({"api_key": digest(api_key), "key_hint": hint(api_key)})
