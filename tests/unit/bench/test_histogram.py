"""Latencies in buckets: never reported too small, nor more than 1.6 % too large."""

from __future__ import annotations

import random

import pytest

from swimctl.bench.histogram import STEPS, Histogram, bucket_of, upper_edge


@pytest.mark.parametrize("nanoseconds", [0, 1, 63, 64, 65, 127, 128, 129, 1000, 10**6, 10**9, 3 * 10**10])
def test_value_lies_within_its_bucket(nanoseconds: int) -> None:
    edge = upper_edge(bucket_of(nanoseconds))
    assert nanoseconds <= edge <= nanoseconds * (1 + 2 / STEPS) + 1


def test_buckets_are_in_the_order_of_values() -> None:
    values = sorted(random.Random(1).randrange(10**10) for _ in range(5000))
    assert [bucket_of(value) for value in values] == sorted(bucket_of(value) for value in values)


def test_quantiles_are_those_of_the_values() -> None:
    values = [number * 1_000_000 for number in range(1, 1001)]
    histogram = Histogram(largest=max(values))
    for value in values:
        histogram.counts[bucket_of(value)] += 1
    for share, expected in ((0.5, 500), (0.9, 900), (0.99, 990), (1.0, 1000)):
        found = histogram.quantile_ms(share)
        assert found is not None
        assert expected <= found <= expected * 1.032


def test_merging_adds_up() -> None:
    first, second = Histogram({5: 2}, largest=5), Histogram({5: 1, 900: 1}, largest=1000)
    first.merge(second)
    assert first.counts == {5: 3, 900: 1}
    assert first.largest == 1000


def test_without_values_there_are_no_quantiles() -> None:
    assert Histogram().quantile_ms(0.5) is None
