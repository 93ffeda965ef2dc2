"""What a key's row allows: whether it is valid, from which address, and what it may publish. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from swim_server.keys.format import KeyShape, Tier
from swim_server.keys.records import Fingerprint, KeyRecord, Refused

EXPIRING_WITHIN = timedelta(days=14)
_MAPPED_BITS = 96
"""Number of bits before the IPv4 address in ``::ffff:0:0/96``."""


class KeyState(StrEnum):
    """The state of a key, as commands select by it."""

    ACTIVE = "active"
    EXPIRING = "expiring"
    """Valid, and ends within 14 days."""
    EXPIRED = "expired"
    REVOKED = "revoked"


SHAPE_REFUSALS = {
    KeyShape.MISSING: Refused("No API key was presented.", "missing"),
    KeyShape.MALFORMED: Refused("This is not an API key.", "malformed"),
    KeyShape.MISTYPED: Refused("The API key is mistyped: its checksum does not match.", "checksum"),
}
"""Decisions that need no query."""

UNKNOWN_KEY = Refused("The API key is not known.", "unknown")


def state_of(record: KeyRecord, now: datetime) -> KeyState:
    """Return the state of a key at ``now`` (aware)."""
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
    """Select keys, in the order of their ids. ACTIVE includes those that expire soon; ``owner`` is part of a name."""
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
    """Judge the key of a live connection again: ``record`` is its current row, ``tier`` the one it was admitted with.

    ``presented``: fingerprint of the admitted key; None: unknown. A row that holds another key now is not that key's
    any more. Returns None if the connection may stay. A Refused with the reason ``tier_changed`` means that the key is
    valid but has another tier now: the client should reconnect (1012), not stop for good (4001). With ``address`` the
    allow-list is checked too.
    """
    if record is None or (presented is not None and record.fingerprint != presented):
        return UNKNOWN_KEY
    refused = refusal(record, now) or (address_refusal(record, address) if address is not None else None)
    if refused is None and record.tier is not tier:
        return Refused("The API key's tier has changed: connect again.", "tier_changed", record.id)
    return refused


def refusal(record: KeyRecord, now: datetime) -> Refused | None:
    """Return why a key is not valid at ``now``, wherever it is used from. None: it is valid."""
    if not record.is_active:
        return Refused("The API key is not active.", "inactive", record.id)
    if record.is_expired(now):
        return Refused("The API key has expired.", "expired", record.id)
    if record.unknown_tier is not None:
        return Refused("The API key has no valid tier.", "tier", record.id)
    return None


def address_refusal(record: KeyRecord, address: str | None) -> Refused | None:
    """Return why the key can't be used from ``address``. An unreadable allow-list admits nobody."""
    if record.ip_whitelist is None or (address is not None and is_within(address, record.ip_whitelist)):
        return None
    return Refused("The API key is not valid from this address.", "address", record.id)


def is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Tell whether an address is in one of the networks (``10.0.0.0/8``, ``2001:db8::1``)."""
    parsed = parse_address(address)
    return parsed is not None and any(_contains(network, parsed) for network in networks)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an address; an IPv4 address mapped into IPv6 becomes IPv4. None: it is not an address."""
    try:
        address = ip_address(text.partition("%")[0] if ":" in text else text)  # only IPv6 addresses have a zone
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


def publish_refusal(record: KeyRecord, data: Mapping[str, object]) -> str | None:
    """Return why the key may not publish this data, as a text for the client. None: it may.

    ``can_write`` decides if the column exists, but never lifts a key above its tier. ``allowed_sources`` are compared
    with the data's ``source``, which defaults to the key's own ``source_id``.
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
    """Parse a network; one of mapped IPv4 addresses becomes IPv4. Raises ValueError."""
    network = ip_network(text, strict=False)
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network
