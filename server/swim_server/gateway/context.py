"""What all endpoints share, built from the parts of the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from websockets.typing import Origin

from swim_server.gateway import compression
from swim_server.gateway.arrivals import Arrivals
from swim_server.gateway.authentication import Authentication
from swim_server.gateway.connection_log import ConnectionLog
from swim_server.gateway.dispatcher import Dispatcher
from swim_server.gateway.frames.reader import ReadingQueues
from swim_server.gateway.handshake import HandshakeRules
from swim_server.gateway.heartbeats import Heartbeats
from swim_server.gateway.listener_kind import ListenerKind
from swim_server.gateway.refusals import Refusals
from swim_server.gateway.registry import Gateway
from swim_server.gateway.tickets import Tickets
from swim_server.gateway.work_queue import WorkQueue

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.concurrency.tasks import Tasks
    from swim_server.concurrency.timer_wheel import TimerWheel
    from swim_server.config import ServerConfig
    from swim_server.gateway.authentication import KeyDecisions
    from swim_server.gateway.handshake import TicketOffice
    from swim_server.gateway.http.protocols import Elsewhere, HttpProtocols
    from swim_server.gateway.rpc import Rpc
    from swim_server.logs import Logger
    from swim_server.streaming.admission import Admission
    from swim_server.streaming.conversation import Conversation
    from swim_server.streaming.hub import Hub

HARD_LIMIT_BYTES = 1024 * 1024
"""A longer message is not read to its end: the library closes with 1009 (RFC 6455, section 7.4.1)."""
LOCAL_LIMIT_BYTES = 16 * 1024 * 1024
HIGH_WATER_BYTES = 64 * 1024
"""How many bytes a transport may hold before its client counts as lagging."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What WebSockets and plain HTTP have in common: who is connected, who may connect, and who was refused."""

    gateway: Gateway
    authentication: Authentication
    refusals: Refusals
    tickets: Tickets
    log: ConnectionLog


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointContext:
    """The parts that an endpoint works with. Nothing in it belongs to a single connection."""

    public_kind: ListenerKind
    local_kind: ListenerKind
    settings: ServerConfig
    """Timeouts, limits of what may wait, and what one client may cost."""
    high_water_bytes: int
    gateway: Gateway
    handshake_rules: HandshakeRules
    arrivals: Arrivals
    http: HttpProtocols | None
    """Answers requests that are not for a WebSocket."""
    elsewhere: Elsewhere | None
    """Another process that answers them; None: this one does."""
    handshake_queue: WorkQueue
    reading_queues: ReadingQueues
    authentication: Authentication
    dispatcher: Dispatcher
    conversation: Conversation
    heartbeats: Heartbeats
    hub: Hub
    log: ConnectionLog
    refusals: Refusals
    tickets: Tickets
    """What this process has issued."""
    wheel: TimerWheel
    tasks: Tasks
    clock: Clock


def build_context(
    config: ServerConfig,
    *,
    hub: Hub,
    admission: Admission,
    authenticator: KeyDecisions,
    conversation: Conversation,
    rpc: Rpc,
    wheel: TimerWheel,
    tasks: Tasks,
    source_ages: Callable[[], Mapping[str, float | None]],
    call_soon: Callable[[Callable[[], None]], object],
    clock: Clock,
    log: Logger,
    http: Callable[[Shared], HttpProtocols] | None = None,
    elsewhere: Elsewhere | None = None,
    tickets: TicketOffice | None = None,
) -> EndpointContext:
    """Build everything that stands between the sockets and the hub."""
    gateway = Gateway(hub, admission, clock=clock)
    refusals = Refusals(config.trusted_proxies, clock=clock, log=log)
    shared = Shared(
        gateway=gateway,
        authentication=Authentication(authenticator, admission, refusals, gateway),
        refusals=refusals,
        tickets=Tickets(clock=clock),
        log=ConnectionLog(log, session_log=hub.session_log, clock=clock),
    )
    serves_http, office = not (http is None and elsewhere is None), tickets or shared.tickets
    return EndpointContext(
        public_kind=_public_kind(config),
        local_kind=ListenerKind(True, LOCAL_LIMIT_BYTES, LOCAL_LIMIT_BYTES),
        settings=config,
        high_water_bytes=min(HIGH_WATER_BYTES, config.max_buffer_bytes),
        gateway=gateway,
        handshake_rules=_handshake_rules(config, shared, authenticator, clock, serves_http=serves_http, tickets=office),
        arrivals=Arrivals(config, config.trusted_proxies, clock=clock),
        http=http(shared) if http is not None else None,
        elsewhere=elsewhere,
        handshake_queue=WorkQueue(call_soon=call_soon, clock=clock),
        reading_queues=ReadingQueues(
            light=WorkQueue(call_soon=call_soon, clock=clock),
            heavy=WorkQueue(call_soon=call_soon, clock=clock),
            monotonic=clock.monotonic,
        ),
        authentication=shared.authentication,
        dispatcher=Dispatcher(conversation, rpc, admission, tasks, abuse_factor=config.abuse_factor, clock=clock),
        conversation=conversation,
        heartbeats=Heartbeats(gateway, conversation, source_ages, clock=clock),
        hub=hub,
        log=shared.log,
        refusals=refusals,
        tickets=shared.tickets,
        wheel=wheel,
        tasks=tasks,
        clock=clock,
    )


def _public_kind(config: ServerConfig) -> ListenerKind:
    hard_limit_bytes = max(HARD_LIMIT_BYTES, 2 * config.max_message_bytes)
    return ListenerKind(False, config.max_message_bytes, hard_limit_bytes, compression.extensions())


def _handshake_rules(
    config: ServerConfig,
    shared: Shared,
    authenticator: KeyDecisions,
    clock: Clock,
    *,
    serves_http: bool,
    tickets: TicketOffice,
) -> HandshakeRules:
    origins: list[Origin | None] | None = None
    if config.allowed_origins:  # programs send no Origin: only browsers can be recognised by it
        origins = [None, *(Origin(origin) for origin in (*config.allowed_origins, *_own_origins(config)))]
    return HandshakeRules(
        shared.refusals,
        origins=origins,
        is_draining=lambda: shared.gateway.is_draining,
        is_good=authenticator.is_remembered,
        tickets=tickets,
        clock=clock,
        max_head_bytes=config.max_head_bytes,
        serves_http=serves_http,
    )


def _own_origins(config: ServerConfig) -> list[str]:
    """Return the origin of the service's own pages, if the address under which they are opened is known."""
    if config.public_url is None:
        return []
    scheme, _, rest = config.public_url.partition("://")
    return [f"{'https' if scheme == 'wss' else 'http'}://{rest.partition('/')[0]}"]
