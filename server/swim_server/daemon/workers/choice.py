"""Whether clients are served by worker processes, and how many. Nothing is started here."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.daemon.nodes.broker_choice import served_history
from swim_server.daemon.nodes.joining import pass_on_between_nodes
from swim_server.daemon.workers.primary_parts import PrimaryParts
from swim_server.daemon.workers.processors import processors
from swim_server.errors import ExitKind, OperatorError
from swim_server.gateway.endpoint import Endpoint
from swim_server.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from swim_server.brokers.node_broker import NodeBroker
    from swim_server.config import Config
    from swim_server.daemon.components import Core
    from swim_server.daemon.key_watch import KeyWatch
    from swim_server.daemon.log_stream import LogStream
    from swim_server.daemon.workers.keeper import Keeper
    from swim_server.daemon.workers.spread import Spread
    from swim_server.daemon.workers.workers import Workers
    from swim_server.gateway.context import EndpointContext
    from swim_server.gateway.tls import TlsCertificate
    from swim_server.protocol.event_id import EventId
    from swim_server.workers.feed import Feed


class WorkersUnsupported(OperatorError):
    """Worker processes can't be used with these settings, or on this system."""

    exit_kind = ExitKind.WRONG_USAGE


def worker_count(config: Config) -> int:
    """Return how many worker processes there are: none, or at least two. Raises WorkersUnsupported."""
    wanted = config.server.workers
    count = processors() if wanted == "auto" else wanted
    if count < 2:
        return 0
    if sys.platform != "linux":
        raise WorkersUnsupported(f"[server] workers = {wanted} needs Linux; set it to 1")
    return count


@dataclass(frozen=True, slots=True)
class WorkerSide:
    """The primary's side of its workers."""

    workers: Workers
    keeper: Keeper
    spread: Spread


def build_workers(
    core: Core,
    endpoints: EndpointContext,
    tls: TlsCertificate | None,
    log_stream: LogStream | None,
    on_failure: Callable[[BaseException], None],
) -> WorkerSide | None:
    """Build what starts and feeds the worker processes; None if there are none. Raises WorkersUnsupported."""
    count = worker_count(core.config.values)
    if not count:
        return None
    from swim_server.daemon.workers.keeper import Keeper
    from swim_server.daemon.workers.spread import Spread
    from swim_server.daemon.workers.workers import Workers

    primary = PrimaryParts(
        config=core.config, home=core.home, tasks=core.tasks, authenticator=core.authenticator,
        admission=core.admission, source_ages=core.sources.event_ages, endpoints=endpoints,
        public=lambda: Endpoint(endpoints, endpoints.public_kind), tls=tls, clock=SYSTEM_CLOCK,
        log=get_logger("workers"), log_stream=log_stream, on_failure=on_failure,
    )  # fmt: skip
    workers = Workers(count, primary, core.broker, served_history(core.broker))
    _pass_on_what_turns_out_later(core.broker, workers.feed)
    if core.cluster is not None:
        pass_on_between_nodes(core.cluster, workers)
    return WorkerSide(workers, Keeper(workers, primary), Spread(workers, primary))


def build_key_watch(core: Core, endpoints: EndpointContext, side: WorkerSide | None) -> KeyWatch:
    """Build what watches the keys of live connections, in all processes."""
    recheck_seconds = core.config.values.auth.recheck_seconds
    if side is None:
        from swim_server.daemon.key_watch import KeyWatch

        return KeyWatch(endpoints.gateway, core.authenticator, recheck_seconds=recheck_seconds, log=get_logger("keys"))
    from swim_server.daemon.workers.primary_key_watch import PrimaryKeyWatch

    return PrimaryKeyWatch(
        endpoints.gateway, core.authenticator, side.workers, recheck_seconds=recheck_seconds, log=get_logger("keys")
    )


def _pass_on_what_turns_out_later(broker: NodeBroker, feed: Feed) -> None:
    """Tell the workers, too, what the broker finds out about its history."""
    tell_clients, begin_after = broker.on_unreadable, broker.on_opened_late
    assert tell_clients is not None and begin_after is not None, "they were set with the broker"

    def unreadable(after: EventId, up_to: EventId) -> None:
        tell_clients(after, up_to)
        feed.unreadable(after, up_to)

    def opened_late(newest: EventId) -> None:
        begin_after(newest)
        feed.opened_late(newest)

    broker.on_unreadable, broker.on_opened_late = unreadable, opened_late
