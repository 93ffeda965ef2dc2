"""Builds the parts of a daemon from its configuration. Nothing is opened here, and nothing runs yet."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.concurrency.tasks import Tasks
from swim_server.concurrency.timer_wheel import TimerWheel
from swim_server.config import parse_duration
from swim_server.daemon.components import Components, Core
from swim_server.daemon.http_wiring import HttpWiring
from swim_server.daemon.latency import Latency
from swim_server.daemon.metrics.loop_lag import LoopLagMonitor, Throughput
from swim_server.daemon.metrics.memory_baseline import MemoryBaseline
from swim_server.daemon.nodes.broker_choice import build_admission, build_broker
from swim_server.daemon.nodes.joining import build_cluster, lease_sources, watch_keys
from swim_server.daemon.rules import publishing_rules
from swim_server.daemon.running_config import RunningConfig
from swim_server.daemon.running_sources import RunningSources
from swim_server.daemon.upkeep.state_keeper import StateKeeper, state_kinds
from swim_server.daemon.workers.choice import build_key_watch, build_workers, worker_count
from swim_server.gateway.context import EndpointContext, Shared, build_context
from swim_server.gateway.descriptor_guard import DescriptorGuard
from swim_server.gateway.endpoint import Endpoint
from swim_server.gateway.listeners import Listeners, plain_server
from swim_server.gateway.tls import CertificateIncomplete, TlsCertificate
from swim_server.gateway.tls_entrance import tls_server
from swim_server.keys.authenticator import Authenticator
from swim_server.keys.decision_cache import CacheTimes
from swim_server.keys.opening import open_database
from swim_server.keys.store import KeyStore
from swim_server.logs import get_logger
from swim_server.protocol.channels import Catalogue
from swim_server.streaming.conversation import Conversation
from swim_server.streaming.explain.session_log import SessionLog
from swim_server.streaming.hub import Hub

if TYPE_CHECKING:
    from swim_server.brokers.broker import Broker
    from swim_server.config import Config, LoadedConfig
    from swim_server.daemon.home import Home
    from swim_server.daemon.log_stream import LogStream
    from swim_server.daemon.notifier import Notifier
    from swim_server.daemon.workers.spread import Spread
    from swim_server.gateway.http.protocols import HttpProtocols
    from swim_server.gateway.rpc import Rpc
    from swim_server.logs import Logger
    from swim_server.state.kinds import Kind


def build_components(
    loaded: LoadedConfig,
    home: Home,
    loop: asyncio.AbstractEventLoop,
    *,
    rpc: Rpc,
    notifier: Notifier,
    log_stream: LogStream | None = None,
) -> Components:
    """Build all parts and connect them. The service opens the broker and tells the hub where it stands."""
    worker_count(loaded.config)
    core = build_core(loaded, home, loop)
    config, hub = loaded.config, core.hub
    kinds = state_kinds(config.state)
    http = HttpWiring(core, rpc, [kind.name for kind in kinds])
    endpoints = build_endpoints(core, loop, rpc, http=http.build)
    tls = build_tls(config, get_logger("gateway"))
    side = build_workers(core, endpoints, tls, log_stream, log_failure)
    key_watch = build_key_watch(core, endpoints, side)
    listeners = build_listeners(endpoints, tls, side.spread if side is not None else None)
    guard = DescriptorGuard(listeners, core.tasks, get_logger("gateway"), reserve=config.server.descriptor_reserve)
    endpoints.gateway.on_count = guard.counted
    if core.cluster is not None:
        watch_keys(core.cluster, core.authenticator, key_watch)
    return Components(
        config=core.config, home=home, log=get_logger("daemon"), log_stream=log_stream, notifier=notifier,
        catalogue=core.catalogue, tasks=core.tasks, wheel=core.wheel, loop_lag=LoopLagMonitor(core.wheel),
        admission=core.admission, broker=core.broker, cluster=core.cluster, store=core.store,
        authenticator=core.authenticator, sources=core.sources, hub=hub, conversation=core.conversation,
        state_keeper=build_state_keeper(core, kinds), memory=MemoryBaseline(loop),
        latency=Latency(hub, clock=SYSTEM_CLOCK, wall_ms=lambda: time.time() * 1000, call_soon=loop.call_soon),
        throughput=Throughput(hub, clock=SYSTEM_CLOCK), metrics=http.metrics, sessions=http.sessions,
        readiness=http.readiness, request_counts=http.request_counts, rpc=rpc, endpoints=endpoints,
        gateway=endpoints.gateway, key_watch=key_watch, listeners=listeners, tls=tls,
        workers=side.workers if side is not None else None, worker_keeper=side.keeper if side is not None else None,
    )  # fmt: skip


def build_core(loaded: LoadedConfig, home: Home, loop: asyncio.AbstractEventLoop) -> Core:
    """Build everything that moves and stores events and decides about keys."""
    config, running = loaded.config, RunningConfig(loaded)
    catalogue, tasks, admission = Catalogue(config.channels.families), Tasks(log_failure), build_admission(config)
    broker, hub = build_broker(config, home), build_hub(catalogue, loop)
    store = KeyStore(open_database(config.database, home.database), clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes)
    sources = RunningSources(running, home, catalogue, broker.publish, tasks)
    cluster = build_cluster(broker, admission, tasks, hub, config)
    if cluster is not None:
        sources.wrap = lambda wanted, built: lease_sources(cluster, wanted, home, built)
    conversation = build_conversation(config, hub, broker, tasks)
    broker.on_unreadable = conversation.tell_unreadable
    broker.on_opened_late = hub.begin_after
    return Core(
        config=running,
        home=home,
        catalogue=catalogue,
        tasks=tasks,
        wheel=TimerWheel(SYSTEM_CLOCK, on_failure=log_failure),
        admission=admission,
        broker=broker,
        cluster=cluster,
        store=store,
        authenticator=build_authenticator(config, store),
        sources=sources,
        hub=hub,
        conversation=conversation,
    )


def build_authenticator(config: Config, store: KeyStore) -> Authenticator:
    """Build the authenticator with the settings of ``[auth]``."""
    return Authenticator(
        store,
        clock=SYSTEM_CLOCK,
        times=CacheTimes(
            cache_seconds=config.auth.cache_seconds,
            negative_cache_seconds=config.auth.negative_cache_seconds,
            stale_grace_seconds=config.auth.stale_grace_seconds,
        ),
    )


def build_hub(catalogue: Catalogue, loop: asyncio.AbstractEventLoop) -> Hub:
    """Build the hub, which remembers sessions for ``explain``."""
    return Hub(
        catalogue,
        call_soon=loop.call_soon,
        clock=SYSTEM_CLOCK,
        on_failure=log_failure,
        session_log=SessionLog(SYSTEM_CLOCK),
    )


def build_conversation(config: Config, hub: Hub, broker: Broker, tasks: Tasks) -> Conversation:
    """Build what answers clients' messages."""
    return Conversation(
        hub,
        broker,
        tasks,
        clock=SYSTEM_CLOCK,
        heartbeat_seconds=config.server.heartbeat_seconds,
        publishing=publishing_rules(config.publish, hub.catalogue),
        max_waiting_bytes=config.server.max_waiting_bytes,
    )


def build_state_keeper(core: Core, kinds: Sequence[Kind]) -> StateKeeper:
    """Build what loads the world, writes checkpoints and ends entries that have aged."""
    return StateKeeper(
        core.hub,
        core.broker,
        core.home.state,
        kinds=kinds,
        max_age_ms=int(parse_duration(core.config.values.state.max_age) * 1000),
        is_publishing=lambda: core.sources.is_running,
        clock=SYSTEM_CLOCK,
        log=get_logger("state"),
    )


def build_endpoints(
    core: Core, loop: asyncio.AbstractEventLoop, rpc: Rpc, *, http: Callable[[Shared], HttpProtocols]
) -> EndpointContext:
    """Build what all endpoints share."""
    return build_context(
        core.config.values.server,
        hub=core.hub,
        admission=core.admission,
        authenticator=core.authenticator,
        conversation=core.conversation,
        wheel=core.wheel,
        tasks=core.tasks,
        rpc=rpc,
        source_ages=core.sources.event_ages,
        call_soon=loop.call_soon,
        clock=SYSTEM_CLOCK,
        log=get_logger("gateway"),
        http=http,
    )


def build_tls(config: Config, log: Logger | None) -> TlsCertificate | None:
    """Read the certificate of ``[server]``. Raises CertificateUnusable or CertificateIncomplete."""
    certificate, key = config.server.tls_certificate, config.server.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise CertificateIncomplete
    return TlsCertificate(Path(certificate), Path(key), log)


def build_listeners(endpoints: EndpointContext, tls: TlsCertificate | None, spread: Spread | None) -> Listeners:
    """Build both listeners: each connection gets an endpoint of its own, after its TLS handshake if there is one.

    With workers, they get the public connections.
    """

    def public() -> Endpoint:
        return Endpoint(endpoints, endpoints.public_kind)

    by_itself = plain_server(public) if tls is None else tls_server(endpoints, tls.context, public)
    return Listeners(by_itself if spread is None else spread.serve, lambda: Endpoint(endpoints, endpoints.local_kind))


def log_failure(error: BaseException) -> None:
    """Log a failure that nothing awaits: of a task, a timer or a method of the control socket."""
    get_logger("daemon").error("a task failed", exc_info=error)
