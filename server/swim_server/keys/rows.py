"""A row of ``swim_api_keys`` as a KeyRecord: what other programs wrote is read cautiously, and fails closed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from swim_server.keys.format import PREFIXES, Tier, digest, fingerprint, hint, is_digest
from swim_server.keys.records import Fingerprint, KeyRecord
from swim_server.keys.schema import KEYS_TABLE
from swim_server.sql.errors import SchemaMissing

if TYPE_CHECKING:
    from datetime import datetime

    from swim_server.keys.new_key import NewKey
    from swim_server.keys.schema import Schema

RESTRICTIONS = ("ip_whitelist", "allowed_sources")
"""A key must not be created without one of these because the table has no column for it."""
_TIERS = {tier.value: tier for tier in Tier}
_UNREADABLE = ("unreadable",)


def record_of(row: Mapping[str, Any]) -> KeyRecord:
    """Build the record of a row that may lack optional columns. The row's ``api_key`` is not passed on."""
    stored = str(row["api_key"])
    is_plaintext = not is_digest(stored)
    tier_text = str(row["tier"] or "").strip()
    tier = _TIERS.get(tier_text.lower())
    return KeyRecord(
        id=int(row["id"]),
        hint=hint(stored) if is_plaintext else row.get("key_hint") or _bare_hint(tier),
        tier=tier or Tier.PUBLIC,
        unknown_tier=None if tier else tier_text,
        owner_name=str(row["owner_name"] or ""),
        owner_email=row.get("owner_email") or None,
        description=row.get("description") or None,
        expires_at=row["expires_at"],
        created_at=row.get("created_at"),
        last_used_at=row.get("last_used_at"),
        is_active=bool(row["is_active"]),
        source_id=row.get("source_id") or None,
        can_write=row.get("can_write"),
        allowed_sources=parse_list(row.get("allowed_sources")),
        ip_whitelist=parse_list(row.get("ip_whitelist")),
        owner_cid=row.get("owner_cid"),
        is_plaintext=is_plaintext,
        fingerprint=Fingerprint(value) if (value := fingerprint(stored)) is not None else None,
    )


def parse_list(text: str | bytes | None) -> tuple[str, ...] | None:
    """Read a JSON list of texts, or a comma-separated list. None, an empty text and an empty list: no restriction.

    Any other text becomes an entry that matches nothing: an unreadable restriction remains one.
    """
    if isinstance(text, bytes):  # another program's, in SQLite
        return _UNREADABLE
    if text is None or not text.strip():
        return None
    try:
        value = json.loads(text)
    except ValueError:
        value = [part.strip() for part in text.split(",") if part.strip()] or _UNREADABLE
    if value is None or value == []:
        return None
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        return _UNREADABLE
    return tuple(item.strip() if isinstance(item, str) else "unreadable" for item in value)


def format_list(values: tuple[str, ...] | None) -> str | None:
    """Return a list as the JSON text that ``parse_list`` reads."""
    return json.dumps(list(values)) if values else None


def key_values(schema: Schema, new_key: NewKey, stored: str, now: datetime, **more: Any) -> dict[str, Any]:
    """Return the row of a new key for the existing columns. Raises SchemaMissing for a restriction without one."""
    for column in RESTRICTIONS:
        if getattr(new_key, column) and column not in schema.key_columns:
            raise SchemaMissing(KEYS_TABLE, [column])
    values = {
        "api_key": stored if is_digest(stored) else digest(stored),
        "key_hint": None if is_digest(stored) else hint(stored),
        "tier": new_key.tier.value,
        "owner_name": new_key.owner_name,
        "owner_email": new_key.owner_email or "",  # NOT NULL in installations of the former system
        "description": new_key.description,
        "expires_at": new_key.expires_at,
        "created_at": now,
        "is_active": True,
        "source_id": new_key.source_id,
        "can_write": new_key.tier is Tier.SYSTEM if new_key.can_write is None else new_key.can_write,
        "allowed_sources": format_list(new_key.allowed_sources),
        "ip_whitelist": format_list(new_key.ip_whitelist),
        "owner_cid": new_key.owner_cid,
        **more,
    }
    return schema.storable(values)


def _bare_hint(tier: Tier | None) -> str:
    return f"{PREFIXES[tier] if tier else 'swim_'}…"
