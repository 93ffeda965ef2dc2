"""Metrics of several nodes, as the one that is asked sees them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from swim_server.brokers.broker import BrokerUnavailable

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from swim_server.cluster.cluster import Cluster
    from swim_server.cluster.membership import Node
    from swim_server.cluster.overview import Lag

STATES = ("alive", "silent", "gone")


async def read_nodes_for_metrics(cluster: Cluster | None) -> Sequence[tuple[Node, Lag]] | None:
    """Return the nodes, and how far each is behind; None: there is only one, or the others can't be asked."""
    if cluster is None:
        return None
    from swim_server.cluster.overview import read_lag

    try:
        return [(node, await read_lag(cluster.line, node)) for node in await cluster.nodes()]
    except BrokerUnavailable:
        return None


def node_figures(cluster: Cluster, nodes: Sequence[tuple[Node, Lag]] | None) -> Iterator[Metric]:
    """Yield the metrics."""
    from prometheus_client.core import GaugeMetricFamily

    in_touch = GaugeMetricFamily("swim_nodes_in_touch", "Whether this node and the others can see each other.")
    in_touch.add_metric([], 0 if nodes is None or cluster.trouble is not None else 1)
    yield in_touch
    probe = GaugeMetricFamily(
        "swim_node_probe_age_seconds", "Since an event of this node came back through the stream."
    )
    if cluster.probe_age_seconds is not None:
        probe.add_metric([], cluster.probe_age_seconds)
    yield probe
    totals = GaugeMetricFamily("swim_connections_all_nodes", "Connected clients of all nodes.", labels=["tier"])
    for tier in cluster.admission.limits:
        totals.add_metric([tier], cluster.admission.totals.get(tier, 0))
    yield totals
    if nodes is None:
        return
    counted = GaugeMetricFamily("swim_nodes", "Nodes that share the broker, by state.", labels=["state"])
    states = Counter(node.state for node, _ in nodes)
    for state in STATES:
        counted.add_metric([state], states[state])
    yield counted
    lag = GaugeMetricFamily("swim_node_lag_seconds", "How far a node is behind the end of the stream.", labels=["node"])
    for node, behind in nodes:
        if node.is_alive:
            lag.add_metric([node.name], behind.ms / 1000)
    yield lag
