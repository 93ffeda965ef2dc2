"""Tickets for browsers, which can't set headers: each stands for a key, once, for a short while, in an address."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock

LIFE_SECONDS = 30.0
MAX_TICKETS = 10_000
"""Not redeemed yet; then the oldest go."""
TOKEN_BYTES = 24


class Tickets:
    """In memory alone: after a restart a browser asks for another one."""

    def __init__(self, *, clock: Clock) -> None:
        self._monotonic = clock.monotonic
        self._keys: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def issue(self, api_key: str) -> str:
        """Make a ticket for a key that was found to be good."""
        ticket = secrets.token_urlsafe(TOKEN_BYTES)
        self._keys[ticket] = (api_key, self._monotonic() + LIFE_SECONDS)
        while len(self._keys) > MAX_TICKETS:
            self._keys.popitem(last=False)
        return ticket

    def redeem(self, ticket: str) -> str:
        """Return the key that a ticket stands for, once; empty where there is none, or no longer."""
        api_key, deadline = self._keys.pop(ticket, ("", 0.0))
        return api_key if self._monotonic() < deadline else ""
