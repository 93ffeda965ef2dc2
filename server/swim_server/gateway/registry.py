"""What all endpoints share: the service's rooms, its limits, and what is logged of each client. Never a key."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import msgspec
from websockets.extensions.base import ServerExtensionFactory
from websockets.typing import Origin

from swim_server.concurrency.yielding import yielding
from swim_server.gateway import compression
from swim_server.gateway.handshake_queue import HandshakeQueue
from swim_server.gateway.inbound_policy import RateDecision
from swim_server.keys.probes import is_probe_id
from swim_server.keys.records import Refused
from swim_server.protocol.codes import BadMessage, CloseCode, ErrorCode
from swim_server.protocol.messages import binary_frame
from swim_server.streaming.framed_event import ping_frame, text_frame

if TYPE_CHECKING:
    from websockets.frames import Close

    from swim_server.concurrency.tasks import Tasks
    from swim_server.concurrency.timer_wheel import TimerWheel
    from swim_server.config import ServerConfig
    from swim_server.gateway.endpoint import Endpoint
    from swim_server.gateway.refusals import Refusals
    from swim_server.gateway.rpc import Rpc
    from swim_server.keys.authenticator import Authenticator
    from swim_server.keys.records import KeyRecord
    from swim_server.streaming.admission import Admission, LimitReached
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.conversation import Conversation
    from swim_server.streaming.hub import Hub

HARD_LIMIT_BYTES = 1024 * 1024
"""A longer message is not even read to its end: the library closes with 1009 (RFC 6455, section 7.4.1)."""
LOCAL_LIMIT_BYTES = 16 * 1024 * 1024
HIGH_WATER_BYTES = 64 * 1024
"""What a transport may hold before its client counts as lagging."""
LOOK_SECONDS = 0.005


class ListenerKind(msgspec.Struct, frozen=True):
    """One way in: the public one, or the control socket, where the file system is the access control."""

    is_local: bool
    max_message_bytes: int
    hard_limit_bytes: int
    extensions: Sequence[ServerExtensionFactory] | None = None
    """What is negotiated with clients: compression, where it saves anything."""


class Eviction(msgspec.Struct, frozen=True):
    """A client that was closed with 4008."""

    monotonic: float
    connection_id: str
    key_id: int | None
    owner: str | None
    reason: str


class Gateway:
    """Built by the daemon; each endpoint has a reference to it and no other state that is shared."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        hub: Hub,
        admission: Admission,
        authenticator: Authenticator,
        conversation: Conversation,
        refusals: Refusals,
        wheel: TimerWheel,
        tasks: Tasks,
        rpc: Rpc,
        source_ages: Callable[[], dict[str, float | None]],
        call_soon: Callable[[Callable[[], None]], object],
        monotonic: Callable[[], float],
        now_ms: Callable[[], int],
        log: Any,
    ) -> None:
        self.hub = hub
        self.admission = admission
        self.authenticator = authenticator
        self.conversation = conversation
        self.refusals = refusals
        self.wheel = wheel
        self.tasks = tasks
        self.rpc = rpc
        self.monotonic = monotonic
        self.handshake_queue = HandshakeQueue(call_soon=call_soon, monotonic=monotonic)
        self.now_ms = now_ms
        self.endpoints: set[Endpoint] = set()
        self.is_draining = False
        """Nobody is let in any more."""
        self.held: list[Callable[[], None]] | None = None
        """While a list, clients with a good key wait in it for ``resume_admission``."""
        self.origins: list[Origin | None] | None = None
        if config.allowed_origins:  # programs send no Origin: only browsers can be told apart by it
            self.origins = [None, *(Origin(origin) for origin in config.allowed_origins)]
        self.heartbeat_seconds = config.heartbeat_seconds
        self.handshake_timeout_seconds = config.handshake_timeout_seconds
        self.close_timeout_seconds = config.close_timeout_seconds
        self.max_buffer_bytes = config.max_buffer_bytes
        self.high_water_bytes = min(HIGH_WATER_BYTES, config.max_buffer_bytes)
        hard_limit_bytes = max(HARD_LIMIT_BYTES, 2 * config.max_message_bytes)
        self.public_kind = ListenerKind(False, config.max_message_bytes, hard_limit_bytes, compression.extensions())
        self.local_kind = ListenerKind(True, LOCAL_LIMIT_BYTES, LOCAL_LIMIT_BYTES)
        self.slow_consumers = 0
        """Clients closed with 4008 since the start."""
        self.evictions: deque[Eviction] = deque(maxlen=50)
        """The last of them."""
        self.gone = 0
        """Public connections that have ended, admitted or not, since the start."""
        self._source_ages = source_ages
        self._started = monotonic()
        self._heartbeat: tuple[float, bytes] = (-1.0, b"")
        self._http_date = (-1, "")
        self._log = log
        self._gone_waiter: asyncio.Future[None] | None = None

    def uptime_seconds(self) -> float:
        """Since this process began to serve."""
        return self.monotonic() - self._started

    def http_date(self) -> str:
        """Now, as HTTP writes it (RFC 9110, section 5.6.7); formatted once a second."""
        second = self.now_ms() // 1000
        if second != self._http_date[0]:
            self._http_date = (second, formatdate(second, usegmt=True))
        return self._http_date[1]

    def heartbeat(self) -> bytes:
        """A heartbeat and a ping in one: ready frames, made anew at most ten times a second for all who are due."""
        now = self.monotonic()
        if now - self._heartbeat[0] > 0.1:
            message = self.conversation.heartbeat(
                connected_clients=self.clients(), uptime_seconds=self.uptime_seconds(), sources=self._source_ages()
            )
            self._heartbeat = (now, text_frame(message) + ping_frame(b""))
        return self._heartbeat[1]

    def clients(self) -> int:
        """Admitted clients at this moment, those of the control socket not counted."""
        return sum(self.admission.current(tier) for tier in self.admission.limits)

    # Messages.

    def on_message(self, endpoint: Endpoint, connection: Connection, payload: bytes, *, is_text: bool) -> None:
        """Judge one message, have it answered, and keep the record of a client that sends nonsense."""
        if not endpoint.kind.is_local and not self._is_within_rate(endpoint, connection, payload):
            return
        if endpoint.kind.is_local and self.rpc.is_request(payload):
            self.tasks.start(self.rpc.answer(connection, payload))
            return
        try:
            if not is_text:
                raise binary_frame()
            limit = self._size_limit(endpoint, connection, payload)
            if len(payload) > limit:
                raise _too_large(limit, len(payload))
            self.conversation.receive(connection, payload)
        except BadMessage as refused:
            connection.answer(self.conversation.error(refused.code, refused.message, refused.data))
            is_malformed = refused.code is ErrorCode.INVALID_JSON
            if endpoint.inbound.record(is_malformed=is_malformed, is_refused=True):
                endpoint.close(CloseCode.BAD_MESSAGES, "too many messages that can't be read")
        else:
            endpoint.inbound.record()

    def too_large(self, kind: ListenerKind) -> bytes:
        """The error before a close with 1009: the message was longer than what is even read to be refused."""
        refused = _too_large(kind.max_message_bytes, None)
        return self.conversation.error(refused.code, refused.message, refused.data)

    def _size_limit(self, endpoint: Endpoint, connection: Connection, payload: bytes) -> int:
        """Events of providers have a limit of their own."""
        publishing = self.conversation.publishing
        is_publication = not endpoint.kind.is_local and publishing.governs(connection.tier, payload)
        return publishing.max_event_bytes if is_publication else endpoint.kind.max_message_bytes

    def _is_within_rate(self, endpoint: Endpoint, connection: Connection, payload: bytes) -> bool:
        publishing = self.conversation.publishing
        if publishing.governs(connection.tier, payload):
            allowed = publishing.events_per_second
            decision = endpoint.publications().judge(self.monotonic(), allowed)
        else:
            allowed = self.admission.limits[connection.tier].messages_per_second
            decision = endpoint.inbound.judge(self.monotonic(), allowed)
        if decision is RateDecision.TAKE:
            return True
        if decision is not RateDecision.IGNORE:
            text = f"more than {allowed} messages in a second: the rest of them is ignored"
            connection.answer(self.conversation.error(ErrorCode.RATE_LIMITED, text, {"limit": allowed}))
        if decision is RateDecision.CLOSE:
            endpoint.close(CloseCode.LIMIT, "too many messages a second, again and again")
        return False

    # What is logged.

    def log_connect(self, connection: Connection) -> None:
        """One line a client that was let in."""
        key = connection.key
        self._log_of(connection)(
            "connected",
            client=connection.id,
            tier=connection.tier,
            key_id=key.id if key is not None else None,
            remote=connection.remote,
            agent=connection.user_agent,
        )
        if key is not None:
            self.authenticator.touch(key.id)

    def log_disconnect(self, connection: Connection, sent: Close | None, received: Close | None) -> None:
        """One line a client that has gone."""
        if sent is not None and sent.code == CloseCode.SLOW_CONSUMER:
            self.slow_consumers += 1
            owner = connection.key.owner_name if connection.key is not None else None
            key_id = connection.key.id if connection.key is not None else None
            self.evictions.append(Eviction(self.monotonic(), connection.id, key_id, owner, sent.reason))
        close = sent or received
        code = int(close.code) if close is not None else 1006
        self.note_end(connection, code, close.reason if close is not None else "")
        self._log_of(connection)(
            "disconnected",
            client=connection.id,
            code=code,
            seconds=round((self.now_ms() - connection.connected_at_ms) / 1000, 1),
            sent=connection.messages_sent,
        )

    def note_end(self, connection: Connection, code: int, reason: str) -> None:
        """Remember how a connection ends, for those who ask later."""
        if self.hub.session_log is not None and connection.session is not None:
            self.hub.session_log.closed(connection.session, int(code), reason)

    def _log_of(self, connection: Connection) -> Callable[..., None]:
        """Our own commands come and go all the time: only who looks for them sees them."""
        is_ours = connection.key is None or is_probe_id(connection.key.id)
        log: Callable[..., None] = self._log.debug if is_ours else self._log.info
        return log

    def note_limit(self, address: str, reached: LimitReached, key_id: int) -> None:
        """A client with a good key found its tier or key full."""
        if is_probe_id(key_id):
            return
        self.refusals.note("limit", address, key_id=key_id, tier=reached.tier)
        self.authenticator.note_refusal(Refused(reached.message, "limit", key_id), address)

    def forget(self, endpoint: Endpoint) -> None:
        """An endpoint is gone."""
        self.endpoints.discard(endpoint)
        if not endpoint.kind.is_local:
            self.gone += 1
        if not self.endpoints and self._gone_waiter is not None and not self._gone_waiter.done():
            self._gone_waiter.set_result(None)

    async def all_gone(self) -> None:
        """Wait until no client is connected. For one caller, at the end of the service."""
        if self.endpoints:
            self._gone_waiter = asyncio.get_running_loop().create_future()
            await self._gone_waiter

    # Giving way.

    def evict_probe_client(self, key: KeyRecord, reached: LimitReached) -> bool:
        """Where the doctor fills a tier to try its limit, its connections give way to clients. True when one did."""
        if reached.is_per_key or is_probe_id(key.id) or not self.authenticator.probes:
            return False
        for endpoint in self.endpoints:
            holder = endpoint.connection.key if endpoint.connection is not None and endpoint.is_open else None
            if holder is not None and is_probe_id(holder.id) and holder.tier is key.tier:
                endpoint.yield_slot()
                return True
        return False

    # Standing aside for another process.

    async def handshakes_done(self, seconds: float) -> None:
        """Wait until every client that has come is let in or refused, but no longer than so many seconds."""
        deadline = self.monotonic() + seconds
        while self.monotonic() < deadline and any(endpoint.is_arriving for endpoint in self.endpoints):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)  # for once in a restart an event would cost every client

    def pause_admission(self) -> None:
        """Let nobody in until ``resume_admission``: exactly who is admitted now counts."""
        self.held = []

    def resume_admission(self) -> None:
        """Let in who was held."""
        held, self.held = self.held or [], None
        for admit in held:
            admit()

    # All of one key.

    def live_keys(self) -> set[int]:
        """The ids of the keys that hold connections."""
        return set(self.hub.by_key)

    def connections_of(self, key_id: int) -> list[Connection]:
        """The live connections of a key, in the order in which they were let in."""
        return list(self.hub.by_key.get(key_id, {}).values())

    async def close_revoked(self, connections: Sequence[Connection], refused: Refused) -> AsyncIterator[Connection]:
        """Close connections whose key no longer lets them in; tell of each that was live until then, as it is closed.

        For good (4001), unless the key is of another tier now: then they may connect again at once.
        """
        farewell, code = b"", CloseCode.SERVICE_RESTART
        if refused.reason != "tier_changed":
            code = CloseCode.UNAUTHORIZED
            farewell = text_frame(self.conversation.error(ErrorCode.AUTH_FAILED, refused.message))
        async for connection in yielding(connections):
            if connection.is_gone:
                continue
            if farewell:
                connection.send_frame(farewell)
            connection.transport.close(code, refused.message)
            yield connection


def _too_large(limit: int, size: int | None) -> BadMessage:
    has = f"has {size} bytes" if size is not None else "is far too long"
    details = {"limit": limit} if size is None else {"size": size, "limit": limit}
    return BadMessage(ErrorCode.MESSAGE_TOO_LARGE, f"the message {has}; at most {limit} are read", details)
