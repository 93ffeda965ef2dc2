"""What the doctor may ask of the running service, over the control socket: throw-away keys, probe events, counts.

Nothing here changes what clients get. A throw-away key lives in this process's memory; a probe event is stored and
delivered like any other, to the one connection of a throw-away key that asked for it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.retention import POSITION_TYPES
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
from swim_server.daemon.database_name import describe_database
from swim_server.gateway.rpc import INVALID_PARAMS, UNAVAILABLE, Rpc, RpcError
from swim_server.keys.format import Tier
from swim_server.keys.probes import MAX_SECONDS, is_probe_id
from swim_server.protocol.channels import PROBE
from swim_server.protocol.event_id import MAX_SEQUENCE, ZERO, EventId
from swim_server.protocol.events import NewEvent
from swim_server.sources.recording.pace import MAX_STEP_MS
from swim_server.sql.errors import StoreError
from swim_server.streaming.subscription import Subscription

if TYPE_CHECKING:
    from swim_server.daemon.service import Service
    from swim_server.streaming.connection import Connection

SLICE = 500
"""So many connections are looked at in one go; the loop serves everybody else in between."""
MAX_LISTED = 100
MAX_AGENTS = 200
MAX_TOKEN_CHARACTERS = 100
PACE_SECONDS = 1.0
"""Of sources that have no interval of their own."""
EDGE_SHARE, EDGE_SECONDS = 0.01, 2.0
"""Events this close to the end of their promised time may have been let go of already."""


class Diagnostics:
    """Each method is called as it is named, with its params as a mapping."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def register(self, rpc: Rpc) -> None:
        """Make them answer."""
        for name in (
            "probe_keys", "probe_keys_end", "probe_refusal", "probe_event", "probe_row", "probe_connection", "tally",
            "promises",
        ):  # fmt: skip
            rpc.methods[name] = getattr(self, name)

    # Keys.

    async def probe_keys(self, params: Mapping[str, Any]) -> Any:
        """Make throw-away keys of a tier; they end by themselves after ``seconds``."""
        count, seconds = params.get("count", 1), params.get("seconds", 10)
        if type(count) is not int or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_SECONDS:
            raise RpcError(INVALID_PARAMS, f"count must be a whole number, seconds at most {MAX_SECONDS:g}")
        try:
            made = self._service.authenticator.probes.make(Tier(str(params.get("tier"))), count, seconds)
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, str(error)) from None
        return {"keys": [{"id": key_id, "api_key": api_key} for key_id, api_key in made]}

    async def probe_keys_end(self, params: Mapping[str, Any]) -> Any:
        """Let throw-away keys end now, and the connections that they opened."""
        ids = params.get("ids")
        if not isinstance(ids, list) or not all(isinstance(key_id, int) and is_probe_id(key_id) for key_id in ids):
            raise RpcError(INVALID_PARAMS, "ids must be those of throw-away keys")
        wanted = set(ids)
        self._service.authenticator.probes.end(wanted)
        left = [
            endpoint
            for endpoint in self._service.gateway.peers
            if endpoint.connection is not None
            and endpoint.connection.key is not None
            and endpoint.connection.key.id in wanted
        ]
        for number, endpoint in enumerate(left, 1):
            endpoint.yield_slot()
            endpoint.abort()
            if not number % SLICE:
                await asyncio.sleep(0)
        return {"closed": len(left)}

    async def probe_refusal(self, params: Mapping[str, Any]) -> Any:
        """Announce a bad key by its SHA-256: its refusal counts against no address."""
        try:
            digest = bytes.fromhex(str(params.get("digest")))
        except ValueError:
            digest = b""
        if len(digest) != 32:
            raise RpcError(INVALID_PARAMS, "digest must be a SHA-256 in hexadecimal")
        self._service.authenticator.probes.announce(digest, 30)
        return {"announced": True}

    async def probe_row(self, params: Mapping[str, Any]) -> Any:
        """What the database that this process reads says of a key's row; and which database that is."""
        key_id = params.get("key_id")
        if type(key_id) is not int:
            raise RpcError(INVALID_PARAMS, "key_id must be a whole number")
        try:
            found = (await self._service.authenticator.look_up([key_id])).get(key_id)
        except StoreError as error:
            raise RpcError(UNAVAILABLE, str(error)) from None
        return {
            "database": describe_database(self._service.config.database, str(self._service.home.database)),
            "found": found is not None,
            "description": found.description if found is not None else None,
        }

    # Events.

    async def probe_connection(self, params: Mapping[str, Any]) -> Any:
        """Tell whether a client is connected to this very process, and with what it came."""
        connection = self._service.hub.connections.get(str(params.get("id")))
        if connection is None:
            return {"found": False}
        return {"found": True, "remote": connection.remote, "tier": connection.tier}

    async def probe_event(self, params: Mapping[str, Any]) -> Any:
        """Publish a ``system.notice`` that only the named connection receives, one of a throw-away key; or nobody."""
        token, connection_id = params.get("token"), params.get("connection")
        if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN_CHARACTERS:
            raise RpcError(INVALID_PARAMS, f"token must be a text of 1 to {MAX_TOKEN_CHARACTERS} characters")
        if connection_id is not None:
            self._let_receive_probes(self._service.hub.connections.get(str(connection_id)))
        data = {"probe": token, "text": "swimctl doctor looks whether events come out"}
        try:
            (published,) = await self._service.broker.publish([NewEvent(type=PROBE, data=data)])
        except BrokerUnavailable as error:
            raise RpcError(UNAVAILABLE, str(error)) from None
        return {"id": published.id, "now_ms": time.time_ns() // 1_000_000}

    def _let_receive_probes(self, connection: Connection | None) -> None:
        if connection is None or connection.key is None or not is_probe_id(connection.key.id):
            raise RpcError(INVALID_PARAMS, "connection must be one that a throw-away key has opened")
        subscription = connection.subscription
        if PROBE not in subscription.channels:
            wanted = Subscription(subscription.channels | {PROBE}, subscription.filters)
            self._service.hub.subscribe(connection, wanted)

    # What is promised, and what is there.

    async def promises(self, params: Mapping[str, Any]) -> Any:
        """What this process holds itself to: limits of the tiers, retention, the pace of each source."""
        service = self._service
        limits = service.admission.limits
        return {
            "tiers": {
                str(tier): {
                    "connections": limits[tier].connections,
                    "connections_per_key": limits[tier].connections_per_key,
                    "messages_per_second": limits[tier].messages_per_second,
                    "current": service.admission.current(tier),
                }
                for tier in Tier
            },
            "history": await self._history(),
            "sources": [
                {"name": status.name, "pace_seconds": pace_seconds(config), "path": getattr(config, "path", None)}
                for config, status in zip(service.config.sources, service.source_statuses(), strict=False)
            ],
            "heartbeat_seconds": service.config.server.heartbeat_seconds,
            "recheck_seconds": service.key_watch.recheck_seconds,
            "now_ms": time.time_ns() // 1_000_000,
        }

    async def _history(self) -> dict[str, Any]:
        config, catalogue = self._service.config.history, self._service.catalogue
        positions = frozenset(POSITION_TYPES)
        document: dict[str, Any] = {"max_bytes": config.max_bytes, "problem": None}
        for name, keep, types in (
            ("events", config.keep, catalogue.types - positions),
            ("positions", config.keep_positions, positions),
        ):
            keep_seconds = parse_duration(keep)
            document[name] = {"keep_seconds": keep_seconds, "has_gap": None}
            try:
                document[name]["has_gap"] = await self._has_gap(keep_seconds, types)
            except BrokerUnavailable as error:
                document["problem"] = error.reason
        return document

    async def _has_gap(self, keep_seconds: float, types: frozenset[str]) -> bool:
        """Tell whether something is gone that should still be there."""
        broker = self._service.broker
        since_ms = time.time_ns() // 1_000_000 - int(keep_seconds * 1000 * (1 - EDGE_SHARE) - EDGE_SECONDS * 1000)
        start = EventId(max(since_ms, 0), MAX_SEQUENCE)
        if broker.newest_id in (ZERO,) or start >= broker.newest_id:
            return False
        return await broker.has_gap(start, types=types)

    async def tally(self, params: Mapping[str, Any]) -> Any:
        """Connections counted in every way there is, of one moment; then, unless ``brief``, what is told of each."""
        gateway, hub, log = self._service.gateway, self._service.hub, self._service.endpoints.log
        public = [endpoint for endpoint in gateway.peers if not (endpoint.kind.is_local or endpoint.is_plain)]
        clients = [connection for connection in hub.connections.values() if connection.key is not None]
        document: dict[str, Any] = {
            "made": gateway.gone + len(public),
            "gone": gateway.gone,
            "public": len(public),
            "closing": sum(not (endpoint.is_open or endpoint.is_arriving) for endpoint in public),
            "admitted": {str(tier): self._service.admission.current(tier) for tier in Tier},
            "listed": dict(Counter(connection.tier for connection in clients)),
            "is_handing_over": self._service.is_handing_over,
            "slow_consumers": log.slow_consumers,
            "evictions": [
                {
                    "seconds_ago": round(time.monotonic() - each.monotonic, 1),
                    "id": each.connection_id,
                    "key_id": each.key_id,
                    "owner": each.owner,
                    "reason": each.reason,
                }
                for each in log.evictions
            ],
        }
        return document if params.get("brief") is True else document | await self._details(clients)

    async def _details(self, clients: list[Connection]) -> dict[str, Any]:
        keys: Counter[tuple[int, str, str]] = Counter()
        agents: Counter[str] = Counter()
        lagging: list[dict[str, Any]] = []
        for number, connection in enumerate(clients, 1):
            key = connection.key
            assert key is not None, "only clients with a key are asked for"
            if not number % SLICE:
                await asyncio.sleep(0)
            if is_probe_id(key.id):
                continue
            keys[key.id, connection.tier, key.owner_name] += 1
            agents[connection.user_agent or ""] += 1
            if connection.is_lagging and len(lagging) < MAX_LISTED:
                lagging.append(_laggard(connection))
        return {
            "keys": [
                {"key_id": key_id, "tier": tier, "owner": owner, "connections": count}
                for (key_id, tier, owner), count in keys.items()
            ],
            "agents": dict(agents.most_common(MAX_AGENTS)),
            "lagging": lagging,
        }


def _laggard(connection: Connection) -> dict[str, Any]:
    assert connection.key is not None, "it has a key"
    return {
        "id": connection.id,
        "key_id": connection.key.id,
        "owner": connection.key.owner_name,
        "remote": connection.remote,
        "buffered_bytes": connection.buffered_bytes,
    }


def pace_seconds(config: SourceConfig) -> float:
    """How long a healthy source may take from one look at its input to the next."""
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
