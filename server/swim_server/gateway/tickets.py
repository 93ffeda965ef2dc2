"""Tickets for browsers, which can't set headers: each stands for a key in an address, once and for a short time."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock

LIFE_SECONDS = 30.0
MAX_TICKETS = 10_000
"""Maximum number of unredeemed tickets; the oldest are dropped."""
TOKEN_BYTES = 24


class Tickets:
    """In memory only: after a restart a browser requests another one."""

    def __init__(self, *, clock: Clock) -> None:
        self._monotonic = clock.monotonic
        self._keys: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def issue(self, api_key: str) -> str:
        """Issue a ticket for a key that was found valid."""
        ticket = secrets.token_urlsafe(TOKEN_BYTES)
        self._keys[ticket] = (api_key, self._monotonic() + LIFE_SECONDS)
        while len(self._keys) > MAX_TICKETS:
            self._keys.popitem(last=False)
        return ticket

    def redeem(self, ticket: str) -> str:
        """Return the key that a ticket stands for, once; empty if there is none, or it has expired."""
        api_key, deadline = self._keys.pop(ticket, ("", 0.0))
        return api_key if self._monotonic() < deadline else ""
