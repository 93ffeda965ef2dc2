"""Who is connected, and whether further clients may be admitted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from swim_server.concurrency.yielding import yielding
from swim_server.keys.probes import is_probe_id
from swim_server.protocol import messages
from swim_server.protocol.codes import CloseCode, ErrorCode
from swim_server.protocol.timestamps import format_ms

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.gateway.listener_kind import ListenerKind
    from swim_server.keys.records import Refused
    from swim_server.streaming.admission import Admission
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.hub import Hub

LOOK_SECONDS = 0.005


class Peer(Protocol):
    """One TCP connection, as seen by everything but itself."""

    kind: ListenerKind
    is_plain: bool
    """A plain HTTP request, such as a health check, which does not count as a client."""
    connection: Connection | None
    """The client, once admitted."""

    @property
    def is_open(self) -> bool:
        """Whether it is admitted and neither side has begun to close."""

    @property
    def is_arriving(self) -> bool:
        """Whether its admission is still undecided."""

    def close(self, code: CloseCode, reason: str = "", *, retry_ms: int = 0) -> None:
        """Begin the closing handshake; idempotent. ``retry_ms``: with 1012, after how long the client may reconnect."""

    def abort(self) -> None:
        """Drop the connection without a closing handshake."""

    def yield_slot(self) -> None:
        """Leave at once to free the slot for another client."""


class Gateway:
    """All connections. Endpoints add themselves; the daemon looks them up, holds and closes them."""

    def __init__(self, hub: Hub, admission: Admission, *, clock: Clock) -> None:
        self.peers: set[Peer] = set()
        self.is_draining = False
        """No more clients are admitted."""
        self.gone = 0
        """Public connections that have ended, admitted or not, since the start."""
        self.on_count: Callable[[int], None] | None = None
        """Called with the number of connections whenever it changes."""
        self._hub = hub
        self._admission = admission
        self._monotonic = clock.monotonic
        self._now_ms = clock.now_ms
        self._started = clock.monotonic()
        self._held: list[Callable[[], None]] | None = None
        """While admission is paused: the clients with a valid key that wait for ``resume_admission``."""
        self._gone_waiter: asyncio.Future[None] | None = None
        self.count_clients: Callable[[], int] | None = None
        """Returns the number of admitted clients if other processes have some of them."""

    @property
    def is_closed(self) -> bool:
        """Whether admission has ended for good."""
        return self.is_draining or self._held is not None

    def uptime_seconds(self) -> float:
        """Return how long this process has been serving."""
        return self._monotonic() - self._started

    def clients(self) -> int:
        """Return the number of admitted clients, excluding those of the control socket."""
        if self.count_clients is not None:
            return self.count_clients()
        return sum(self._admission.current(tier) for tier in self._admission.limits)

    def add(self, peer: Peer) -> None:
        """Register a new connection."""
        self.peers.add(peer)
        self._tell_count()

    def forget(self, peer: Peer) -> None:
        """Note that a connection is gone."""
        self.peers.discard(peer)
        self._tell_count()
        if not (peer.kind.is_local or peer.is_plain):
            self.gone += 1
        if not self.peers and self._gone_waiter is not None and not self._gone_waiter.done():
            self._gone_waiter.set_result(None)

    def _tell_count(self) -> None:
        if self.on_count is not None:
            self.on_count(len(self.peers))

    async def all_gone(self) -> None:
        """Wait until no client is connected. For a single caller, at the end of the service."""
        if self.peers:
            self._gone_waiter = asyncio.get_running_loop().create_future()
            await self._gone_waiter

    def evict_probe_client(self, tier: str) -> bool:
        """Close one of the doctor's connections, which fill a tier to test its limit. True if there was one."""
        for peer in self.peers:
            holder = peer.connection.key if peer.connection is not None and peer.is_open else None
            if holder is not None and is_probe_id(holder.id) and holder.tier == tier:
                peer.yield_slot()
                return True
        return False

    # Handing over to another process.

    async def handshakes_done(self, seconds: float) -> None:
        """Wait until every connected client is admitted or refused, at most ``seconds``."""
        deadline = self._monotonic() + seconds
        while self._monotonic() < deadline and any(peer.is_arriving for peer in self.peers):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)  # polling: restarts are rare, and an event would cost every client

    def pause_admission(self) -> None:
        """Stop admitting clients until ``resume_admission``: exactly those already admitted count."""
        self._held = []

    def hold(self, admit: Callable[[], None]) -> bool:
        """Keep a client waiting while admission is paused; False: it is not paused, the client may be admitted now."""
        if self._held is None:
            return False
        self._held.append(admit)
        return True

    def resume_admission(self) -> None:
        """Admit the clients that were held."""
        held, self._held = self._held or [], None
        for admit in held:
            admit()

    # Connections of one key.

    def live_keys(self) -> set[int]:
        """Return the ids of the keys that hold connections."""
        return set(self._hub.by_key)

    def connections_of(self, key_id: int) -> list[Connection]:
        """Return the live connections of a key, in the order of admission."""
        return list(self._hub.by_key.get(key_id, {}).values())

    async def close_revoked(self, connections: Sequence[Connection], refused: Refused) -> AsyncIterator[Connection]:
        """Close connections that their key no longer allows; yield each that was open, as it is closed.

        For good (4001), unless the key has another tier now: then they may reconnect at once.
        """
        farewell, code = b"", CloseCode.SERVICE_RESTART
        if refused.reason != "tier_changed":
            code = CloseCode.UNAUTHORIZED
            farewell = messages.error(ErrorCode.AUTH_FAILED, refused.message, format_ms(self._now_ms()))
        async for connection in yielding(connections):
            if connection.is_gone:
                continue
            if farewell:
                connection.answer(farewell)
            connection.transport.close(code, refused.message)
            yield connection
