"""The shape of an API key, pure: tier prefix + 32 random base62 characters + 6 base62 characters of CRC-32."""

from __future__ import annotations

from enum import StrEnum


class Tier(StrEnum):
    """How much a key's owner may do; in the order of trust."""

    PUBLIC = "public"
    DEVELOPER = "developer"
    PARTNER = "partner"
    SYSTEM = "system"


PREFIXES = {
    Tier.PUBLIC: "swim_pub_",
    Tier.DEVELOPER: "swim_dev_",
    Tier.PARTNER: "swim_par_",
    Tier.SYSTEM: "swim_sys_",
}
