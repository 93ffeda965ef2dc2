"""What doctor may ask the running service over the control socket: temporary keys, probe events, counts.

Nothing here changes what clients get. A temporary key exists only in this process's memory; a probe event is stored and
delivered like any other, to the one connection of a temporary key that requested it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.concurrency.yielding import yielding
from swim_server.daemon.control.documents.diagnostics import (
    ProbeAnnounced,
    ProbeConnection,
    ProbeKey,
    ProbeKeys,
    ProbeKeysEnded,
    ProbeRow,
    ProbeStored,
    Promises,
    StateSample,
    Tally,
)
from swim_server.daemon.control.promises import build_promises
from swim_server.daemon.control.state_sample import build_state_sample
from swim_server.daemon.control.tally import build_tally
from swim_server.daemon.database_name import describe_database
from swim_server.gateway.rpc import INVALID_PARAMS, UNAVAILABLE, Rpc, RpcError
from swim_server.keys.format import Tier
from swim_server.keys.probes import MAX_SECONDS, is_probe_id
from swim_server.protocol.channels import PROBE
from swim_server.protocol.events import NewEvent
from swim_server.sql.errors import StoreError
from swim_server.streaming.subscription import Subscription

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swim_server.daemon.control.controlled import ControlledProcess
    from swim_server.streaming.connection import Connection

MAX_TOKEN_CHARACTERS = 100


class Diagnostics:
    """Each method has the name by which it is called, and takes its params as a mapping."""

    def __init__(self, process: ControlledProcess) -> None:
        self._process = process
        self._parts = process.components

    def register(self, rpc: Rpc) -> None:
        """Register the methods."""
        for name in (
            "probe_keys", "probe_keys_end", "probe_refusal", "probe_event", "probe_row", "probe_connection", "tally",
            "promises", "state_sample",
        ):  # fmt: skip
            rpc.methods[name] = getattr(self, name)

    # Keys.

    async def probe_keys(self, params: Mapping[str, object]) -> ProbeKeys:
        """Create temporary keys of a tier; they expire after ``seconds``."""
        count, seconds = params.get("count", 1), params.get("seconds", 10)
        if type(count) is not int or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_SECONDS:
            raise RpcError(INVALID_PARAMS, f"count must be a whole number, seconds at most {MAX_SECONDS:g}")
        try:
            made = self._parts.authenticator.probes.make(Tier(str(params.get("tier"))), count, seconds)
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, str(error)) from None
        return ProbeKeys(keys=[ProbeKey(id=key_id, api_key=api_key) for key_id, api_key in made])

    async def probe_keys_end(self, params: Mapping[str, object]) -> ProbeKeysEnded:
        """Revoke temporary keys, and close the connections that they opened."""
        ids = params.get("ids")
        if not isinstance(ids, list) or not all(isinstance(key_id, int) and is_probe_id(key_id) for key_id in ids):
            raise RpcError(INVALID_PARAMS, "ids must be those of temporary keys")
        wanted = set(ids)
        self._parts.authenticator.probes.end(wanted)
        left = [
            peer
            for peer in self._parts.gateway.peers
            if peer.connection is not None and peer.connection.key is not None and peer.connection.key.id in wanted
        ]
        async for peer in yielding(left):
            peer.yield_slot()
            peer.abort()
        return ProbeKeysEnded(closed=len(left))

    async def probe_refusal(self, params: Mapping[str, object]) -> ProbeAnnounced:
        """Announce a bad key by its SHA-256: its refusal counts against no address."""
        try:
            digest = bytes.fromhex(str(params.get("digest")))
        except ValueError:
            digest = b""
        if len(digest) != 32:
            raise RpcError(INVALID_PARAMS, "digest must be a SHA-256 in hexadecimal")
        self._parts.authenticator.probes.announce(digest, 30)
        return ProbeAnnounced()

    async def probe_row(self, params: Mapping[str, object]) -> ProbeRow:
        """Return what this process's database has in a key's row, and which database that is."""
        key_id = params.get("key_id")
        if type(key_id) is not int:
            raise RpcError(INVALID_PARAMS, "key_id must be a whole number")
        try:
            found = (await self._parts.authenticator.look_up([key_id])).get(key_id)
        except StoreError as error:
            raise RpcError(UNAVAILABLE, str(error)) from None
        return ProbeRow(
            database=describe_database(self._parts.config.values.database, str(self._parts.home.database)),
            found=found is not None,
            description=found.description if found is not None else None,
        )

    # Events.

    async def probe_connection(self, params: Mapping[str, object]) -> ProbeConnection:
        """Tell whether a client is connected to this process, and from where."""
        connection = self._parts.hub.connections.get(str(params.get("id")))
        if connection is None:
            return ProbeConnection(found=False)
        peer = connection.transport.peer()
        where = f"{peer[0]} {peer[1]}" if peer is not None else None
        return ProbeConnection(found=True, remote=connection.remote, tier=connection.tier, peer=where)

    async def probe_event(self, params: Mapping[str, object]) -> ProbeStored:
        """Publish a ``system.notice`` that only the named connection, one of a temporary key, receives, or nobody."""
        token, connection_id = params.get("token"), params.get("connection")
        if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN_CHARACTERS:
            raise RpcError(INVALID_PARAMS, f"token must be a string of 1 to {MAX_TOKEN_CHARACTERS} characters")
        if connection_id is not None:
            self._let_receive_probes(self._parts.hub.connections.get(str(connection_id)))
        data = {"probe": token, "text": "swimctl doctor looks whether events come out"}
        try:
            (published,) = await self._parts.broker.publish([NewEvent(type=PROBE, data=data)])
        except BrokerUnavailable as error:
            raise RpcError(UNAVAILABLE, str(error)) from None
        return ProbeStored(id=published.id, now_ms=time.time_ns() // 1_000_000)

    def _let_receive_probes(self, connection: Connection | None) -> None:
        if connection is None or connection.key is None or not is_probe_id(connection.key.id):
            raise RpcError(INVALID_PARAMS, "connection must be one that a temporary key has opened")
        subscription = connection.subscription
        if PROBE not in subscription.channels:
            wanted = Subscription(subscription.channels | {PROBE}, subscription.filters)
            self._parts.hub.subscribe(connection, wanted)

    # What is promised, and what exists.

    async def promises(self, params: Mapping[str, object]) -> Promises:
        """Return what this process commits itself to: limits of the tiers, retention, the pace of each source."""
        return await build_promises(self._parts)

    async def state_sample(self, params: Mapping[str, object]) -> StateSample:
        """Return some entries of the state and everything that history says of each, for the caller to fold."""
        try:
            return await build_state_sample(self._parts)
        except BrokerUnavailable as error:
            raise RpcError(UNAVAILABLE, str(error)) from None

    async def tally(self, params: Mapping[str, object]) -> Tally:
        """Count the connections; ``brief``: only the numbers."""
        return await build_tally(self._process, is_brief=params.get("brief") is True)
