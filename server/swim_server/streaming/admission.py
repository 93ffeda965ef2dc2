"""Tier limits: how many connections may exist at once. Exact: nothing awaits between the check and the count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import msgspec


class TierLimit(msgspec.Struct, frozen=True):
    """The limits for the keys of one tier."""

    connections: int
    """Maximum concurrent connections of all keys of the tier together."""
    connections_per_key: int | None = None
    messages_per_second: int = 10
    requests_per_minute: int = 60
    """HTTP requests per minute of one key."""


class LimitReached(msgspec.Struct, frozen=True):
    """A refusal: close with 4002."""

    tier: str
    current: int
    limit: int
    is_per_key: bool = False

    @property
    def message(self) -> str:
        whose = "this key" if self.is_per_key else f"tier {self.tier}"
        return f"{whose} has its maximum of connections: {self.current} of {self.limit}; try again later"


class Admission:
    """Counts live connections by tier and key. Lives on the loop's thread."""

    is_shared = False
    """Whether other nodes count too: a slot is then claimed before it is admitted."""

    def __init__(self, limits: Mapping[str, TierLimit]) -> None:
        self.limits = dict(limits)
        self._by_tier: Counter[str] = Counter()
        self._by_key: Counter[int] = Counter()
        self._holders: Counter[tuple[str, int]] = Counter()
        self.on_change: Callable[[str, str, int], None] | None = None
        """Called with ``joined`` or ``left``, tier and key id, for another process that counts the same connections."""

    def admit(self, tier: str, key_id: int) -> LimitReached | None:
        """Count a connection, or raise the limit that is reached. Each admission is released exactly once."""
        limit = self.limits[tier]
        if self._by_tier[tier] >= limit.connections:
            return LimitReached(tier, self._by_tier[tier], limit.connections)
        per_key = limit.connections_per_key
        if per_key is not None and self._by_key[key_id] >= per_key:
            return LimitReached(tier, self._by_key[key_id], per_key, is_per_key=True)
        self.reserve(tier, key_id)
        return None

    async def claim(self, tier: str, key_id: int) -> bool:
        """Reserve a slot where others count too. A claimed slot is admitted or abandoned, once."""
        return True

    def abandon(self, tier: str, key_id: int) -> None:
        """Give back a claimed slot that is not admitted."""

    def reserve(self, tier: str, key_id: int) -> None:
        """Count a connection whatever the limit: it already exists, in a process that hands over."""
        self._by_tier[tier] += 1
        self._by_key[key_id] += 1
        self._holders[tier, key_id] += 1
        if self.on_change is not None:
            self.on_change("joined", tier, key_id)

    def release(self, tier: str, key_id: int) -> None:
        """Stop counting a connection that was admitted."""
        if self._by_tier[tier] <= 0 or self._by_key[key_id] <= 0:
            raise AssertionError(f"released more connections of tier {tier}, key {key_id} than were admitted")
        self._by_tier[tier] -= 1
        self._by_key[key_id] -= 1
        self._holders[tier, key_id] -= 1
        if not self._by_key[key_id]:
            del self._by_key[key_id]
        if not self._holders[tier, key_id]:
            del self._holders[tier, key_id]
        if self.on_change is not None:
            self.on_change("left", tier, key_id)

    def holders(self) -> list[tuple[str, int]]:
        """Return tier and key id of each connection counted."""
        return list(self._holders.elements())

    def current(self, tier: str) -> int:
        """Return the current number of connections of a tier."""
        return self._by_tier[tier]

    def by_key(self) -> dict[int, int]:
        """Return the number of connections by key id, for keys with at least one."""
        return dict(self._by_key)
