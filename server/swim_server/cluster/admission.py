"""Tier limits over all nodes: a slot is taken on the server before a connection is counted here."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from swim_server.streaming.admission import LimitReached, TierLimit
from swim_server.streaming.claimed_admission import ClaimedAdmission, Take


class SharedAdmission(ClaimedAdmission):
    """Counts this node's connections, and knows the totals of all nodes. Lives on the loop's thread."""

    def __init__(self, limits: Mapping[str, TierLimit]) -> None:
        super().__init__(limits)
        self.takes: list[Take] = []
        """Connections that wait, in the order of their arrival."""
        self.wake = asyncio.Event()
        """Set when there is something to send to the server."""
        self._share: dict[str, int] = {}
        """This node's connections as the server knows them, by tier: the limit while the server is unavailable."""

    def _ask(self, take: Take) -> None:
        self.takes.append(take)
        self.wake.set()

    def _freed(self, tier: str, key_id: int) -> None:
        self.wake.set()

    # Exchange with the server.

    def counts(self) -> dict[str, int]:
        """Return the number of this node's connections: by tier, and by key for keys with a limit of their own."""
        found: Counter[str] = Counter()
        for tier, key_id in [*self.holders(), *self._claimed.elements()]:
            found[f"t:{tier}"] += 1
            if self.limits[tier].connections_per_key is not None:
                found[f"k:{key_id}"] += 1
        return dict(found)

    def begin_takes(self) -> list[Take]:
        """Return the connections that wait, to be decided now."""
        self.wake.clear()
        takes, self.takes = [take for take in self.takes if not take.waiter.done()], []
        return takes

    def decide(self, take: Take, answer: str) -> None:
        """Tell a waiting connection the server's decision."""
        what, _, number = answer.partition(" ")
        limit = self.limits[take.tier]
        if what == "wait":
            self.takes.append(take)
        elif what == "ok":
            self._grant(take)
        else:
            is_per_key = what == "key"
            most = limit.connections_per_key if is_per_key else limit.connections
            assert most is not None, "else the key is not full"
            self._refuse(take, LimitReached(take.tier, int(number), most, is_per_key))

    def decide_alone(self, take: Take) -> None:
        """Admit a connection while the server is unavailable, up to this node's last share."""
        if take.waiter.done():
            return
        limit = self.limits[take.tier]
        per_key = limit.connections_per_key
        own = self._own(take.tier)
        has_place = own < min(self._share.get(take.tier, 0), limit.connections)
        if has_place and (per_key is None or self.by_key().get(take.key_id, 0) < per_key):
            self._grant(take)
        else:
            total = max(self.totals.get(take.tier, 0), own)
            self._refuse(take, LimitReached(take.tier, total, limit.connections))

    def settle(self, totals: Mapping[str, int]) -> None:
        """Remember what the server knows now."""
        self.totals = {name.removeprefix("t:"): count for name, count in totals.items() if name.startswith("t:")}
        self._share = {tier: self._own(tier) for tier in self.limits}

    def _own(self, tier: str) -> int:
        return self.current(tier) + sum(count for (each, _), count in self._claimed.items() if each == tier)
