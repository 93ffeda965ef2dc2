"""The methods of the control socket for the nodes that share a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.daemon.control.documents.nodes import EngineDocument, NodeDocument, Nodes, SourceLeaseDocument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swim_server.cluster.cluster import Cluster
    from swim_server.cluster.key_changes import Told
    from swim_server.cluster.membership import Node
    from swim_server.daemon.components import Components
    from swim_server.gateway.rpc import Rpc
    from swim_server.keys.write_behind.endings import Ending


class Alone(msgspec.Struct, frozen=True):
    """There are no other nodes."""

    closed: int = 0
    silent: list[str] = []


async def tell_nodes(cluster: Cluster | None, key_id: int, ending: Ending | None = None) -> Told | Alone:
    """Have all other nodes read a key again, or end it although that is not stored yet."""
    if cluster is None:
        return Alone()
    return await cluster.keys.tell(key_id, None if ending is None else msgspec.json.encode(ending).decode())


class NodeMethods:
    """What can be asked about the nodes."""

    def __init__(self, parts: Components) -> None:
        self._parts = parts

    def register(self, rpc: Rpc) -> None:
        """Register the methods."""
        rpc.methods["nodes"] = self.nodes

    async def nodes(self, params: Mapping[str, object]) -> Nodes:
        """List the nodes, the server that they share, and which node runs which source."""
        cluster = self._parts.cluster
        if cluster is None:
            return Nodes()
        from swim_server.cluster.overview import read_engine, read_leases

        found = Nodes(is_shared=True, node=cluster.node)
        address = cluster.broker.server.address.shown
        try:
            found.nodes = [await self._document(cluster, node) for node in await cluster.nodes()]
            found.engine = EngineDocument(address=address, **await read_engine(cluster.line))
            found.leases = [
                SourceLeaseDocument(name=name, holder=holder, seconds_left=seconds)
                for name, holder, seconds in await read_leases(cluster.line)
            ]
        except BrokerUnavailable as error:
            found.problem = error.reason
            found.engine = EngineDocument(address=address, problem=error.reason)
        found.connections = dict(cluster.admission.totals)
        return found

    async def _document(self, cluster: Cluster, node: Node) -> NodeDocument:
        from swim_server.cluster.overview import count_behind

        report = node.report
        return NodeDocument(
            name=node.name,
            is_here=node.name == cluster.node,
            state="gone" if not node.is_alive else "silent" if node.is_silent else "alive",
            age_seconds=node.age_seconds,
            lag_events=await count_behind(cluster.line, report.newest_id),
            lag_ms=node.lag_ms,
            clock_offset_ms=node.clock_offset_ms,
            **{name: getattr(report, name) for name in _REPORTED},
        )


_REPORTED = (
    "version", "fingerprint", "configuration", "pid", "url", "started_at", "connections", "newest_id",
    "probe_age_seconds", "sources", "trouble", "has_namesake",
)  # fmt: skip
