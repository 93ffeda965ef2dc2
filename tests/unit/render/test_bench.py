"""The figures of a measurement as labels and values, compared with an earlier one."""

from __future__ import annotations

from typing import Any

from swimctl.render.bench import pairs

DOCUMENT: dict[str, Any] = {
    "connecting": {"listening": 1000, "failed": 0, "memory_bytes_per_connection": None},
    "deliveries_per_second": 50_000.4,
    "latency_ms": {"p50": 1.5, "p99": None},
    "lost": 0,
}


def test_what_is_known_stands_with_its_unit_and_what_is_not_known_is_left_out() -> None:
    assert pairs(DOCUMENT) == [
        ("clients", "1,000"),
        ("clients that failed", "0"),
        ("deliveries", "50,000 /s"),
        ("latency p50", "1.50 ms"),
        ("lost", "0"),
    ]


def test_earlier_measurement_stands_beside_each_figure_as_value_and_factor() -> None:
    earlier = {"connecting": {"listening": 500, "failed": 0}, "latency_ms": {"p50": 3}, "lost": "unknown"}
    assert dict(pairs(DOCUMENT, earlier)) == {
        "clients": "1,000 (was 500, × 2.00)",
        "clients that failed": "0 (was 0)",
        "deliveries": "50,000 /s",
        "latency p50": "1.50 ms (was 3, × 0.50)",
        "lost": "0",
    }


def test_document_of_another_shape_shows_nothing() -> None:
    assert pairs({"connecting": [], "latency_ms": 3, "lost": True}) == []
