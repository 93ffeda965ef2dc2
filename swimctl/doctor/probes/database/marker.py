"""The marker row, which is not a key: what it holds, and how long one that was left behind is somebody else's. Pure."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from swim_server.keys.records import KeyRecord
    from swim_server.keys.schema import Schema

OWNER = "swimctl doctor"
"""Owner of the marker row."""
LEFT_BEHIND = timedelta(minutes=1)
"""A marker this old is abandoned: the process that wrote it was killed."""


class Marked(msgspec.Struct, frozen=True):
    """A marker row that is in the table at the moment."""

    key_id: int
    text: str


def is_marker(record: KeyRecord) -> bool:
    """Return True for a marker row that an earlier run left behind."""
    return record.owner_name == OWNER and not record.is_active


def new_text() -> str:
    """Return a text by which this run's marker is recognised."""
    return f"not a key: {secrets.token_hex(8)}"


def marker_values(schema: Schema, text: str, now: datetime) -> dict[str, Any]:
    """Return the values of a marker row, whose key nobody knows and which has ended."""
    from swim_server.keys.format import Tier, digest
    from swim_server.keys.new_key import NewKey
    from swim_server.keys.rows import key_values

    new_key = NewKey(tier=Tier.PUBLIC, owner_name=OWNER, description=text, expires_at=now)
    values = key_values(schema, new_key, digest(secrets.token_hex(32)), now, is_active=False)
    return {name: value for name, value in values.items() if value is not None}
