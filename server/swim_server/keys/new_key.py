"""The fields of a key to be created, and their rules. Pure."""

from __future__ import annotations

import unicodedata
from datetime import datetime

import msgspec

from swim_server.keys.errors import InvalidKeyField
from swim_server.keys.format import Tier
from swim_server.keys.permissions import is_network
from swim_server.keys.records import KeyRecord

MAX_LENGTHS = {"owner_name": 100, "owner_email": 255, "description": 500, "source_id": 50}


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key to be created."""

    tier: Tier
    owner_name: str
    owner_email: str | None = None
    description: str | None = None
    expires_at: datetime | None = None
    ip_whitelist: tuple[str, ...] | None = None
    source_id: str | None = None
    can_write: bool | None = None
    allowed_sources: tuple[str, ...] | None = None
    owner_cid: int | None = None

    def check(self, now: datetime | None = None) -> None:
        """Raise InvalidKeyField for a value that the row can't hold or, with ``now``, a key that has already ended."""
        if not self.owner_name.strip():
            raise InvalidKeyField("owner", self.owner_name, "must name the key's owner")
        for field, limit in MAX_LENGTHS.items():
            check_text(field, getattr(self, field), limit)
        for network in self.ip_whitelist or ():
            if not is_network(network):
                raise InvalidKeyField("allow-ip", network, "must be an address or a network like 192.0.2.0/24")
        if now is not None and self.expires_at is not None and self.expires_at <= now:
            raise InvalidKeyField("expires", f"{self.expires_at:%Y-%m-%dT%H:%M:%SZ}", "must be in the future")

    @classmethod
    def successor_of(cls, old: KeyRecord, now: datetime) -> NewKey:
        """Return the key that replaces another: with the same fields, and the same lifetime."""
        lifetime = old.expires_at - old.created_at if old.expires_at and old.created_at else None
        return cls(
            tier=old.tier,
            owner_name=old.owner_name,
            owner_email=old.owner_email,
            description=old.description,
            expires_at=now + lifetime if lifetime else old.expires_at,
            ip_whitelist=old.ip_whitelist,
            source_id=old.source_id,
            can_write=old.can_write,
            allowed_sources=old.allowed_sources,
            owner_cid=old.owner_cid,
        )


def check_text(field: str, value: str | None, limit: int) -> None:
    """Raise InvalidKeyField for a text that is too long, or that would disturb a table or a log."""
    if value is None:
        return
    if len(value.encode("utf-16-le", "surrogatepass")) // 2 > limit:
        raise InvalidKeyField(field, value, f"must have at most {limit} characters")
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in value):
        raise InvalidKeyField(field, value, "must not have control characters")
