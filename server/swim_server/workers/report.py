"""What a worker reports about itself, and what it has counted."""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest

import msgspec


class Counted(msgspec.Struct, kw_only=True):
    """What a worker has counted since its start."""

    deliveries: int = 0
    deliveries_by_type: dict[str, int] = {}
    refused: dict[str, int] = {}
    """Refused connections, by reason."""
    errors: dict[str, int] = {}
    """Error messages sent to clients, by code."""
    slow_consumers: int = 0
    """Clients closed with 4008."""
    latency_seconds: float = 0.0
    """Sum of all sampled latencies."""
    latency_counts: list[int] = []
    """How many there were, by size."""

    def plus(self, other: Counted) -> Counted:
        """Return the sum of both."""
        counts = zip_longest(self.latency_counts, other.latency_counts, fillvalue=0)
        return Counted(
            deliveries=self.deliveries + other.deliveries,
            deliveries_by_type=dict(Counter(self.deliveries_by_type) + Counter(other.deliveries_by_type)),
            refused=dict(Counter(self.refused) + Counter(other.refused)),
            errors=dict(Counter(self.errors) + Counter(other.errors)),
            slow_consumers=self.slow_consumers + other.slow_consumers,
            latency_seconds=self.latency_seconds + other.latency_seconds,
            latency_counts=[mine + theirs for mine, theirs in counts],
        )


class Report(msgspec.Struct, kw_only=True):
    """What a worker reports about itself; each second, and when it is asked."""

    connections: int = 0
    """All of them, admitted or not."""
    events: int = 0
    """Events received since it began to follow."""
    newest_id: int = 0
    memory_bytes: int = 0
    cpu_seconds: float = 0.0
    groups: int = 0
    clients: int = 0
    """Admitted clients; and of these:"""
    lagging: int = 0
    catching_up: int = 0
    not_resuming: int = 0
    deliveries_per_second: float = 0.0
    latency_ms: dict[str, float] | None = None
    loop_lag_ms: dict[str, float] = {}
    counted: Counted = msgspec.field(default_factory=Counted)
