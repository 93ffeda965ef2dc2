"""The primary's answers to one worker: keys, and places in the tiers."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

import msgspec

from swim_server.keys.format import Tier
from swim_server.keys.probes import is_probe_id
from swim_server.streaming.admission import LimitReached
from swim_server.workers import messages
from swim_server.workers.authenticator import decided
from swim_server.workers.messages import BadKey, Claimed, Decided, KeyIds, KeyRows, LimitRefusal, Place, Presented

if TYPE_CHECKING:
    from collections.abc import Callable

    from swim_server.daemon.workers.worker_process import WorkerProcess
    from swim_server.gateway.registry import Gateway
    from swim_server.gateway.tickets import Tickets
    from swim_server.keys.authenticator import Authenticator
    from swim_server.streaming.admission import Admission

EVICT_SECONDS = 0.5
"""How long a client waits for the place of one of doctor's."""


class Authority:
    """Decides for all workers."""

    def __init__(
        self,
        authenticator: Authenticator,
        admission: Admission,
        tickets: Tickets,
        gateway: Gateway,
        *,
        bad_key: Callable[[WorkerProcess | None, BadKey], None],
        evict: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._authenticator = authenticator
        self._admission = admission
        self._tickets = tickets
        self._gateway = gateway
        self._bad_key = bad_key
        """Tells all processes but one of a bad key."""
        self._evict = evict
        """Has one of doctor's clients in a tier leave; tells whether one has."""

    def attach(self, worker: WorkerProcess) -> None:
        """Answer a worker."""
        link = worker.link
        link.answer(messages.AUTHENTICATE, self._authenticate)
        link.answer(messages.CLAIM, lambda place: self._claim(worker, place))
        link.answer(messages.CHECK_KEYS, self._check)
        link.on(messages.RELEASE, lambda place: self._release(worker, place))
        link.on(messages.LIMIT_REFUSAL, self._note_refusal)
        link.on(messages.BAD_KEY, lambda bad: self._bad_key(worker, bad))

    def release_all(self, worker: WorkerProcess) -> None:
        """Give back every place of a worker that is gone."""
        for tier, key_id in worker.places.elements():
            self._admission.release(tier, key_id)
        worker.places.clear()

    # Keys.

    def _authenticate(self, presented: Presented) -> Decided | Awaitable[Decided]:
        api_key = presented.api_key if presented.ticket is None else self._tickets.redeem(presented.ticket)
        decision = self._authenticator.cached(api_key, presented.address)
        if decision is None:
            return self._authenticate_later(api_key, presented)
        return self._told(decided(decision), api_key, presented)

    async def _authenticate_later(self, api_key: str, presented: Presented) -> Decided:
        """Decide. The answer is sent without an await in between, before anything that changes it."""
        decision = await self._authenticator.authenticate(api_key, presented.address)
        return self._told(decided(decision), api_key, presented)

    def _told(self, found: Decided, api_key: str, presented: Presented) -> Decided:
        if presented.ticket is not None:
            found.api_key = api_key
        if found.refused is not None:
            found.is_announced = self._authenticator.probes.is_announced(api_key)
        return found

    async def _check(self, asked: KeyIds) -> KeyRows:
        return KeyRows(await self._authenticator.check(asked.ids))

    def _note_refusal(self, told: LimitRefusal) -> None:
        self._authenticator.note_refusal(told.refused, told.address)

    # Places.

    def _claim(self, worker: WorkerProcess, place: Place) -> Claimed | Awaitable[Claimed]:
        if self._admission.is_shared:
            return self._claim_shared(worker, place)
        reached = self._admission.admit(place.tier, place.key_id)
        if reached is not None and self._may_evict(place, reached):
            return self._claim_after_eviction(worker, place)
        return self._claimed(worker, place, reached)

    def _claimed(self, worker: WorkerProcess, place: Place, reached: LimitReached | None) -> Claimed:
        if reached is not None:
            return Claimed(msgspec.structs.replace(reached))
        if worker.state == "gone":  # it can't use the place, nor give it back
            self._admission.release(place.tier, place.key_id)
        else:
            worker.places[place.tier, place.key_id] += 1
        return Claimed()

    async def _claim_shared(self, worker: WorkerProcess, place: Place) -> Claimed:
        """Claim a place where other nodes count too."""
        has_slot = await self._admission.claim(place.tier, place.key_id)
        if has_slot and worker.state == "gone":
            self._admission.abandon(place.tier, place.key_id)
            return Claimed()
        return self._claimed(worker, place, self._admission.admit(place.tier, place.key_id))

    def _may_evict(self, place: Place, reached: LimitReached) -> bool:
        is_probe = is_probe_id(place.key_id)
        return not reached.is_per_key and not is_probe and bool(self._authenticator.probes)

    async def _claim_after_eviction(self, worker: WorkerProcess, place: Place) -> Claimed:
        """Let one of doctor's clients, which fill a tier to test its limit, give way."""
        if not self._gateway.evict_probe_client(Tier(place.tier)):
            await self._evict(place.tier)
        return self._claimed(worker, place, self._admission.admit(place.tier, place.key_id))

    def _release(self, worker: WorkerProcess, place: Place) -> None:
        if worker.places[place.tier, place.key_id] > 0:
            worker.places[place.tier, place.key_id] -= 1
            self._admission.release(place.tier, place.key_id)
