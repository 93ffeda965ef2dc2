"""What a worker answers when the primary asks all processes: its part of the answers of the control socket."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import msgspec

from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.daemon.control.connections import build_connections, close_connection
from swim_server.daemon.control.explain import Explainer
from swim_server.daemon.control.probe_clients import Listening, end_probes, let_receive_probes, locate
from swim_server.daemon.control.tally import build_tally
from swim_server.daemon.control.top import measure_top
from swim_server.daemon.process import memory_bytes
from swim_server.gateway.http.ops.connection_table import ConnectionRow, ConnectionTable, WantedRows
from swim_server.gateway.rpc import METHOD_NOT_FOUND, RpcError
from swim_server.sql.errors import StoreUnavailable
from swim_server.workers.messages import Reply
from swim_server.workers.report import Counted, Report

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from swim_server.daemon.control.documents.connections import ConnectionDocument
    from swim_server.daemon.workers.worker_parts import WorkerParts
    from swim_server.keys.audit import AuditEntry
    from swim_server.keys.records import KeyRecord
    from swim_server.workers.messages import Asked


class SessionExplainer(Explainer):
    """Explains with what this worker remembers; about the key itself the primary knows."""

    async def _look_up(self, key_id: int) -> tuple[KeyRecord | None, Sequence[AuditEntry]]:
        raise StoreUnavailable("only the primary reads the key database")


class WorkerMethods:
    """Each method takes its params as a mapping."""

    def __init__(self, parts: WorkerParts) -> None:
        self._parts = parts
        self._explainer = SessionExplainer(parts)
        self._table = ConnectionTable(parts.hub, clock=SYSTEM_CLOCK)
        self._methods: dict[str, Callable[[Mapping[str, object]], Awaitable[object]]] = {
            "connections": self._connections,
            "connection_close": self._close,
            "explain": self._explainer.explain,
            "top": self._top,
            "connection_rows": self._rows,
            "tally": self._tally,
            "probe_keys_end": self._end_probes,
            "probe_connection": self._locate,
            "probe_listen": self._listen,
        }

    async def answer(self, asked: Asked) -> Reply:
        """Answer one question. Raises RpcError."""
        method = self._methods.get(asked.method)
        if method is None:
            raise RpcError(METHOD_NOT_FOUND, f"no such method: {asked.method}")
        return Reply(msgspec.json.encode(await method(msgspec.json.decode(asked.params))))

    async def _connections(self, params: Mapping[str, object]) -> object:
        found = build_connections(self._parts.hub, params.get("tier"), params.get("key_id"))
        self._sign(found.connections)
        return found

    async def _close(self, params: Mapping[str, object]) -> object:
        return close_connection(self._parts.hub, params.get("id"))

    async def _top(self, params: Mapping[str, object]) -> object:
        count = params.get("count")
        assert isinstance(count, int), "the primary has checked it"
        part = (await measure_top(self._parts.hub, count)).part
        self._sign([*part.busiest, *part.slow])
        return part

    async def _rows(self, params: Mapping[str, object]) -> object:
        page = await self._table.first(msgspec.convert(params, WantedRows))
        self._sign(page.rows)
        return page

    def _sign(self, rows: Iterable[ConnectionDocument | ConnectionRow]) -> None:
        """Note in each row which worker serves this connection."""
        for row in rows:
            row.worker = self._parts.number

    async def _tally(self, params: Mapping[str, object]) -> object:
        return await build_tally(self._parts, is_handing_over=False, is_brief=params.get("brief") is True)

    async def _end_probes(self, params: Mapping[str, object]) -> object:
        ids = params.get("ids")
        assert isinstance(ids, list), "the primary has checked it"
        return await end_probes(self._parts.endpoints.gateway, set(ids))

    async def _locate(self, params: Mapping[str, object]) -> object:
        return locate(self._parts.hub, params.get("id"))

    async def _listen(self, params: Mapping[str, object]) -> object:
        let_receive_probes(self._parts.hub, params.get("connection"))
        return Listening()


def build_report(parts: WorkerParts) -> Report:
    """Build what the primary shows of this worker, and adds to what others have counted."""
    hub, log = parts.hub, parts.endpoints.log
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Report(
        connections=len(parts.endpoints.gateway.peers),
        events=parts.broker.counters.events_stored,
        newest_id=parts.broker.newest_id.to_integer(),
        memory_bytes=memory_bytes(),
        cpu_seconds=round(usage.ru_utime + usage.ru_stime, 3),
        groups=len(hub.groups),
        clients=len(hub.connections),
        lagging=sum(each.is_lagging for each in hub.connections.values()),
        catching_up=sum(each.catch_up is not None for each in hub.connections.values()),
        not_resuming=sum(not each.wants_notices and each.resumed_after is None for each in hub.connections.values()),
        deliveries_per_second=parts.throughput.deliveries.per_second(),
        latency_ms=parts.latency.summary_ms(),
        loop_lag_ms=parts.loop_lag.lag_ms(),
        counted=Counted(
            deliveries=hub.deliveries,
            deliveries_by_type=dict(hub.deliveries_by_type),
            refused=dict(parts.endpoints.refusals.counts),
            errors={str(code): number for code, number in parts.conversation.errors.items()},
            slow_consumers=log.slow_consumers,
            latency_seconds=parts.latency.histogram.sum_seconds,
            latency_counts=parts.latency.histogram.latency_counts,
        ),
    )
