"""From an API key to a slot in its tier, or to a refusal: decides about a client once its request is read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from swim_server.keys.probes import is_probe_id
from swim_server.keys.records import Decision, Granted, KeyRecord, Refused
from swim_server.protocol.codes import CloseCode, ErrorCode

if TYPE_CHECKING:
    from swim_server.gateway.refusals import Refusals
    from swim_server.gateway.registry import Gateway
    from swim_server.streaming.admission import Admission, LimitReached


class TurnedAway(msgspec.Struct, frozen=True):
    """A client that is not admitted: the error that it is sent, and its close code."""

    close_code: CloseCode
    error_code: ErrorCode
    message: str
    details: dict[str, Any] | None = None


class AnnouncedKeys(Protocol):
    """The doctor's temporary keys."""

    def __len__(self) -> int: ...

    def is_announced(self, api_key: str | None) -> bool:
        """Tell whether this key is announced as bad."""


class KeyDecisions(Protocol):
    """What decides whether keys are valid."""

    @property
    def probes(self) -> AnnouncedKeys:
        """The doctor's temporary keys."""

    @property
    def changes(self) -> int:
        """Counts changed keys: a decision made before the last one may be outdated."""

    def cached(self, api_key: str, address: str) -> Decision | None:
        """Decide without asking; None if it must be asked."""

    def is_remembered(self, api_key: str, address: str | None) -> bool:
        """Tell whether a key was valid not long ago."""

    async def authenticate(self, api_key: str, address: str) -> Decision:
        """Decide about a key. Never raises."""

    def touch(self, key_id: int) -> None:
        """Note that a key is in use."""

    def note_refusal(self, refused: Refused, address: str | None) -> None:
        """Record that a connection was refused for a reason other than its key."""


class Authentication:
    """Looks up keys, slows down guessing, and counts admitted clients."""

    def __init__(self, authenticator: KeyDecisions, admission: Admission, refusals: Refusals, gateway: Gateway) -> None:
        self._authenticator = authenticator
        self._admission = admission
        self._refusals = refusals
        self._gateway = gateway

    def cached(self, api_key: str, address: str) -> Decision | None:
        """Return the decision about a key if it is known without asking."""
        return self._authenticator.cached(api_key, address)

    async def decide(self, api_key: str, address: str, decision: Decision | None) -> Decision:
        """Decide about a key, asking the database if needed; delays refusals."""
        if decision is None:
            decision = await self._authenticator.authenticate(api_key, address)
        if isinstance(decision, Refused) and not self._authenticator.probes.is_announced(api_key):
            await asyncio.sleep(self._refusals.failed(address, api_key, decision))
        return decision

    def is_remembered(self, api_key: str, address: str) -> bool:
        """Tell whether a key is known to be valid, without asking."""
        return self._authenticator.is_remembered(api_key, address)

    def identify(self, decision: Decision, address: str, key_place: str = "") -> KeyRecord | TurnedAway:
        """Return whose key it is, or why the client is turned away. Nobody is counted.

        ``key_place``: where in the request the key was.
        """
        if isinstance(decision, Granted):
            self._refusals.succeeded(address)
            self._authenticator.touch(decision.key.id)
            return decision.key
        if isinstance(decision, Refused):
            where = f" It was read from {key_place}." if key_place else ""
            details = {"read_from": key_place} if key_place else None
            return TurnedAway(CloseCode.UNAUTHORIZED, ErrorCode.AUTH_FAILED, f"{decision.message}{where}", details)
        self._refusals.note("unavailable", address)
        text = "Keys can't be checked at the moment; try again later."
        return TurnedAway(CloseCode.TRY_AGAIN_LATER, ErrorCode.AUTH_UNAVAILABLE, text)

    def admit(self, decision: Decision, address: str, key_place: str = "") -> KeyRecord | TurnedAway:
        """Admit a client with a valid key, or return why it is turned away. An admitted client is released once."""
        if isinstance(decision, Granted):
            return self.admit_key(decision.key, address)
        return self.identify(decision, address, key_place)

    def admit_key(self, key: KeyRecord, address: str) -> KeyRecord | TurnedAway:
        """Admit a client whose key is valid, or return which limit is reached."""
        self._refusals.succeeded(address)
        reached = self._admission.admit(key.tier, key.id)
        if reached is not None and self._evict_probe_client(key, reached):
            reached = self._admission.admit(key.tier, key.id)
        if reached is None:
            self._authenticator.touch(key.id)
            return key
        self._note_limit(address, reached, key.id)
        details = {"tier": reached.tier, "current": reached.current, "limit": reached.limit}
        return TurnedAway(CloseCode.LIMIT, ErrorCode.CONNECTION_LIMIT, reached.message, details)

    @property
    def must_claim(self) -> bool:
        """Tell whether a slot must be claimed before a client is admitted: other nodes count too."""
        return self._admission.is_shared

    @property
    def changes(self) -> int:
        """Counts changed keys: a decision made before the last one may be outdated."""
        return self._authenticator.changes

    async def claim(self, key: KeyRecord) -> bool:
        """Claim a slot; tell whether there was one. A claimed slot is admitted or abandoned, once."""
        return await self._admission.claim(key.tier, key.id)

    def abandon(self, key: KeyRecord) -> None:
        """Give back a claimed slot."""
        self._admission.abandon(key.tier, key.id)

    def release(self, key: KeyRecord) -> None:
        """Give back the slot of a key that was admitted."""
        self._admission.release(key.tier, key.id)

    def _evict_probe_client(self, key: KeyRecord, reached: LimitReached) -> bool:
        if reached.is_per_key or is_probe_id(key.id) or not self._authenticator.probes:
            return False
        return self._gateway.evict_probe_client(key.tier)

    def _note_limit(self, address: str, reached: LimitReached, key_id: int) -> None:
        """Note that a client with a valid key found its tier or key full."""
        if is_probe_id(key_id):
            return
        self._refusals.note("limit", address, key_id=key_id, tier=reached.tier)
        self._authenticator.note_refusal(Refused(reached.message, "limit", key_id), address)
