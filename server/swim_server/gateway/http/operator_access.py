"""Who may read what is for the operator: whoever has the token from a file, or is on this machine."""

from __future__ import annotations

import hmac
import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

FORWARDING = frozenset({"forwarded", "via", "x-real-ip"})
"""Headers that proxies add, besides those with a prefix below:"""
FORWARDING_PREFIX = "x-forwarded-"


class OperatorAccess:
    """Decides about requests for metrics."""

    def __init__(self, token: str | None, *, has_public_url: bool) -> None:
        self._token = token
        self._has_public_url = has_public_url

    def is_allowed(self, request: web.Request) -> bool:
        """Tell whether the request has the token, or comes from this machine and from no proxy on it."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if self._token is not None and scheme.lower() == "bearer":
            return hmac.compare_digest(token.strip().encode(), self._token.encode())
        return not self._has_public_url and _is_of_this_machine(request)


def _is_of_this_machine(request: web.Request) -> bool:
    if any(name.lower() in FORWARDING or name.lower().startswith(FORWARDING_PREFIX) for name in request.headers):
        return False
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    host = _without_port(request.headers.get("Host", ""))
    return peer is not None and is_loopback(str(peer[0])) and is_loopback(host)


def is_loopback(host: str) -> bool:
    """Tell whether this is an address or name of this machine."""
    if host.lower() in ("localhost", "localhost."):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
