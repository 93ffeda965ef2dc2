"""The metrics of the running service in Prometheus's format. Collected on request; nothing is kept.

Names and labels are bounded: tiers, families, reasons, configured sources. No callsign and no key is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, get_args

from swim_server.brokers.broker import BrokerUnavailable, HistorySpan
from swim_server.daemon.latency import Histogram
from swim_server.daemon.metrics.node_figures import node_figures, read_nodes_for_metrics
from swim_server.daemon.running_sources import age
from swim_server.keys.format import Tier
from swim_server.protocol.channels import family_of
from swim_server.sources.source import State
from swim_server.workers.report import Counted

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from swim_server.cluster.membership import Node
    from swim_server.cluster.overview import Lag
    from swim_server.daemon.components import Components
    from swim_server.daemon.control.controlled import ControlledProcess
    from swim_server.sources.source import SourceStatus

QUANTILES = (("0.5", "p50"), ("0.99", "p99"), ("1", "max"))


async def write_figures(process: ControlledProcess) -> tuple[bytes, str]:
    """Return all metrics, with the content type."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

    try:
        span = await process.components.broker.span()
    except BrokerUnavailable:
        span = None
    workers = process.components.workers
    if workers is not None:
        await workers.look()
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    nodes = await read_nodes_for_metrics(process.components.cluster)
    registry.register(_Gathered(process, span, nodes))
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


class _Gathered:
    """The metrics of one scrape."""

    def __init__(
        self, process: ControlledProcess, span: HistorySpan | None, nodes: Sequence[tuple[Node, Lag]] | None
    ) -> None:
        self._process = process
        self._parts: Components = process.components
        self._span = span
        workers = self._parts.workers
        self._reports = [] if workers is None else [worker.report for worker in workers.running.values()]
        self._counted = Counted() if workers is None else workers.counted()
        """What worker processes have counted."""
        self._nodes = nodes

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        info = self._process.info
        labels = {"version": info.version, "fingerprint": info.fingerprint, "python": info.python or ""}
        yield _gauge("swim_build_info", "The running code.", [(labels, 1)])
        yield _gauge("swim_uptime_seconds", "Seconds since the process began to serve.", [({}, self._uptime())])
        yield from self._clients()
        yield from self._requests()
        yield from self._stream()
        yield from self._sources()
        yield from self._storage()
        yield from self._world()
        yield from self._workers()
        if self._parts.cluster is not None:
            yield from node_figures(self._parts.cluster, self._nodes)

    def _uptime(self) -> float:
        return self._parts.gateway.uptime_seconds()

    def _clients(self) -> Iterator[Metric]:
        admission, hub = self._parts.admission, self._parts.hub
        tiers = [str(tier) for tier in Tier]
        yield _gauge("swim_connections", "Connected clients.", (({"tier": t}, admission.current(t)) for t in tiers))
        limits = (({"tier": t}, admission.limits[t].connections) for t in tiers)
        yield _gauge("swim_connections_limit", "Maximum number of connected clients of a tier.", limits)
        lagging = sum(connection.is_lagging for connection in hub.connections.values())
        lagging += sum(report.lagging for report in self._reports)
        yield _gauge("swim_slow_consumers", "Connected clients that lag behind.", [({}, lagging)])
        log, refusals = self._parts.endpoints.log, self._parts.endpoints.refusals
        yield _counter(
            "swim_slow_consumers_closed",
            "Clients closed with code 4008 because they read too slowly.",
            [({}, log.slow_consumers + self._counted.slow_consumers)],
        )
        reasons = Counter(refusals.counts) + Counter(self._counted.refused)
        refused = (({"reason": reason}, count) for reason, count in sorted(reasons.items()))
        yield _counter("swim_refused", "Refused connections and requests, by reason.", refused)
        sent = Counter({str(code): number for code, number in self._parts.conversation.errors.items()})
        errors = (({"code": code}, count) for code, count in sorted((sent + Counter(self._counted.errors)).items()))
        yield _counter("swim_errors", "Error messages sent to clients, by code.", errors)
        groups = len(hub.groups) + sum(report.groups for report in self._reports)
        yield _gauge("swim_subscription_groups", "Groups of clients with the same subscription.", [({}, groups)])

    def _requests(self) -> Iterator[Metric]:
        counts = self._parts.request_counts
        answered = (
            ({"method": method, "route": route, "status": str(status)}, count)
            for (method, route, status), count in sorted(counts.answered.items())
        )
        yield _counter(
            "swim_http_requests", "Answered requests over plain HTTP, by method, route and status.", answered
        )
        text = "Requests over plain HTTP in progress, including event streams."
        yield _gauge("swim_http_requests_in_progress", text, [({}, counts.in_hand)])

    def _stream(self) -> Iterator[Metric]:
        hub = self._parts.hub
        yield _counter("swim_events", "Events published, by family.", _by_family(hub.events_by_type))
        yield _counter(
            "swim_deliveries",
            "Events sent to clients, by family; an event for two clients counts twice.",
            _by_family(hub.deliveries_by_type + Counter(self._counted.deliveries_by_type)),
        )
        yield from self._latency()
        lags = [self._parts.loop_lag.lag_ms(), *(report.loop_lag_ms for report in self._reports)]
        lag = {key: max(each.get(key, 0.0) for each in lags) for _, key in QUANTILES}
        values = (
            ({"quantile": name}, lag[key] / 1000) for name, key in (("0.5", "p50"), ("0.99", "p99"), ("1", "max"))
        )
        yield _gauge("swim_loop_lag_seconds", "Delay of the event loop over the last minute.", values)

    def _latency(self) -> Iterator[Metric]:
        from prometheus_client.core import HistogramMetricFamily

        histogram = Histogram()
        own = self._parts.latency.histogram
        for each in [own] if self._parts.workers is None else [self._counted]:  # they write to the clients
            histogram.include(each.latency_seconds, each.latency_counts)
        yield HistogramMetricFamily(
            "swim_delivery_latency_seconds",
            "Time from an event's id to its last write to a client, sampled ten times a second.",
            buckets=[(_bound(bound), count) for bound, count in histogram.cumulative()],
            sum_value=histogram.sum_seconds,
        )

    def _sources(self) -> Iterator[Metric]:
        statuses = self._parts.sources.statuses()
        yield _gauge(
            "swim_source_state", "State of a source: 1 for the current state, 0 for the others.", _states(statuses)
        )
        ages = (
            ({"source": status.name}, seconds)
            for status in statuses
            if (seconds := age(status.last_event_monotonic)) is not None
        )
        yield _gauge("swim_source_last_event_age_seconds", "Seconds since a source's last event.", ages)
        events = (({"source": status.name}, status.events) for status in statuses)
        yield _counter("swim_source_events", "Events published by a source.", events)

    def _storage(self) -> Iterator[Metric]:
        counters, span = self._parts.broker.counters, self._span
        is_writable = counters.last_error is None
        yield _gauge("swim_history_writable", "1 if events can be stored, else 0.", [({}, int(is_writable))])
        yield _counter("swim_history_failures", "Failed commits of events to history.", [({}, counters.failures)])
        yield _gauge(
            "swim_history_last_commit_seconds",
            "Duration of the last commit of events to history.",
            [({}, counters.last_commit_seconds)],
        )
        if span is not None:
            yield _gauge("swim_history_events", "Events kept in history.", [({}, span.events)])
            yield _gauge("swim_history_bytes", "Size of history's file.", [({}, span.size_bytes)])
            if span.oldest_id is not None:
                oldest = span.oldest_id.milliseconds / 1000
                yield _gauge(
                    "swim_history_oldest_timestamp_seconds", "Unix time of the oldest event in history.", [({}, oldest)]
                )
        keys = self._parts.authenticator.status()
        yield _gauge("swim_key_database_up", "1 if keys can be checked, else 0.", [({}, int(keys.problem is None))])
        yield _counter("swim_key_queries", "Queries to the key database.", [({}, keys.queries)])

    def _world(self) -> Iterator[Metric]:
        world = self._parts.hub.state.loaded_world
        yield _gauge(
            "swim_state_loaded", "1 if clients can be sent the current state, else 0.", [({}, int(world is not None))]
        )
        if world is not None:
            entries = (({"kind": name}, len(found)) for name, found in world.kinds.items())
            yield _gauge("swim_state_entries", "Entries of the current state, by kind.", entries)
            refused = (({"kind": name}, found.refused) for name, found in world.kinds.items())
            yield _counter(
                "swim_state_refused", "Events whose entries were not added because their kind is full.", refused
            )
        yield _counter(
            "swim_state_aged", "Entries that were ended because no source reported them any more.", [({}, self._aged())]
        )
        ready, checks = self._parts.readiness.document()
        yield _gauge("swim_ready", "1 if /readyz reports ready, else 0.", [({}, int(ready))])
        values = (({"check": name}, int(said == "ok")) for name, said in checks.items())
        yield _gauge("swim_ready_check", "1 if a check of /readyz passes, else 0.", values)

    def _workers(self) -> Iterator[Metric]:
        """Yield what tells the workers apart; nothing if there are none."""
        workers = self._parts.workers
        if workers is None:
            return
        every = [({"worker": str(number)}, workers.running.get(number)) for number in workers.restarts]
        yield _gauge(
            "swim_worker_up", "1 if a worker process serves clients, else 0.",
            ((name, int(each is not None and each.state == "ready" and not each.is_silent)) for name, each in every),
        )  # fmt: skip
        known = [(name, each) for name, each in every if each is not None]
        yield _gauge("swim_worker_connections", "Open connections of a worker.", ((n, each.open) for n, each in known))
        yield _gauge(
            "swim_worker_lag_events", "Events that a worker has not received.",
            ((name, workers.lag_events(each)) for name, each in known),
        )  # fmt: skip
        yield _gauge(
            "swim_worker_memory_bytes", "Resident memory of a worker.",
            ((name, each.report.memory_bytes) for name, each in known),
        )  # fmt: skip
        yield _gauge(
            "swim_worker_cpu_seconds", "Processor time of a worker since it was started.",
            ((name, each.report.cpu_seconds) for name, each in known),
        )  # fmt: skip
        yield _gauge(
            "swim_worker_loop_lag_seconds", "Delay of a worker's event loop over the last minute.",
            (
                ({**name, "quantile": label}, each.report.loop_lag_ms.get(key, 0.0) / 1000)
                for name, each in known for label, key in QUANTILES
            ),
        )  # fmt: skip
        restarts = (({"worker": str(number)}, count) for number, count in workers.restarts.items())
        yield _counter("swim_worker_restarts", "How often a worker was started again.", restarts)

    def _aged(self) -> int:
        return self._parts.state_keeper.aged


def _states(statuses: Iterable[SourceStatus]) -> Iterator[tuple[dict[str, str], float]]:
    for status in statuses:
        for state in get_args(State):
            yield {"source": status.name, "state": state}, int(status.state == state)


def _by_family(counts: Mapping[str, int]) -> list[tuple[dict[str, str], float]]:
    found: Counter[str] = Counter()
    for event_type, count in counts.items():
        found[family_of(event_type)] += count
    return [({"family": family}, count) for family, count in sorted(found.items())]


def _bound(seconds: float) -> str:
    return "+Inf" if seconds == float("inf") else f"{seconds:g}"


def _gauge(name: str, text: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family: Metric = GaugeMetricFamily(name, text)
    for labels, value in samples:
        family.add_sample(name, dict(labels), value)
    return family


def _counter(name: str, text: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family: Metric = CounterMetricFamily(name, text)
    for labels, value in samples:
        family.add_sample(f"{name}_total", dict(labels), value)
    return family
