"""The methods of the control socket for the nodes that share a broker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.daemon.control.documents.nodes import (
    EngineDocument,
    NodeAnswers,
    NodeDocument,
    Nodes,
    SourceLeaseDocument,
)
from swim_server.gateway.rpc import INTERNAL_ERROR, INVALID_PARAMS, UNAVAILABLE, RpcError
from swim_server.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swim_server.cluster.cluster import Cluster
    from swim_server.cluster.key_changes import Told
    from swim_server.cluster.membership import Node
    from swim_server.cluster.questions import Replies, Reply
    from swim_server.daemon.components import Components
    from swim_server.gateway.rpc import Rpc
    from swim_server.keys.write_behind.endings import Ending


ASKABLE = frozenset(
    {"status", "connections", "connection_close", "top", "explain", "live_keys", "version", "restart", "doctor"}
)
"""What nodes answer each other. ``restart`` only where ``[cluster] remote_restart`` allows it."""
NOT_FOUND = -32004
FORBIDDEN = -32006
MAX_SECONDS = 120.0

_log = get_logger("cluster")


class Alone(msgspec.Struct, frozen=True):
    """There are no other nodes."""

    closed: int = 0
    silent: list[str] = []


async def tell_nodes(
    cluster: Cluster | None, key_id: int, ending: Ending | None = None, *, ended: str | None = None
) -> Told | Alone:
    """Have all other nodes read a key again, close it as ended, or end it although that is not stored yet."""
    if cluster is None:
        return Alone()
    text = None if ending is None else msgspec.json.encode(ending).decode()
    return await cluster.keys.tell(key_id, text, ended=ended)


class NodeMethods:
    """What can be asked about the nodes."""

    def __init__(self, parts: Components) -> None:
        self._parts = parts

    def register(self, rpc: Rpc) -> None:
        """Register the methods."""
        self._rpc = rpc
        rpc.methods["nodes"] = self.nodes
        rpc.methods["on_node"] = self.on_node
        rpc.methods["on_nodes"] = self.on_nodes
        if self._parts.cluster is not None:
            self._parts.cluster.questions.on_question = self._answer

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
        from swim_server.cluster.overview import read_lag

        report, lag = node.report, await read_lag(cluster.line, node)
        return NodeDocument(
            name=node.name,
            is_here=node.name == cluster.node,
            state=node.state,
            age_seconds=node.age_seconds,
            lag_events=lag.events,
            lag_ms=lag.ms,
            clock_offset_ms=node.clock_offset_ms,
            **{name: getattr(report, name) for name in _REPORTED},
        )

    # Asking other nodes.

    async def on_node(self, params: Mapping[str, object]) -> object:
        """Call ``method`` with ``params`` on the ``node`` named, which may be this one; answer what that answers."""
        node, method, given, seconds = _read_question(params)
        cluster = self._parts.cluster
        if cluster is None or node == cluster.node:
            if cluster is None and node is not None:
                raise _no_node(node)
            return await self._rpc.methods[method](given)
        try:
            names = await cluster.questions.names()
            if node is None or node not in names:
                raise _no_node(node)
            replies = await cluster.questions.ask(method, given, node=node, seconds=seconds)
        except BrokerUnavailable as error:
            raise RpcError(UNAVAILABLE, f"the other nodes can't be asked: {error.reason}") from None
        reply = replies.found.get(node)
        if reply is None:
            raise RpcError(UNAVAILABLE, f"node {node} has not answered within {seconds:g} s")
        if reply.error is not None:
            raise RpcError(reply.error["code"], reply.error["message"], reply.error.get("data"))
        return reply.result

    async def on_nodes(self, params: Mapping[str, object]) -> NodeAnswers:
        """Call ``method`` with ``params`` on every live node; answer what each answers, this one first."""
        _, method, given, seconds = _read_question(params)
        cluster = self._parts.cluster
        if method == "restart":
            raise RpcError(INVALID_PARAMS, "nodes are restarted one after the other: call it on each")
        if cluster is None:
            own = await self._perform(method, given)
            return NodeAnswers(answers={"": own.result} if own.error is None else {}, errors=_errors({"": own}))
        found = NodeAnswers(is_shared=True, node=cluster.node)
        async with asyncio.TaskGroup() as group:
            own_task = group.create_task(self._perform(method, given))
            asking = group.create_task(self._ask_others(cluster, method, given, seconds))
        own, asked = own_task.result(), asking.result()
        replies = {cluster.node: own}
        if isinstance(asked, BrokerUnavailable):
            found.problem = asked.reason
        else:
            replies |= asked.found
            found.silent = asked.silent
        found.answers = {name: reply.result for name, reply in replies.items() if reply.error is None}
        found.errors = _errors(replies)
        return found

    async def _ask_others(
        self, cluster: Cluster, method: str, params: Mapping[str, object], seconds: float
    ) -> Replies | BrokerUnavailable:
        try:
            return await cluster.questions.ask(method, params, seconds=seconds)
        except BrokerUnavailable as error:
            return error

    async def _answer(self, method: str, params: Mapping[str, object]) -> Reply:
        """Answer another node."""
        if method not in ASKABLE:
            return _failed(RpcError(FORBIDDEN, f"nodes don't answer each other {method[:40]!r}"))
        if method == "restart":
            if not self._parts.config.values.cluster.remote_restart:
                return _failed(RpcError(FORBIDDEN, "[cluster] remote_restart is not true in this node's configuration"))
            _log.warning("another node asks this one to restart")
            params = {}
        return await self._perform(method, params)

    async def _perform(self, method: str, params: Mapping[str, object]) -> Reply:
        from swim_server.cluster.questions import Reply

        try:
            return Reply(result=msgspec.Raw(msgspec.json.encode(await self._rpc.methods[method](params))))
        except RpcError as error:
            return _failed(error)
        except Exception as error:  # noqa: BLE001  # the node that asks must hear of it
            _log.exception("a question could not be answered", method=method)
            return _failed(RpcError(INTERNAL_ERROR, f"internal error: {type(error).__name__}"))


def _read_question(params: Mapping[str, object]) -> tuple[str | None, str, dict[str, object], float]:
    try:
        question = msgspec.convert(params, _Question)
    except msgspec.ValidationError as error:
        raise RpcError(INVALID_PARAMS, str(error)) from None
    if question.method not in ASKABLE:
        raise RpcError(INVALID_PARAMS, f"nodes can't be asked {question.method[:40]!r}")
    return question.node, question.method, question.params, min(question.seconds, MAX_SECONDS)


class _Question(msgspec.Struct):
    method: str
    params: dict[str, object] = {}
    node: str | None = None
    seconds: float = 5.0


def _no_node(node: str | None) -> RpcError:
    return RpcError(NOT_FOUND, f"there is no node {node!r}", {"missing": "node"})


def _failed(error: RpcError) -> Reply:
    from swim_server.cluster.questions import Reply

    return Reply(error={"code": error.code, "message": error.message, "data": error.data})


def _errors(replies: Mapping[str, Reply]) -> dict[str, dict[str, Any]]:
    return {name: reply.error for name, reply in replies.items() if reply.error is not None}


_REPORTED = (
    "version", "fingerprint", "configuration", "pid", "url", "started_at", "connections", "newest_id",
    "probe_age_seconds", "sources", "trouble", "has_namesake", "keys", "settings", "wanted_sources",
)  # fmt: skip
