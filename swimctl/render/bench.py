"""The figures of a measurement for people, compared with an earlier one if given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ROWS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("clients", ("connecting", "listening"), ""),
    ("clients that failed", ("connecting", "failed"), ""),
    ("connects", ("connecting", "connects_per_second"), "/s"),
    ("memory per connection", ("connecting", "memory_bytes_per_connection"), "bytes"),
    ("events offered", ("offered_per_second",), "/s"),
    ("events achieved", ("achieved_per_second",), "/s"),
    ("deliveries", ("deliveries_per_second",), "/s"),
    ("latency p50", ("latency_ms", "p50"), "ms"),
    ("latency p90", ("latency_ms", "p90"), "ms"),
    ("latency p99", ("latency_ms", "p99"), "ms"),
    ("latency p99.9", ("latency_ms", "p99.9"), "ms"),
    ("latency max", ("latency_ms", "max"), "ms"),
    ("acknowledgement p50", ("acknowledgement_ms", "p50"), "ms"),
    ("acknowledgement p99", ("acknowledgement_ms", "p99"), "ms"),
    ("daemon CPU", ("daemon_cpu_percent",), "% of a core"),
    ("daemon CPU per million deliveries", ("daemon_cpu_seconds_per_million",), "s"),
    ("busiest client process", ("crowd_cpu_percent",), "% of a core"),
    ("lost", ("lost",), ""),
    ("repeated", ("repeated",), ""),
    ("times a client resumed", ("resumed",), ""),
    ("clients away at the end", ("away",), ""),
)
ONLY_IF_ANY = frozenset({"resumed", "away"})
"""Told only where it has happened."""


def pairs(document: Mapping[str, Any], earlier: Mapping[str, Any] | None = None) -> list[tuple[str, str]]:
    """Return labels with values; unknown values are omitted."""
    found = []
    for label, path, unit in ROWS:
        value = _value(document, path)
        if value is not None and (value or path[0] not in ONLY_IF_ANY):
            before = _value(earlier, path) if earlier is not None else None
            found.append((label, " ".join(part for part in (_number(value), unit, _change(value, before)) if part)))
    return found


def _value(document: Mapping[str, Any] | None, path: tuple[str, ...]) -> float | None:
    value: Any = document
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:,.2f}"


def _change(value: float, before: float | None) -> str:
    if before is None:
        return ""
    if not before:
        return f"(was {_number(before)})"
    return f"(was {_number(before)}, × {value / before:.2f})"
