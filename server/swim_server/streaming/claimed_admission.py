"""Tier limits where others count too: a slot is claimed elsewhere before a connection is counted here."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from swim_server.streaming.admission import Admission, LimitReached, TierLimit


class Take(NamedTuple):
    """A connection that waits for its slot."""

    tier: str
    key_id: int
    waiter: asyncio.Future[bool]
    """Whether it got one."""


class ClaimedAdmission(Admission):
    """Counts the connections of this process. ``claim`` takes a slot; ``admit`` uses it, or ``abandon`` gives it back.

    Lives on the loop's thread.
    """

    is_shared = True

    def __init__(self, limits: Mapping[str, TierLimit]) -> None:
        super().__init__(limits)
        self.totals: dict[str, int] = {}
        """Connections of all processes, by tier, as last reported."""
        self._refusals: dict[tuple[str, int], LimitReached] = {}
        """Why the last claim without success was refused."""
        self._claimed: Counter[tuple[str, int]] = Counter()

    @abstractmethod
    def _ask(self, take: Take) -> None:
        """Have it decided whether this connection gets a slot."""

    @abstractmethod
    def _freed(self, tier: str, key_id: int) -> None:
        """Report that a slot is free again."""

    async def claim(self, tier: str, key_id: int) -> bool:
        """Take a slot; tell whether there was one. A claimed slot is admitted or abandoned, once."""
        take = Take(tier, key_id, asyncio.get_running_loop().create_future())
        self._ask(take)
        try:
            return await take.waiter
        except asyncio.CancelledError:
            if take.waiter.done() and not take.waiter.cancelled() and take.waiter.result():
                self.abandon(tier, key_id)
            raise

    def abandon(self, tier: str, key_id: int) -> None:
        """Give back a claimed slot."""
        if self._claimed[tier, key_id] > 0:
            self._claimed[tier, key_id] -= 1
            self._freed(tier, key_id)

    def admit(self, tier: str, key_id: int) -> LimitReached | None:
        """Count a connection with a claimed slot; without one, return which limit is reached."""
        if self._claimed[tier, key_id] <= 0:
            reached = self._refusals.pop((tier, key_id), None)
            total = max(self.totals.get(tier, 0), self.current(tier))
            return reached or LimitReached(tier, total, self.limits[tier].connections)
        self._claimed[tier, key_id] -= 1
        self.reserve(tier, key_id)
        return None

    def release(self, tier: str, key_id: int) -> None:
        """Stop counting a connection; others can have its slot as soon as that is known."""
        super().release(tier, key_id)
        self._freed(tier, key_id)

    def _grant(self, take: Take) -> None:
        if take.waiter.done():
            return
        self._claimed[take.tier, take.key_id] += 1
        take.waiter.set_result(True)

    def _refuse(self, take: Take, reached: LimitReached) -> None:
        if take.waiter.done():
            return
        self._refusals[take.tier, take.key_id] = reached
        take.waiter.set_result(False)
