"""Builds the answer to ``status``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.daemon.control.documents.status import (
    ConnectionCounts,
    HistoryDocument,
    KeysDocument,
    LogDocument,
    OtherNode,
    Percentiles,
    SlowConsumers,
    SourceDocument,
    Status,
    TierUse,
)
from swim_server.daemon.process import memory_bytes
from swim_server.daemon.running_sources import age
from swim_server.daemon.workers.adding import add_workers
from swim_server.keys.format import Tier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swim_server.daemon.components import Components
    from swim_server.daemon.control.controlled import ControlledProcess
    from swim_server.daemon.log_stream import LogStream
    from swim_server.sources.source import SourceStatus


async def build_status(process: ControlledProcess) -> Status:
    """Build the document. Its fields are listed in server/OPERATING.md; more may be added."""
    parts, info, launch = process.components, process.info, process.launch
    hub, gateway = parts.hub, parts.gateway
    lagging = sum(connection.is_lagging for connection in hub.connections.values())
    status = Status(
        pid=info.pid,
        version=info.version,
        fingerprint=info.fingerprint,
        commit=info.commit,
        python=info.python,
        url=info.url,
        home=str(parts.home.path),
        config_files=[str(path) for path in parts.config.files],
        started_at=info.started_at,
        uptime_seconds=round(gateway.uptime_seconds(), 1),
        connections=_connection_counts(parts),
        subscription_groups=len(hub.groups),
        events_published=hub.events_delivered,
        events_per_second=parts.throughput.events.per_second(),
        deliveries=hub.deliveries,
        deliveries_per_second=parts.throughput.deliveries.per_second(),
        refused=dict(parts.endpoints.refusals.counts),
        slow_consumers=SlowConsumers(lagging=lagging, closed=parts.endpoints.log.slow_consumers),
        sources=[build_source(status) for status in parts.sources.statuses()],
        history=await _history(parts),
        keys=_keys(parts),
        latency_ms=_percentiles(parts.latency.summary_ms()),
        loop_lag_ms=Percentiles(**parts.loop_lag.lag_ms()),
        memory_bytes=memory_bytes(),
        log=_log(parts.log_stream),
        supervisor=launch.supervisor,
        supervised_as=launch.supervised_as,
        has_terminal=launch.has_terminal,
        program=launch.program,
        executable=launch.executable,
        arguments=list(launch.arguments),
        memory_settled_bytes=parts.memory.settled_bytes,
        metrics_read_age_seconds=_rounded(parts.metrics.read_age_seconds),
        metrics_pace_seconds=_rounded(parts.metrics.pace_seconds),
        **await _nodes(parts),
    )
    if parts.workers is not None:
        await parts.workers.look()
        add_workers(status, parts.workers)
    return status


async def _nodes(parts: Components) -> dict[str, Any]:
    """Return this node's name, and what the others have last reported."""
    cluster = parts.cluster
    if cluster is None:
        return {}
    found: dict[str, Any] = {"node": cluster.node, "nodes_problem": cluster.trouble}
    try:
        nodes = [each for each in await cluster.nodes() if each.name != cluster.node]
    except BrokerUnavailable as error:
        return found | {"nodes_problem": error.reason}
    others = {each.name: OtherNode(state=each.state, connections=each.report.connections) for each in nodes}
    return found | {"other_nodes": others}


def _connection_counts(parts: Components) -> ConnectionCounts:
    admission = parts.admission
    totals = None if parts.cluster is None else parts.cluster.admission.totals
    by_tier = {
        str(tier): TierUse(
            current=admission.current(tier),
            limit=admission.limits[tier].connections,
            all_nodes=msgspec.UNSET if totals is None else totals.get(str(tier), 0),
        )
        for tier in Tier
    }
    return ConnectionCounts(total=parts.gateway.clients(), by_tier=by_tier)


async def _history(parts: Components) -> HistoryDocument:
    """Return what history contains; if it can't be read, the rest of the status is still reported."""
    state = msgspec.structs.asdict(await parts.broker.state())
    try:
        span = await parts.broker.span()
    except BrokerUnavailable as error:
        return HistoryDocument(problem=error.reason, **state)
    return HistoryDocument(
        **state,
        oldest_id=str(span.oldest_id) if span.oldest_id is not None else None,
        newest_id=str(span.newest_id) if span.newest_id is not None else None,
        events=span.events,
        is_counted=span.is_counted,
        size_bytes=span.size_bytes,
    )


def _keys(parts: Components) -> KeysDocument:
    status = parts.authenticator.status()
    return KeysDocument(
        problem=status.problem,
        problem_seconds=status.problem_seconds,
        not_stored=status.not_stored,
        writing_problem=status.writing_problem,
        cached=status.cached,
        pending=status.pending,
        queries=status.queries,
        granted=status.granted,
        refused=status.refused,
        unavailable=status.unavailable,
        recheck_error=parts.key_watch.last_recheck_error,
    )


def _percentiles(found: Mapping[str, float] | None) -> Percentiles | None:
    return Percentiles(**found) if found is not None else None


def _log(stream: LogStream | None) -> LogDocument:
    if stream is None:
        return LogDocument()
    return LogDocument(
        path=str(stream.path) if stream.path is not None else None,
        lost_lines=stream.lost,
        problem=stream.problem,
        max_bytes=stream.max_bytes,
        opened_as=stream.opened_as,
        can_reopen=stream.can_reopen,
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def build_source(status: SourceStatus) -> SourceDocument:
    """Describe one source, its ages as of now."""
    return SourceDocument(
        name=status.name,
        kind=status.kind,
        state=status.state,
        events=status.events,
        last_event_age_seconds=age(status.last_event_monotonic),
        last_success_age_seconds=age(status.last_success_monotonic),
        errors=status.errors,
        last_error=status.last_error,
        details=dict(status.details),
        rejected=_rejected(status.details),
        feed_age_seconds=_feed_age(status),
        unknown_types=dict(status.unknown_types),
    )


def _rejected(details: Mapping[str, object]) -> int:
    rejected = details.get("rejected")
    return rejected if isinstance(rejected, int) else 0


def _feed_age(status: SourceStatus) -> float | None:
    """Return the current age of the feed's data, from its age when the last answer came."""
    seconds, came = status.details.get("feed_age_seconds"), status.last_success_monotonic
    if not isinstance(seconds, int | float) or came is None:
        return None
    return round(seconds + time.monotonic() - came, 1)
