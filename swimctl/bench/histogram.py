"""Latencies in buckets of a fixed relative width: millions of them in a few kilobytes, added up over processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

STEPS = 64
"""Buckets for each doubling: values are accurate to 1.6 %."""


def bucket_of(nanoseconds: int) -> int:
    """Return the bucket of a latency; below STEPS every nanosecond has its own."""
    shift = nanoseconds.bit_length() - STEPS.bit_length()
    return nanoseconds if shift < 0 else shift * STEPS + (nanoseconds >> shift)


def upper_edge(bucket: int) -> int:
    """Return the largest latency of a bucket, in nanoseconds."""
    shift = max(bucket // STEPS - 1, 0)
    return ((bucket - shift * STEPS + 1) << shift) - 1


class Histogram:
    """How many latencies fell into which bucket, and the largest one."""

    def __init__(self, counts: Mapping[int, int] | None = None, largest: int = 0) -> None:
        self.counts: Counter[int] = Counter(counts or {})
        self.largest = largest

    def merge(self, other: Histogram) -> None:
        """Add another one's."""
        self.counts.update(other.counts)
        self.largest = max(self.largest, other.largest)

    def quantile_ms(self, share: float) -> float | None:
        """Return the latency that this share of all stays within, in milliseconds; None when there are none."""
        total = self.counts.total()
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= share * total:
                return round(min(upper_edge(bucket), self.largest) / 1e6, 3)
        return None
