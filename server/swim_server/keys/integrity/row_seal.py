"""What a key's seal covers, and what to believe of a row that does not match it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec

if TYPE_CHECKING:
    from swim_server.keys.audit import AuditEntry
    from swim_server.keys.records import KeyRecord

SEALED_COLUMNS = (
    "api_key", "tier", "owner_name", "expires_at", "is_active", "can_write", "allowed_sources", "ip_whitelist",
    "source_id",
)  # fmt: skip
ROWS_AT_ONCE = 500
"""How many rows are compared with their seals in one query."""
_MOMENT = re.compile(r"(?:expires|ends) at (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")


class Alteration(Enum):
    """What is wrong with a row of the key table."""

    CHANGED = "changed"
    """It does not match its seal."""
    MISDIRECTED = "misdirected"
    """A damaged index led from one key to the row of another, which must not lend it its rights."""


def alteration(row: Mapping[str, Any], raw: Mapping[str, Any] | None, sealed: int | None) -> Alteration | None:
    """Compare a row with the one that the table has under its id, as stored (``raw``), and with its seal."""
    if raw is None or raw.get("api_key") != row["api_key"]:
        return Alteration.MISDIRECTED
    return Alteration.CHANGED if sealed not in {None, crc(raw)} else None


def crc(row: Mapping[str, Any]) -> int:
    """Return the CRC of the existing values with their names: a column added later changes nothing."""
    return crc32(repr([(name, value) for name, value in sorted(row.items()) if value is not None]).encode())


def judge(record: KeyRecord, last: AuditEntry | None, now: datetime) -> KeyRecord:
    """Decide what to believe of a row that doesn't match its seal: never that an ended key is valid."""
    record = msgspec.structs.replace(record, is_altered=True)
    if last is None:
        return record
    moment = _MOMENT.search(last.detail or "")
    is_ended = last.action == "revoke" or (
        last.action in {"expire", "rotate"}
        and moment is not None
        and datetime.strptime(moment[1], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) <= now
    )
    return msgspec.structs.replace(record, is_active=False) if is_ended else record
