"""One connection's way in: from its first bytes until it is admitted or refused.

The upgrade is accepted first and then authenticated, as browsers see nothing of a refused one. Nothing that the client
sends is looked at before it is admitted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from swim_server.concurrency.timer_wheel import Timed
from swim_server.gateway.authentication import TurnedAway
from swim_server.gateway.handshake import Accepted, Handshake, PlainRequest, Rejected
from swim_server.gateway.read_gate import Hold
from swim_server.gateway.registry import Peer
from swim_server.keys.records import Decision, Granted, Unavailable

if TYPE_CHECKING:
    from swim_server.gateway.context import EndpointContext
    from swim_server.gateway.listener_kind import ListenerKind
    from swim_server.gateway.read_gate import ReadGate
    from swim_server.keys.records import KeyRecord

MAX_EARLY_BYTES = 64 * 1024
"""When a client has sent so much before it is admitted, the rest waits on its side."""
PATIENCE = 3
"""Times ``handshake_timeout_seconds`` that a client waits for what is decided of its key."""


class EntryOwner(Peer, Timed, Protocol):
    """The endpoint whose way in it is. It is told one outcome, and an upgrade before that."""

    address: str
    """The client's address as it is logged and judged."""

    def reject(self, answer: bytes) -> None:
        """Answer a request that is not served, and close the connection."""

    def serve_http(self, data: bytes) -> None:
        """Have a request that wants no WebSocket answered."""

    def upgrade(self, accepted: Accepted) -> None:
        """Speak WebSocket from here on."""

    def admit(self, accepted: Accepted, key: KeyRecord | None) -> None:
        """Make it a client: of a key, which is counted in its tier, or of the control socket."""

    def turn_away(self, refused: TurnedAway) -> None:
        """Tell a refused client why, and close."""

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport, behind what was not written yet."""


class Entry:
    """Reads a request's head and finds out whose the upgrade is. Done with after its owner is told, or has ended it."""

    __slots__ = (
        "_accepted", "_auth_task", "_claimed", "_context", "_early", "_gate", "_handshake", "_is_over", "_kind",
        "_owner",
    )  # fmt: skip

    def __init__(
        self,
        context: EndpointContext,
        kind: ListenerKind,
        owner: EntryOwner,
        gate: ReadGate,
        peer: Sequence[object] | None,
    ) -> None:
        self._context = context
        self._kind = kind
        self._owner = owner
        self._gate = gate
        self._handshake = Handshake(context.handshake_rules, kind, peer)
        self._accepted: Accepted | None = None
        """The request, once it is upgraded."""
        self._early = bytearray()
        self._auth_task: asyncio.Task[None] | None = None
        self._claimed: KeyRecord | None = None
        """Whose place was asked for, where other nodes count too."""
        self._is_over = False

    @property
    def is_upgraded(self) -> bool:
        """It speaks WebSocket, and waits for what is decided of its key."""
        return self._accepted is not None

    def too_slow(self) -> Rejected | None:
        """Refuse a request that has begun and did not come to its end in time; None: nothing has come at all."""
        return self._handshake.too_slow()

    def receive(self, data: bytes) -> None:
        """Take what came: the request's head in its turn, and what follows it unread until the client is admitted."""
        has_waited = bool(self._early)
        self._early += data
        self._context.arrivals.hold(self._owner, len(data))
        limit_bytes = MAX_EARLY_BYTES if self.is_upgraded else self._context.settings.max_head_bytes
        if len(self._early) > limit_bytes and not self._is_over:
            self._gate.add(Hold.UNADMITTED)
        if not (has_waited or self.is_upgraded):
            self._context.handshake_queue.submit(self._enter)

    def end(self) -> bytes:
        """Look at nothing more; return what came behind the head. Idempotent."""
        self._is_over = True
        if self._auth_task is not None:
            self._auth_task.cancel()
        early, self._early = bytes(self._early), bytearray()
        return early if self.is_upgraded else b""

    def give_up(self) -> None:
        """Turn a client away of whose key nothing could be decided in time."""
        self._decided(Unavailable("no answer in time"))

    def _enter(self) -> None:
        """Give the handshake what has come; the one place at which a connection enters."""
        if self._is_over:
            return
        data, self._early = bytes(self._early), bytearray()
        self._gate.remove(Hold.UNADMITTED)
        outcome = self._handshake.receive(data)
        if outcome is None:
            return
        owner = self._owner
        owner.address = outcome.address or owner.address
        self._context.arrivals.request_read(owner)
        if isinstance(outcome, Rejected):
            owner.reject(outcome.answer)
        elif isinstance(outcome, PlainRequest):
            owner.serve_http(outcome.data)
        else:
            self._upgrade(outcome)

    def _upgrade(self, accepted: Accepted) -> None:
        self._accepted = accepted
        self._early = bytearray(accepted.rest)
        self._owner.upgrade(accepted)
        if self._kind.is_local:
            self._owner.admit(accepted, None)
            return
        self._authenticate(accepted)
        if not self._is_over:
            self._owner.write(b"")  # the answer, which waits for what follows at once

    def _authenticate(self, accepted: Accepted) -> None:
        context, api_key = self._context, accepted.credential.api_key
        decision = context.authentication.cached(api_key, self._owner.address)
        if isinstance(decision, Granted):
            self._decided(decision)
            return
        context.wheel.schedule(self._owner, context.settings.handshake_timeout_seconds * PATIENCE)
        self._auth_task = context.tasks.start(self._authenticate_later(api_key, decision))

    async def _authenticate_later(self, api_key: str, decision: Decision | None) -> None:
        """Wait for the decision. A granted key is admitted without an await in between."""
        decision = await self._context.authentication.decide(api_key, self._owner.address, decision)
        self._auth_task = None
        if not self._is_over:
            self._decided(decision)

    def _decided(self, decision: Decision) -> None:
        assert self._accepted is not None, "only of an upgrade it is decided whose it is"
        if isinstance(decision, Granted) and self._context.gateway.hold(self._authenticate_again):
            if self._claimed is not None:
                self._context.authentication.abandon(self._claimed)
                self._claimed = None
            return
        if isinstance(decision, Granted) and self._claimed is None and self._context.authentication.must_claim:
            self._context.wheel.schedule(self._owner, self._context.settings.handshake_timeout_seconds * PATIENCE)
            self._auth_task = self._context.tasks.start(self._claim(decision))
            return
        self._gate.remove(Hold.UNADMITTED)
        place = self._accepted.credential.place
        admitted = self._context.authentication.admit(decision, self._owner.address, place)
        if isinstance(admitted, TurnedAway):
            self._owner.turn_away(admitted)
        else:
            self._owner.admit(self._accepted, admitted)

    async def _claim(self, decision: Granted) -> None:
        """Ask for a place, which other nodes count too; then decide without an await in between."""
        await self._context.authentication.claim(decision.key)
        self._auth_task = None
        if self._is_over:
            self._context.authentication.abandon(decision.key)
            return
        self._claimed = decision.key
        self._decided(decision)

    def _authenticate_again(self) -> None:
        """After it was held: what was decided of the key then may no longer be so."""
        if not self._is_over:
            assert self._accepted is not None, "only an upgrade is held"
            self._authenticate(self._accepted)
