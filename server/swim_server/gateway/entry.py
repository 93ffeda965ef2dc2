"""One connection from its first bytes until it is admitted or refused.

The upgrade is accepted first and then authenticated, because browsers can't see why one is refused. Nothing that the
client sends is read before it is admitted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

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
"""Beyond this many bytes sent before admission, the connection is not read."""
PATIENCE = 3
"""How many times ``handshake_timeout_seconds`` a client waits for the decision about its key."""


class Claim(NamedTuple):
    """The result of claiming a slot."""

    key: KeyRecord
    has_slot: bool


class EntryOwner(Peer, Timed, Protocol):
    """The endpoint that the entry works for. It is told one outcome, preceded by ``upgrade`` for a WebSocket."""

    address: str
    """The client's address for logs and limits."""

    def reject(self, answer: bytes) -> None:
        """Answer a request that is refused, and close the connection."""

    def serve_http(self, data: bytes) -> None:
        """Have a request that is not for a WebSocket answered."""

    def upgrade(self, accepted: Accepted) -> None:
        """Speak WebSocket from here on."""

    def admit(self, accepted: Accepted, key: KeyRecord | None) -> None:
        """Admit the client: with its key, which is counted in its tier, or on the control socket."""

    def turn_away(self, refused: TurnedAway) -> None:
        """Tell a refused client the reason, and close."""

    def write(self, data: bytes) -> None:
        """Write bytes after everything not written yet."""


class Entry:
    """Reads the head of a request and finds out whose it is. Not used after it has told its owner, or was ended."""

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
        self._claimed: Claim | None = None
        """Set once it is decided whether there is a slot, if others count too."""
        self._is_over = False

    @property
    def is_upgraded(self) -> bool:
        """Whether it has been upgraded and waits for the decision about its key."""
        return self._accepted is not None

    def too_slow(self) -> Rejected | None:
        """Refuse a request that was begun but not completed in time; None: nothing was received."""
        return self._handshake.too_slow()

    def receive(self, data: bytes) -> None:
        """Process the head of the request in its turn; keep what follows it until the client is admitted."""
        has_waited = bool(self._early)
        self._early += data
        self._context.arrivals.hold(self._owner, len(data))
        limit_bytes = MAX_EARLY_BYTES if self.is_upgraded else self._context.settings.max_head_bytes
        if len(self._early) > limit_bytes and not self._is_over:
            self._gate.add(Hold.UNADMITTED)
        if not (has_waited or self.is_upgraded):
            self._context.handshake_queue.submit(self._enter)

    def end(self) -> bytes:
        """Stop; return what was received after the head. Idempotent."""
        self._is_over = True
        if self._auth_task is not None:
            self._auth_task.cancel()
        early, self._early = bytes(self._early), bytearray()
        return early if self.is_upgraded else b""

    def give_up(self) -> None:
        """Turn away a client whose key could not be decided in time."""
        self._decided(Unavailable("no answer in time"))

    def _enter(self) -> None:
        """Pass what was received to the handshake."""
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
            self._owner.write(b"")  # the answer, which was held for what might follow at once

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
            if self._claimed is not None and self._claimed.has_slot:
                self._context.authentication.abandon(self._claimed.key)
            self._claimed = None
            return
        if isinstance(decision, Granted) and self._claimed is None and self._context.authentication.must_claim:
            self._context.wheel.schedule(self._owner, self._context.settings.handshake_timeout_seconds * PATIENCE)
            self._auth_task = self._context.tasks.start(self._claim(decision, self._context.authentication.changes))
            return
        self._gate.remove(Hold.UNADMITTED)
        place = self._accepted.credential.place
        admitted = self._context.authentication.admit(decision, self._owner.address, place)
        if isinstance(admitted, TurnedAway):
            self._owner.turn_away(admitted)
        else:
            self._owner.admit(self._accepted, admitted)

    async def _claim(self, decision: Granted, changes: int) -> None:
        """Claim a slot, as others count too; then decide without an await in between.

        A key that was changed meanwhile is decided about again: its connections have been closed already.
        """
        authentication = self._context.authentication
        has_slot = await authentication.claim(decision.key)
        self._auth_task = None
        if self._is_over or changes != authentication.changes:
            if has_slot:
                authentication.abandon(decision.key)
            self._authenticate_again()
            return
        self._claimed = Claim(decision.key, has_slot)
        self._decided(decision)

    def _authenticate_again(self) -> None:
        """Decide again after admission was paused: the earlier decision may be outdated."""
        if not self._is_over:
            assert self._accepted is not None, "only an upgrade is held"
            self._authenticate(self._accepted)
