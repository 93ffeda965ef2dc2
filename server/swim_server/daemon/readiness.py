"""The conditions for sending clients here: the checks behind ``/readyz``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import TYPE_CHECKING

from swim_server.daemon.running_sources import age
from swim_server.gateway.http.readiness import Check, Readiness

if TYPE_CHECKING:
    from swim_server.brokers.node_broker import NodeBroker
    from swim_server.cluster.cluster import Cluster
    from swim_server.gateway.registry import Gateway
    from swim_server.keys.authenticator import Authenticator
    from swim_server.sources.source import SourceStatus

BAD_STATES = frozenset({"degraded", "failed"})


def build_readiness(
    gateway: Gateway,
    authenticator: Authenticator,
    broker: NodeBroker,
    source_statuses: Callable[[], Iterable[SourceStatus]],
    *,
    is_state_loaded: Callable[[], bool],
    event_within_seconds: Callable[[], float | None],
    cluster: Cluster | None = None,
) -> Readiness:
    """Build the checks. Their texts are public: no reason that could contain an address or a path."""

    def sources() -> str | None:
        statuses = list(source_statuses())
        bad = [f"{status.name} is {status.state}" for status in statuses if status.state in BAD_STATES]
        return ", ".join(bad) or stale(statuses)

    def stale(statuses: Iterable[SourceStatus]) -> str | None:
        """Compare the newest event of all sources with what is expected."""
        within = event_within_seconds()
        ages = [seconds for status in statuses if (seconds := age(status.last_event_monotonic)) is not None]
        if within is None or min(ages, default=inf) <= within:
            return None
        return f"no source has published anything for {within:g} s"

    return Readiness(
        [
            Check(
                "clients",
                lambda: "no clients are admitted: the service is stopping or restarting" if gateway.is_closed else None,
            ),
            Check("keys", lambda: "keys can't be checked at the moment" if authenticator.status().problem else None),
            Check("history", lambda: "events can't be stored at the moment" if broker.counters.last_error else None),
            Check("sources", sources),
            *([] if cluster is None else [Check("nodes", lambda: cluster.readiness_problem)]),
            Check("state", lambda: None if is_state_loaded() else "the state is being loaded"),
        ]
    )
