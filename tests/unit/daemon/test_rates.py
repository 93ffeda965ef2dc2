"""Events per second, from a counter sampled once a second."""

from __future__ import annotations

from swim_server.daemon.metrics.loop_lag import WINDOW_SECONDS, Rate


def test_rate_is_the_mean_growth_over_the_window() -> None:
    rate = Rate()
    for second in range(100):
        rate.sample(second, 0 if second < 95 else (second - 94) * 100)
    assert rate.per_second() == 500 / WINDOW_SECONDS


def test_rate_is_none_before_two_samples_or_without_time() -> None:
    rate = Rate()
    assert rate.per_second() == 0
    rate.sample(1.0, 10)
    assert rate.per_second() == 0
    rate.sample(1.0, 20)
    assert rate.per_second() == 0


def test_rate_falls_to_nothing_when_nothing_happens() -> None:
    rate = Rate()
    for second in range(WINDOW_SECONDS + 2):
        rate.sample(second, 1000 if second else 0)
    assert rate.per_second() == 0


def test_rate_counts_real_seconds_where_samples_come_late() -> None:
    rate = Rate()
    rate.sample(0.0, 0)
    rate.sample(2.5, 100)
    assert rate.per_second() == 40
