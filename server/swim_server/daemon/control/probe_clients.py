"""The connections of doctor's temporary keys: found, given probe events, and closed. In one process each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from swim_server.concurrency.yielding import yielding
from swim_server.daemon.control.documents.diagnostics import ProbeConnection, ProbeKeysEnded
from swim_server.gateway.rpc import INVALID_PARAMS, RpcError
from swim_server.keys.probes import is_probe_id
from swim_server.protocol.channels import PROBE
from swim_server.streaming.subscription import Subscription

if TYPE_CHECKING:
    from collections.abc import Collection

    from swim_server.gateway.registry import Gateway
    from swim_server.streaming.hub import Hub


class Listening(msgspec.Struct):
    """The connection receives probe events from now on."""


async def end_probes(gateway: Gateway, key_ids: Collection[int]) -> ProbeKeysEnded:
    """Close the connections that these temporary keys have opened."""
    left = [
        peer
        for peer in gateway.peers
        if peer.connection is not None and peer.connection.key is not None and peer.connection.key.id in key_ids
    ]
    async for peer in yielding(left):
        peer.yield_slot()
        peer.abort()
    return ProbeKeysEnded(closed=len(left))


def locate(hub: Hub, connection_id: object) -> ProbeConnection:
    """Tell whether a client is connected to this process, and from where."""
    connection = hub.connections.get(str(connection_id))
    if connection is None:
        return ProbeConnection(found=False)
    peer = connection.transport.peer()
    where = f"{peer[0]} {peer[1]}" if peer is not None else None
    return ProbeConnection(found=True, remote=connection.remote, tier=connection.tier, peer=where)


def let_receive_probes(hub: Hub, connection_id: object) -> None:
    """Send probe events to a connection of a temporary key. Raises RpcError if it is not one of this process."""
    connection = hub.connections.get(str(connection_id))
    if connection is None or connection.key is None or not is_probe_id(connection.key.id):
        raise RpcError(INVALID_PARAMS, "connection must be one that a temporary key has opened")
    subscription = connection.subscription
    if PROBE not in subscription.channels:
        wanted = Subscription(subscription.channels | {PROBE}, subscription.filters)
        hub.subscribe(connection, wanted)
