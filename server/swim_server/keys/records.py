"""What is known of a key, and the authenticator's three decisions. Never the key itself."""

from __future__ import annotations

from datetime import datetime

import msgspec

from swim_server.keys.format import Tier


class Fingerprint(msgspec.Struct, frozen=True):
    """The SHA-256 of a key. Its repr hides it: a digest of a short key could be guessed."""

    sha256: bytes

    def __repr__(self) -> str:
        return "Fingerprint(…)"


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One row of ``swim_api_keys``, without the key. Times are UTC and aware."""

    id: int
    hint: str
    """Enough to recognise a key, not to use it: ``swim_dev_…x9Qz``."""
    tier: Tier
    owner_name: str
    owner_email: str | None = None
    description: str | None = None
    expires_at: datetime | None = None
    created_at: datetime | None = None
    last_used_at: datetime | None = None
    is_active: bool = True
    source_id: str | None = None
    can_write: bool | None = None
    """None if the column doesn't exist or is null: the tier decides."""
    allowed_sources: tuple[str, ...] | None = None
    ip_whitelist: tuple[str, ...] | None = None
    owner_cid: int | None = None
    is_plaintext: bool = False
    """The row was written by the earlier system and holds the key itself."""
    fingerprint: Fingerprint | None = None
    """Of the key in the row, hashed or plain: a different one means that the key was replaced."""
    unknown_tier: str | None = None
    """The row's tier if it is not one of the four: the key is refused until it is corrected."""

    is_altered: bool = False
    """The row is not as our last change left it: it is damaged, or was changed from outside."""

    def is_expired(self, now: datetime) -> bool:
        """Tell whether ``expires_at`` has passed at ``now`` (aware)."""
        return self.expires_at is not None and self.expires_at <= now


class Granted(msgspec.Struct, frozen=True):
    """The key is valid."""

    key: KeyRecord


class Refused(msgspec.Struct, frozen=True):
    """The key is not valid: close with 4001. ``message`` goes to the client: fixed text, no internals."""

    message: str
    reason: str
    """For log, metrics and audit: missing, malformed, checksum, unknown, inactive, expired, address, tier,
    tier_changed."""
    key_id: int | None = None


class Unavailable(msgspec.Struct, frozen=True):
    """The key can't be checked at the moment: close with 1013."""

    reason: str


Decision = Granted | Refused | Unavailable
