"""A histogram of latencies in buckets of fixed relative width: millions of values in a few kilobytes, mergeable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

STEPS = 64
"""Buckets for each doubling: values are accurate to 1.6 %."""


def bucket_of(nanoseconds: int) -> int:
    """Return the bucket of a latency; below STEPS, each nanosecond has its own."""
    shift = nanoseconds.bit_length() - STEPS.bit_length()
    return nanoseconds if shift < 0 else shift * STEPS + (nanoseconds >> shift)


def upper_edge(bucket: int) -> int:
    """Return the largest latency that falls into a bucket, in nanoseconds."""
    shift = max(bucket // STEPS - 1, 0)
    return ((bucket - shift * STEPS + 1) << shift) - 1


class Histogram:
    """The number of latencies per bucket, and the largest latency."""

    def __init__(self, counts: Mapping[int, int] | None = None, largest: int = 0) -> None:
        self.counts: Counter[int] = Counter(counts or {})
        self.largest = largest

    def merge(self, other: Histogram) -> None:
        """Add the counts of another histogram."""
        self.counts.update(other.counts)
        self.largest = max(self.largest, other.largest)

    def quantile_ms(self, share: float) -> float | None:
        """Return the latency that this share of all values stays within, in milliseconds; None if empty."""
        total = self.counts.total()
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= share * total:
                return round(min(upper_edge(bucket), self.largest) / 1e6, 3)
        return None
