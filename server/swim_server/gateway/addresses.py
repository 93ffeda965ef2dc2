"""Where a client really comes from: the peer, or what a trusted proxy says of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


class Addresses:
    """Knows the proxies that are trusted and the addresses that have presented bad keys."""

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        self._trusted: list[Network] = [ip_network(text, strict=False) for text in trusted_proxies]

    def client_address(self, peer: Sequence[object] | None, forwarded_for: Sequence[str]) -> str:
        """The client's address: ``X-Forwarded-For`` read from the right as long as trusted proxies have written it."""
        current = _parse(str(peer[0])) if peer else None
        if current is None:
            return "unknown"
        hops = [hop for line in forwarded_for for hop in line.split(",")]
        while hops and self._is_trusted(current):
            hop = _parse(hops.pop())
            if hop is None:
                break
            current = hop
        return str(current)

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._trusted)

    def failed(self, address: str) -> None:
        """Remember that a key was refused from there."""

    def retry_after(self, address: str) -> int | None:
        """Seconds after which this address may try again; None: now."""
        return None

    def penalty_seconds(self, address: str) -> float:
        """How long a refusal to this address is held back."""
        return 0.0


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address as proxies write it: with a port, in brackets, an IPv4 one mapped into IPv6."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
