"""Builds the answer to ``connections``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swim_server.daemon.control.documents.connections import ConnectionDocument, Connections
from swim_server.daemon.control.documents.process import ConnectionClosed
from swim_server.protocol.codes import CloseCode
from swim_server.protocol.timestamps import format_ms

if TYPE_CHECKING:
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.hub import Hub


def build_connections(hub: Hub, tier: object = None, key_id: object = None) -> Connections:
    """List the live connections, including those of the control socket (tier ``local``)."""
    return Connections(
        connections=[
            ConnectionDocument(**connection_fields(connection))
            for connection in hub.connections.values()
            if (tier is None or connection.tier == tier)
            and (key_id is None or (connection.key is not None and connection.key.id == key_id))
        ]
    )


def close_connection(hub: Hub, connection_id: object) -> ConnectionClosed:
    """Ask one client to reconnect and resume."""
    connection = hub.connections.get(str(connection_id))
    if connection is None:
        return ConnectionClosed(closed=False)
    connection.transport.close(CloseCode.SERVICE_RESTART, "closed by the operator; retry_ms=1000")
    return ConnectionClosed(closed=True)


def connection_fields(connection: Connection) -> dict[str, Any]:
    """Return the fields of a ``ConnectionDocument``."""
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
