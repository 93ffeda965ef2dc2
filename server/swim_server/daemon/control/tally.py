"""Builds the answer to ``tally``: the connections of one moment, counted in several ways."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from swim_server.concurrency.yielding import yielding
from swim_server.daemon.control.documents.diagnostics import (
    Cut,
    Eviction,
    KeyTally,
    Laggard,
    PeerTally,
    RecentRefusals,
    Tally,
)
from swim_server.keys.format import Tier
from swim_server.keys.probes import is_probe_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swim_server.gateway.context import EndpointContext
    from swim_server.streaming.admission import Admission
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.hub import Hub

MAX_LISTED = 100
MAX_AGENTS = 200
MAX_PEERS = 20
REFUSED_WITHIN_SECONDS = 600.0
SUBSCRIBED_WITHIN_SECONDS = 60.0
"""Clients without a subscription after this time are reported."""


class TalliedParts(Protocol):
    """The parts of a process that serves clients."""

    @property
    def endpoints(self) -> EndpointContext:
        """What all endpoints share."""

    @property
    def hub(self) -> Hub:
        """Knows the connections."""

    @property
    def admission(self) -> Admission:
        """Counts connections."""


async def build_tally(parts: TalliedParts, *, is_handing_over: bool, is_brief: bool) -> Tally:
    """Count the connections; unless ``brief``, also by key and program, and list slow clients."""
    gateway, hub, log = parts.endpoints.gateway, parts.hub, parts.endpoints.log
    public = [peer for peer in gateway.peers if not (peer.kind.is_local or peer.is_plain)]
    clients = [connection for connection in hub.connections.values() if connection.key is not None]
    tally = Tally(
        made=gateway.gone + len(public),
        gone=gateway.gone,
        public=len(public),
        closing=sum(not (peer.is_open or peer.is_arriving) for peer in public),
        admitted={str(tier): parts.admission.current(tier) for tier in Tier},
        listed=dict(Counter(connection.tier for connection in clients)),
        is_handing_over=is_handing_over,
        slow_consumers=log.slow_consumers,
        evictions=[
            Eviction(
                seconds_ago=round(time.monotonic() - each.monotonic, 1),
                id=each.connection_id,
                key_id=each.key_id,
                owner=each.owner,
                reason=each.reason,
            )
            for each in log.evictions
        ],
    )
    if not is_brief:
        await add_details(tally, clients)
        found = parts.endpoints.refusals.recent(REFUSED_WITHIN_SECONDS).most_common(MAX_LISTED)
        now = time.monotonic()
        tally.cuts = [Cut(seconds_ago=round(now - each.monotonic, 1), seconds=each.seconds) for each in log.cuts]
        tally.refused = [RecentRefusals(reason=reason, key_id=key_id, count=count) for (reason, key_id), count in found]
    return tally


async def add_details(tally: Tally, clients: Sequence[Connection]) -> None:
    """Count clients by key and program, list those that lag, and count those without a subscription."""
    keys: Counter[tuple[int, str, str]] = Counter()
    without_channel: Counter[str] = Counter()
    now_ms = time.time() * 1000
    since_ms = now_ms - SUBSCRIBED_WITHIN_SECONDS * 1000
    agents: Counter[str] = Counter()
    peers: Counter[str] = Counter()
    oldest_ms: dict[str, int] = {}
    async for connection in yielding(clients):
        key = connection.key
        assert key is not None, "only clients with a key are asked for"
        if is_probe_id(key.id):
            continue
        keys[key.id, connection.tier, key.owner_name] += 1
        agents[connection.user_agent or ""] += 1
        if (peer := connection.transport.peer()) is not None:
            peers[peer[0]] += 1
            oldest_ms[peer[0]] = min(connection.connected_at_ms, oldest_ms.get(peer[0], connection.connected_at_ms))
        if not connection.subscription.channels and connection.connected_at_ms < since_ms:
            without_channel[key.owner_name] += 1
        if connection.is_lagging and len(tally.lagging) < MAX_LISTED:
            tally.lagging.append(_laggard(connection))
    tally.keys = [
        KeyTally(key_id=key_id, tier=tier, owner=owner, connections=count)
        for (key_id, tier, owner), count in keys.items()
    ]
    tally.agents = dict(agents.most_common(MAX_AGENTS))
    tally.without_channel = dict(without_channel.most_common(MAX_LISTED))
    tally.peers = [
        PeerTally(address=address, connections=count, oldest_seconds=round((now_ms - oldest_ms[address]) / 1000, 1))
        for address, count in peers.most_common(MAX_PEERS)
    ]


def _laggard(connection: Connection) -> Laggard:
    assert connection.key is not None, "it has a key"
    return Laggard(
        id=connection.id,
        key_id=connection.key.id,
        owner=connection.key.owner_name,
        remote=connection.remote,
        buffered_bytes=connection.buffered_bytes,
    )
