"""Builds the answer to ``promises``: what this process commits itself to, and whether history keeps it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.config import (
    AdlSourceConfig,
    DropSourceConfig,
    EcfmpSourceConfig,
    FileSourceConfig,
    RecordingSourceConfig,
    SourceConfig,
    VatsimSourceConfig,
    parse_duration,
)
from swim_server.daemon.control.documents.diagnostics import (
    HistoryPromise,
    KindPromise,
    Promises,
    SourcePace,
    TierPromise,
)
from swim_server.keys.format import Tier
from swim_server.protocol.event_id import MAX_SEQUENCE, ZERO, EventId
from swim_server.protocol.positions import POSITION_TYPES
from swim_server.sources.recording.pace import MAX_STEP_MS

if TYPE_CHECKING:
    from swim_server.brokers.broker import Broker
    from swim_server.daemon.components import Components
    from swim_server.streaming.admission import Admission

PACE_SECONDS = 1.0
"""Interval assumed for sources without one."""
EDGE_SHARE, EDGE_SECONDS = 0.01, 2.0
"""Events this close to the end of their retention may already have been removed."""


async def build_promises(parts: Components) -> Promises:
    """Collect limits of the tiers, retention and the pace of each source."""
    config = parts.config.values
    return Promises(
        tiers={str(tier): _tier(parts.admission, tier) for tier in Tier},
        history=await _history(parts),
        sources=[
            SourcePace(name=status.name, pace_seconds=pace_seconds(source), path=getattr(source, "path", None))
            for source, status in zip(config.sources, parts.sources.statuses(), strict=False)
        ],
        heartbeat_seconds=config.server.heartbeat_seconds,
        recheck_seconds=parts.key_watch.recheck_seconds,
        now_ms=time.time_ns() // 1_000_000,
    )


def _tier(admission: Admission, tier: Tier) -> TierPromise:
    limit = admission.limits[tier]
    return TierPromise(
        connections=limit.connections,
        connections_per_key=limit.connections_per_key,
        messages_per_second=limit.messages_per_second,
        current=admission.current(tier),
    )


async def _history(parts: Components) -> HistoryPromise:
    config = parts.config.values.history
    positions = frozenset(POSITION_TYPES)
    promise = HistoryPromise(
        max_bytes=config.max_bytes,
        events=KindPromise(keep_seconds=parse_duration(config.keep)),
        positions=KindPromise(keep_seconds=parse_duration(config.keep_positions)),
    )
    for kind, types in ((promise.events, parts.catalogue.types - positions), (promise.positions, positions)):
        try:
            kind.has_gap = await _has_gap(parts.broker, kind.keep_seconds, types)
        except BrokerUnavailable as error:
            promise.problem = error.reason
    return promise


async def _has_gap(broker: Broker, keep_seconds: float, types: frozenset[str]) -> bool:
    """Tell whether something is missing that should still be there."""
    since_ms = time.time_ns() // 1_000_000 - int(keep_seconds * 1000 * (1 - EDGE_SHARE) - EDGE_SECONDS * 1000)
    start = EventId(max(since_ms, 0), MAX_SEQUENCE)
    if broker.newest_id in (ZERO,) or start >= broker.newest_id:
        return False
    return await broker.has_gap(start, types=types)


def pace_seconds(config: SourceConfig) -> float:
    """Return how long a healthy source may take from one look at its input to the next."""
    match config:
        case RecordingSourceConfig(speed=speed):
            return MAX_STEP_MS / 1000 / speed
        case (
            FileSourceConfig(interval_seconds=seconds)
            | DropSourceConfig(interval_seconds=seconds)
            | VatsimSourceConfig(interval_seconds=seconds)
            | EcfmpSourceConfig(interval_seconds=seconds)
            | AdlSourceConfig(interval_seconds=seconds)
        ):
            return seconds
    return PACE_SECONDS
