"""Tier limits in a worker: the primary counts, and decides about each slot."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from swim_server.streaming.admission import LimitReached, TierLimit
from swim_server.streaming.claimed_admission import ClaimedAdmission, Take
from swim_server.workers import messages
from swim_server.workers.link import Link
from swim_server.workers.messages import Claimed, Place


class WorkerAdmission(ClaimedAdmission):
    """Counts this worker's connections. Messages to the primary keep their order, so its count is exact."""

    def __init__(self, limits: Mapping[str, TierLimit], link: Link) -> None:
        super().__init__(limits)
        self._link = link

    def _ask(self, take: Take) -> None:
        asked = self._link.ask(messages.CLAIM, Place(take.tier, take.key_id))
        asked.add_done_callback(lambda answered: self._decided(take, answered))

    def _decided(self, take: Take, answered: asyncio.Future[Claimed]) -> None:
        if answered.cancelled() or answered.exception() is not None:  # the primary is gone, and soon this process
            self._refuse(take, LimitReached(take.tier, self.current(take.tier), self.limits[take.tier].connections))
            return
        reached = answered.result().reached
        if reached is not None:
            self._refuse(take, reached)
        elif take.waiter.done():  # the client has left meanwhile
            self._freed(take.tier, take.key_id)
        else:
            self._grant(take)

    def _freed(self, tier: str, key_id: int) -> None:
        self._link.tell(messages.RELEASE, Place(tier, key_id))
