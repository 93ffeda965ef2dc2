"""The parts of one worker, built from what its primary has told it. Nothing is opened here."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swim_server import logs
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.concurrency.tasks import Tasks
from swim_server.concurrency.timer_wheel import TimerWheel
from swim_server.config import LoadedConfig, parse_duration
from swim_server.daemon.key_watch import KeyWatch
from swim_server.daemon.latency import Latency
from swim_server.daemon.metrics.loop_lag import LoopLagMonitor, Throughput
from swim_server.daemon.nodes.clients import ask_to_resume
from swim_server.daemon.rules import tier_limits
from swim_server.daemon.running_config import RunningConfig
from swim_server.daemon.upkeep.state_keeper import StateKeeper, state_kinds
from swim_server.daemon.wiring import build_conversation, build_hub, build_tls, log_failure
from swim_server.gateway.context import EndpointContext, build_context
from swim_server.gateway.rpc import Rpc
from swim_server.logs import get_logger
from swim_server.protocol.channels import Catalogue
from swim_server.workers import messages
from swim_server.workers.admission import WorkerAdmission
from swim_server.workers.authenticator import WorkerAuthenticator, WorkerTickets
from swim_server.workers.broker import WorkerBroker
from swim_server.workers.passing import Passing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swim_server.config import Config, LoggingConfig
    from swim_server.daemon.home import Home
    from swim_server.gateway.tls import TlsCertificate
    from swim_server.logs import Logger
    from swim_server.state.world import World
    from swim_server.streaming.conversation import Conversation
    from swim_server.streaming.hub import Hub
    from swim_server.workers.descriptors import DescriptorChannel
    from swim_server.workers.link import Link
    from swim_server.workers.messages import ServiceNews

REST_SECONDS = 60.0
"""How often what only requests for the state needed is freed, if there was none meanwhile."""


class LinkLog:
    """Where a worker logs: the primary writes its lines, so that one process rotates the file."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._loop = asyncio.get_running_loop()

    def write(self, text: str) -> int:
        """Send text. Any thread may call it."""
        self._loop.call_soon_threadsafe(self._link.tell, messages.LOG, text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is kept back."""

    def isatty(self) -> bool:
        return False


class ServiceFacts:
    """What this worker's clients are told about the whole service, as of the primary's last news."""

    def __init__(self) -> None:
        self._clients = 0
        self._sources: Mapping[str, float | None] = {}
        self.began_at = time.monotonic()
        """When the service began, on this process's clock."""

    def note(self, news: ServiceNews) -> None:
        """Take the news."""
        self._clients, self._sources = news.clients, news.sources
        self.began_at = time.monotonic() - news.uptime_seconds

    def clients(self) -> int:
        """Return the number of all clients."""
        return self._clients

    def source_ages(self) -> Mapping[str, float | None]:
        """Return how long ago each source's last event was, in seconds."""
        return self._sources


class StateFollower(StateKeeper):
    """Loads the state of the world once a client of this worker asks for it. The checkpoints are the primary's.

    Until then no event is folded here: most events would be folded once in each process, for nobody.
    """

    async def begin(self, tasks: Tasks) -> None:
        """Load the world when it is wanted."""
        self._hub.state.load_when_wanted = lambda: tasks.start(self._load_until_ready(asyncio.Event()))

    async def run(self) -> None:
        """Free what only requests needed, now and then, until cancelled."""
        while True:
            await self._clock.sleep(REST_SECONDS)
            self._hub.state.rest()

    async def _save(self, world: World) -> None:
        """Do nothing."""


@dataclass(kw_only=True, slots=True)
class WorkerParts:
    """What a worker works with."""

    config: RunningConfig
    home: Home
    link: Link
    log: Logger
    log_stream: LinkLog
    number: int
    catalogue: Catalogue
    tasks: Tasks
    loop_lag: LoopLagMonitor
    throughput: Throughput
    latency: Latency
    admission: WorkerAdmission
    authenticator: WorkerAuthenticator
    broker: WorkerBroker
    hub: Hub
    conversation: Conversation
    state_keeper: StateFollower
    endpoints: EndpointContext
    key_watch: KeyWatch
    tls: TlsCertificate | None
    service: ServiceFacts

    def configure_log(self, config: LoggingConfig) -> None:
        """Log to the primary, each line with this worker's number."""
        logs.configure(config.level, config.format, self.log_stream, {"worker": self.number})


def build_worker_parts(config: Config, home: Home, link: Link, channel: DescriptorChannel, number: int) -> WorkerParts:
    """Build all parts and connect them. Raises CertificateUnusable."""
    loop, service = asyncio.get_running_loop(), ServiceFacts()
    log_stream = LinkLog(link)
    logs.configure(config.logging.level, config.logging.format, log_stream, {"worker": number})
    catalogue, tasks, wheel = (
        Catalogue(config.channels.families),
        Tasks(log_failure),
        TimerWheel(SYSTEM_CLOCK, on_failure=log_failure),
    )
    hub, broker = build_hub(catalogue, loop), WorkerBroker(link, home.history)
    admission = WorkerAdmission(tier_limits(config.tiers), link)
    authenticator = WorkerAuthenticator(link, clock=SYSTEM_CLOCK)
    conversation = build_conversation(config, hub, broker, tasks)
    broker.on_unreadable, broker.on_opened_late = conversation.tell_unreadable, hub.begin_after
    broker.on_hole = lambda: ask_to_resume(hub)
    tls = build_tls(config, None)
    endpoints = build_context(
        config.server, hub=hub, admission=admission, authenticator=authenticator, conversation=conversation,
        wheel=wheel, tasks=tasks, rpc=Rpc(log_failure), source_ages=service.source_ages, call_soon=loop.call_soon,
        clock=SYSTEM_CLOCK, log=get_logger("gateway"), tickets=WorkerTickets(),
        elsewhere=Passing(link, channel, tasks, is_tls=tls is not None),
    )  # fmt: skip
    endpoints.gateway.count_clients = service.clients
    return WorkerParts(
        config=RunningConfig(LoadedConfig(config, {}, ())),
        home=home, link=link, log=get_logger("daemon"), log_stream=log_stream, number=number,
        catalogue=catalogue, tasks=tasks, loop_lag=LoopLagMonitor(wheel),
        throughput=Throughput(hub, clock=SYSTEM_CLOCK),
        latency=Latency(hub, clock=SYSTEM_CLOCK, wall_ms=lambda: time.time() * 1000, call_soon=loop.call_soon),
        admission=admission, authenticator=authenticator, broker=broker, hub=hub, conversation=conversation,
        state_keeper=StateFollower(
            hub, broker, home.state, kinds=state_kinds(config.state),
            max_age_ms=int(parse_duration(config.state.max_age) * 1000), is_publishing=lambda: False,
            clock=SYSTEM_CLOCK, log=get_logger("state"),
        ),
        endpoints=endpoints, tls=tls, service=service,
        key_watch=KeyWatch(
            endpoints.gateway, authenticator, recheck_seconds=config.auth.recheck_seconds, log=get_logger("keys")
        ),
    )  # fmt: skip
