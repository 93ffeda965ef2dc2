"""The parts of one daemon, by name: what the service runs and what the control socket's methods use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swim_server.brokers.node_broker import NodeBroker
    from swim_server.cluster.cluster import Cluster
    from swim_server.concurrency.tasks import Tasks
    from swim_server.concurrency.timer_wheel import TimerWheel
    from swim_server.daemon.home import Home
    from swim_server.daemon.key_watch import KeyWatch
    from swim_server.daemon.latency import Latency
    from swim_server.daemon.log_stream import LogStream
    from swim_server.daemon.metrics.exposition import Exposition
    from swim_server.daemon.metrics.loop_lag import LoopLagMonitor, Throughput
    from swim_server.daemon.metrics.memory_baseline import MemoryBaseline
    from swim_server.daemon.notifier import Notifier
    from swim_server.daemon.running_config import RunningConfig
    from swim_server.daemon.running_sources import RunningSources
    from swim_server.daemon.upkeep.state_keeper import StateKeeper
    from swim_server.daemon.workers.keeper import Keeper
    from swim_server.daemon.workers.workers import Workers
    from swim_server.gateway.context import EndpointContext
    from swim_server.gateway.http.ops.sessions import OperatorSessions
    from swim_server.gateway.http.readiness import Readiness
    from swim_server.gateway.http.request_counts import RequestCounts
    from swim_server.gateway.listeners import Listeners
    from swim_server.gateway.registry import Gateway
    from swim_server.gateway.rpc import Rpc
    from swim_server.gateway.tls import TlsCertificate
    from swim_server.keys.authenticator import Authenticator
    from swim_server.keys.store import KeyStore
    from swim_server.logs import Logger
    from swim_server.protocol.channels import Catalogue
    from swim_server.streaming.admission import Admission
    from swim_server.streaming.conversation import Conversation
    from swim_server.streaming.hub import Hub


@dataclass(frozen=True, kw_only=True, slots=True)
class Core:
    """Everything that moves and stores events and decides about keys. Built first; knows no listener and no request."""

    config: RunningConfig
    home: Home
    catalogue: Catalogue
    tasks: Tasks
    wheel: TimerWheel
    admission: Admission
    broker: NodeBroker
    cluster: Cluster | None
    """What this node does with others; None: it is the only one."""
    store: KeyStore
    authenticator: Authenticator
    sources: RunningSources
    hub: Hub
    conversation: Conversation


@dataclass(frozen=True, kw_only=True, slots=True)
class Components(Core):
    """All parts, built once by ``wiring``. None is replaced while the process lives."""

    log: Logger
    log_stream: LogStream | None
    """Where this process logs; None: standard error."""
    notifier: Notifier
    loop_lag: LoopLagMonitor
    state_keeper: StateKeeper
    latency: Latency
    memory: MemoryBaseline
    metrics: Exposition
    sessions: OperatorSessions
    """Sessions of the operator's page."""
    readiness: Readiness
    request_counts: RequestCounts
    throughput: Throughput
    rpc: Rpc
    endpoints: EndpointContext
    """What all endpoints share."""
    gateway: Gateway
    """Knows all connections."""
    key_watch: KeyWatch
    listeners: Listeners
    tls: TlsCertificate | None
    """The certificate shown to clients; None: they connect without TLS, or a proxy terminates it."""
    workers: Workers | None
    """The processes that serve the clients; None: this one does."""
    worker_keeper: Keeper | None
    """Starts and ends them."""
