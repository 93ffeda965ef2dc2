"""What a key's row allows, pure: whether it holds, from which address, and what it may publish."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from swim_server.keys.format import KeyShape, Tier
from swim_server.keys.records import Fingerprint, KeyRecord, Refused

EXPIRING_WITHIN = timedelta(days=14)
_MAPPED_BITS = 96
"""What stands before the IPv4 address in ``::ffff:0:0/96``."""


class KeyState(StrEnum):
    """Where a key stands in its life, as people ask for it."""

    ACTIVE = "active"
    EXPIRING = "expiring"
    """Works, and ends within 14 days."""
    EXPIRED = "expired"
    REVOKED = "revoked"


SHAPE_REFUSALS = {
    KeyShape.MISSING: Refused("No API key was presented.", "missing"),
    KeyShape.MALFORMED: Refused("This is not an API key.", "malformed"),
    KeyShape.MISTYPED: Refused("The API key is mistyped: its checksum does not match.", "checksum"),
}
"""The answers that need no query."""

UNKNOWN_KEY = Refused("The API key is not known.", "unknown")


def state_of(record: KeyRecord, now: datetime) -> KeyState:
    """Tell where a key stands at ``now`` (aware)."""
    if not record.is_active:
        return KeyState.REVOKED
    if record.is_expired(now):
        return KeyState.EXPIRED
    if record.expires_at is not None and record.expires_at - now <= EXPIRING_WITHIN:
        return KeyState.EXPIRING
    return KeyState.ACTIVE


def chosen_keys(
    records: Iterable[KeyRecord],
    now: datetime,
    *,
    tier: Tier | None = None,
    state: KeyState | None = None,
    owner: str | None = None,
) -> list[KeyRecord]:
    """Choose keys, in the order of their ids. ACTIVE has those that expire soon too; ``owner`` is part of a name."""
    wanted = {state, KeyState.EXPIRING} if state is KeyState.ACTIVE else {state}
    return sorted(
        (
            record
            for record in records
            if (tier is None or (record.tier is tier and record.unknown_tier is None))
            and (state is None or state_of(record, now) in wanted)
            and (owner is None or owner.casefold() in record.owner_name.casefold())
        ),
        key=lambda record: record.id,
    )


def still_holds(
    record: KeyRecord | None,
    tier: Tier,
    now: datetime,
    address: str | None = None,
    presented: Fingerprint | None = None,
) -> Refused | None:
    """Judge a live connection's key again: ``record`` is what the table says now, ``tier`` what it was admitted with.

    ``presented``: of the key that was admitted; None: not known. A row that has got the text of another key is no
    longer that key's.

    None: it may stay. A Refused whose reason is ``tier_changed`` means that the key is good but of another tier now:
    the client should reconnect (1012), not stop for good (4001). With ``address`` the allow-list is judged too.
    """
    if record is None or (presented is not None and record.fingerprint != presented):
        return UNKNOWN_KEY
    refused = refusal(record, now) or (address_refusal(record, address) if address is not None else None)
    if refused is None and record.tier is not tier:
        return Refused("The API key's tier has changed: connect again.", "tier_changed", record.id)
    return refused


def refusal(record: KeyRecord, now: datetime) -> Refused | None:
    """Say why a key of the table is not good at ``now``, wherever it is used from. None: it is good."""
    if not record.is_active:
        return Refused("The API key is not active.", "inactive", record.id)
    if record.is_expired(now):
        return Refused("The API key has expired.", "expired", record.id)
    if record.unknown_tier is not None:
        return Refused("The API key has no valid tier.", "tier", record.id)
    return None


def address_refusal(record: KeyRecord, address: str | None) -> Refused | None:
    """Say why the key can't be used from ``address``. An allow-list that can't be read lets nobody in."""
    if record.ip_whitelist is None or (address is not None and is_within(address, record.ip_whitelist)):
        return None
    return Refused("The API key is not valid from this address.", "address", record.id)


def is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Tell whether an address lies in one of the networks (``10.0.0.0/8``, ``2001:db8::1``)."""
    parsed = parse_address(address)
    return parsed is not None and any(_contains(network, parsed) for network in networks)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address; an IPv4 address mapped into IPv6 is that IPv4 address. None: it is none."""
    try:
        address = ip_address(text.partition("%")[0] if ":" in text else text)  # only those of IPv6 have a zone
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_network(text: str) -> bool:
    """Tell whether a text is an address or a network."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def publish_refusal(record: KeyRecord, data: Mapping[str, Any]) -> str | None:
    """Say why the key may not publish this data, as a text for the client. None: it may.

    ``can_write`` decides where the column exists, but never lifts a key above its tier. ``allowed_sources`` are
    compared with the data's ``source``, which is the key's own ``source_id`` where the data names none.
    """
    if record.tier is not Tier.SYSTEM:
        return "publishing needs a key of the system tier"
    if record.can_write is False:
        return "this key may not publish"
    if record.allowed_sources is None:
        return None
    source = data.get("source") or record.source_id
    if source is None or source not in record.allowed_sources:
        return f"this key may publish only for the sources {', '.join(record.allowed_sources)}"
    return None


def _contains(network: str, address: IPv4Address | IPv6Address) -> bool:
    try:
        return address in _network(network)
    except ValueError:
        return False


def _network(text: str) -> IPv4Network | IPv6Network:
    """Read a network; one of IPv4 addresses mapped into IPv6 is the network of those. Raises ValueError."""
    network = ip_network(text, strict=False)
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network
