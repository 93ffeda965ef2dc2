"""What ``status`` answers: one document about the running service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.brokers.broker import BrokerUnavailable, HistorySpan
from swim_server.keys.format import Tier
from swim_server.protocol.timestamps import format_ms

if TYPE_CHECKING:
    from swim_server.daemon.service import Service
    from swim_server.sources.source import SourceStatus
    from swim_server.streaming.connection import Connection


async def status_document(service: Service) -> dict[str, Any]:
    """Put the document together. Its fields are listed in the README; more may be added."""
    gateway, hub, info = service.gateway, service.hub, service.info
    connections = {
        "total": gateway.clients(),
        "by_tier": {
            str(tier): {"current": service.admission.current(tier), "limit": service.admission.limits[tier].connections}
            for tier in Tier
        },
    }
    lagging = sum(connection.is_lagging for connection in hub.connections.values())
    return {
        "pid": info.pid,
        "version": info.version,
        "fingerprint": info.fingerprint,
        "commit": info.commit,
        "python": info.python,
        "url": info.url,
        "home": str(service.home.path),
        "config_files": [str(path) for path in service.config_files],
        "started_at": info.started_at,
        "uptime_seconds": round(gateway.uptime_seconds(), 1),
        "connections": connections,
        "subscription_groups": len(hub.groups),
        "events_published": hub.events_delivered,
        "events_per_second": service.event_rate.per_second(),
        "deliveries": hub.deliveries,
        "deliveries_per_second": service.delivery_rate.per_second(),
        "refused": dict(service.endpoints.refusals.counts),
        "slow_consumers": {"lagging": lagging, "closed": service.endpoints.log.slow_consumers},
        "sources": [source_document(status) for status in service.source_statuses()],
        "history": await _history_document(service),
        "keys": {
            **msgspec.to_builtins(service.authenticator.status()),
            "recheck_error": service.key_watch.last_recheck_error,
        },
        "latency_ms": service.latency.summary_ms(),
        "loop_lag_ms": service.pulse.lag_ms(),
        "memory_bytes": service.memory_bytes(),
        "log": _log_document(service),
    }


def _log_document(service: Service) -> dict[str, Any]:
    """Where this process logs, and whether it can."""
    stream = service.log_stream
    return {
        "path": str(stream.path) if stream is not None and stream.path is not None else None,
        "lost_lines": stream.lost if stream is not None else 0,
        "problem": stream.problem if stream is not None else None,
        "max_bytes": stream.max_bytes if stream is not None else 0,
    }


async def _history_document(service: Service) -> dict[str, Any]:
    """What history holds; a history that can't be read is no reason to say nothing of all the rest."""
    try:
        span, problem = await service.broker.span(), None
    except BrokerUnavailable as error:
        span, problem = HistorySpan(None, None, 0, 0), error.reason
    return {
        "oldest_id": str(span.oldest_id) if span.oldest_id is not None else None,
        "newest_id": str(span.newest_id) if span.newest_id is not None else None,
        "events": span.events,
        "size_bytes": span.size_bytes,
        "problem": problem,
    }


def source_document(status: SourceStatus) -> dict[str, Any]:
    """One source, its ages counted from now."""
    return {
        "name": status.name,
        "kind": status.kind,
        "state": status.state,
        "events": status.events,
        "last_event_age_seconds": age(status.last_event_monotonic),
        "last_success_age_seconds": age(status.last_success_monotonic),
        "errors": status.errors,
        "last_error": status.last_error,
        "details": dict(status.details),
    }


def age(moment: float | None) -> float | None:
    """Seconds since a monotonic moment."""
    return round(time.monotonic() - moment, 1) if moment is not None else None


def connections_document(service: Service, tier: str | None, key_id: int | None) -> list[dict[str, Any]]:
    """The live connections, those of the control socket too: tier ``local``."""
    return [
        connection_row(connection)
        for connection in service.hub.connections.values()
        if (tier is None or connection.tier == tier)
        and (key_id is None or (connection.key is not None and connection.key.id == key_id))
    ]


def connection_row(connection: Connection) -> dict[str, Any]:
    """What is told of one connection."""
    key = connection.key
    return {
        "id": connection.id,
        "tier": connection.tier,
        "key_id": key.id if key is not None else None,
        "key_hint": key.hint if key is not None else None,
        "owner": key.owner_name if key is not None else None,
        "remote": connection.remote,
        "user_agent": connection.user_agent,
        "connected_at": format_ms(connection.connected_at_ms),
        "channels": sorted(connection.subscription.channels),
        "filters": connection.subscription.filters.to_wire(),
        "messages_sent": connection.messages_sent,
        "buffered_bytes": connection.buffered_bytes,
        "lagging": connection.is_lagging,
        "catching_up": connection.catch_up is not None,
    }
