"""Makes config/grafana/swim.json, a Grafana dashboard over the metrics: python server/tools/grafana_dashboard.py.

The rows below are the dashboard; the rest is how Grafana writes one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

TARGET = Path(__file__).parents[2] / "config" / "grafana" / "swim.json"
SCHEMA_VERSION = 39
WIDTH = 24
PICK = '{job=~"$job",instance=~"$instance"}'


class Panel(NamedTuple):
    """A panel: its queries, each with its legend."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    text: str = ""
    thresholds: tuple[tuple[str, float | None], ...] = (("green", None),)


def _by(extra: str) -> str:
    """Return a selector for the chosen services with a further condition."""
    return PICK[:-1] + f",{extra}}}"


FLIGHTS, NOT_RUNNING = _by('kind="flights"'), _by('state!="running"')
RED_BELOW_ONE = (("red", None), ("green", 1.0))
RED_ABOVE_ZERO = (("green", None), ("red", 1.0))
ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    ("Now", (
        Panel("Ready", ((f"min(swim_ready{PICK})", ""),), kind="stat", width=4, text="What /readyz says.",
              thresholds=RED_BELOW_ONE),
        Panel("Connections", ((f"sum(swim_connections{PICK})", ""),), kind="stat", width=4),
        Panel("Slow clients", ((f"sum(swim_slow_consumers{PICK})", ""),), kind="stat", width=4,
              thresholds=RED_ABOVE_ZERO),
        Panel("Flights", ((f"max(swim_state_entries{FLIGHTS})", ""),), kind="stat", width=4),
        Panel("Uptime", ((f"min(swim_uptime_seconds{PICK})", ""),), unit="s", kind="stat", width=4),
        Panel("Version", ((f"swim_build_info{PICK}", "{{version}} {{fingerprint}}"),), kind="stat", width=4,
              text="More than one: a restart is under way, or nodes differ."),
    )),
    ("Clients", (
        Panel("Connections by tier", ((f"sum by (tier) (swim_connections{PICK})", "{{tier}}"),)),
        Panel("Share of each tier's limit", (
            (f"sum by (tier) (swim_connections{PICK}) / sum by (tier) (swim_connections_limit{PICK})", "{{tier}}"),
        ), unit="percentunit"),
        Panel("Refused", ((f"sum by (reason) (rate(swim_refused_total{PICK}[$__rate_interval]))", "{{reason}}"),),
              unit="cps"),
        Panel("Slow clients", (
            (f"sum(swim_slow_consumers{PICK})", "now"),
            (f"sum(rate(swim_slow_consumers_closed_total{PICK}[$__rate_interval]))", "closed a second"),
        )),
        Panel("Error messages to clients", (
            (f"sum by (code) (rate(swim_errors_total{PICK}[$__rate_interval]))", "{{code}}"),
        ), unit="cps"),
        Panel("HTTP requests by status", (
            (f"sum by (status) (rate(swim_http_requests_total{PICK}[$__rate_interval]))", "{{status}}"),
        ), unit="reqps"),
        Panel("HTTP requests in progress", ((f"sum(swim_http_requests_in_progress{PICK})", "in progress"),)),
        Panel("Subscription groups", ((f"sum(swim_subscription_groups{PICK})", "groups"),)),
        Panel("Readiness", ((f"min by (check) (swim_ready_check{PICK})", "{{check}}"),), text="1: holds."),
    )),
    ("Events", (
        Panel("Events by family", (
            (f"sum by (family) (rate(swim_events_total{PICK}[$__rate_interval]))", "{{family}}"),
        ), unit="cps"),
        Panel("Deliveries by family", (
            (f"sum by (family) (rate(swim_deliveries_total{PICK}[$__rate_interval]))", "{{family}}"),
        ), unit="cps"),
        Panel("Delivery latency", tuple(
            (
                f"histogram_quantile({q}, sum by (le) "
                f"(rate(swim_delivery_latency_seconds_bucket{PICK}[$__rate_interval])))",
                name,
            )
            for q, name in (("0.5", "median"), ("0.95", "95 %"), ("0.99", "99 %"))
        ), unit="s"),
        Panel("Age of each source's last event", (
            (f"max by (source) (swim_source_last_event_age_seconds{PICK})", "{{source}}"),
        ), unit="s"),
        Panel("Events of each source", (
            (f"sum by (source) (rate(swim_source_events_total{PICK}[$__rate_interval]))", "{{source}}"),
        ), unit="cps"),
        Panel("Sources that don't run", (
            (f"max by (source, state) (swim_source_state{NOT_RUNNING}) > 0", "{{source}} {{state}}"),
        )),
    )),
    ("Storage and process", (
        Panel("History", ((f"max(swim_history_bytes{PICK})", "bytes"),), unit="bytes"),
        Panel("Events in history", ((f"max(swim_history_events{PICK})", "events"),)),
        Panel("History reaches back", ((f"time() - max(swim_history_oldest_timestamp_seconds{PICK})", "seconds"),),
              unit="s"),
        Panel("Last commit", ((f"max(swim_history_last_commit_seconds{PICK})", "seconds"),), unit="s"),
        Panel("Storing", (
            (f"min(swim_history_writable{PICK})", "writable"),
            (f"sum(rate(swim_history_failures_total{PICK}[$__rate_interval]))", "failures a second"),
        )),
        Panel("Key database", (
            (f"min(swim_key_database_up{PICK})", "up"),
            (f"sum(rate(swim_key_queries_total{PICK}[$__rate_interval]))", "queries a second"),
        )),
        Panel("Loop lag", ((f"max by (quantile) (swim_loop_lag_seconds{PICK})", "{{quantile}}"),), unit="s"),
        Panel("Processor", ((f"rate(process_cpu_seconds_total{PICK}[$__rate_interval])", "{{instance}}"),),
              unit="percentunit"),
        Panel("Memory", ((f"process_resident_memory_bytes{PICK}", "{{instance}}"),), unit="bytes"),
        Panel("Entries of the state", ((f"max by (kind) (swim_state_entries{PICK})", "{{kind}}"),)),
        Panel("State", (
            (f"min(swim_state_loaded{PICK})", "loaded"),
            (f"sum(rate(swim_state_refused_total{PICK}[$__rate_interval]))", "refused a second"),
            (f"sum(rate(swim_state_aged_total{PICK}[$__rate_interval]))", "aged a second"),
        )),
        Panel("Open files", (
            (f"process_open_fds{PICK}", "open"),
            (f"process_max_fds{PICK}", "limit"),
        )),
    )),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """Return the rows in Grafana's layout."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS:
        panels.append(_row(title, len(panels) + 1, top))
        top += 1
        left = height = 0
        for panel in row:
            if left + panel.width > WIDTH:
                left, top = 0, top + height
            height = 4 if panel.kind == "stat" else 8
            place = {"x": left, "y": top, "w": panel.width, "h": height}
            panels.append(_panel(panel, len(panels) + 1, place))
            left += panel.width
        top += height
    return {
        "uid": "swim",
        "title": "SWIM",
        "description": "The streaming service: clients, events, sources, storage. Made for the metrics at /metrics.",
        "tags": ["swim"],
        "timezone": "utc",
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source(), _variable("job", ""), _variable("instance", '{job=~"$job"}')]},
        "panels": panels,
    }


def _row(title: str, id: int, top: int) -> dict[str, Any]:
    place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
    return {"id": id, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel: Panel, id: int, place: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    is_stat = panel.kind == "stat"
    steps = [{"color": colour, "value": value} for colour, value in panel.thresholds]
    targets = [
        {"refId": chr(ord("A") + number), "datasource": source, "expr": query, "instant": is_stat,
         "range": not is_stat, "legendFormat": words or "__auto"}
        for number, (query, words) in enumerate(panel.queries)
    ]  # fmt: skip
    options: dict[str, Any] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    if is_stat:
        is_named = panel.title == "Version"
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "name" if is_named else "auto"}
    defaults = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if not is_stat:
        defaults["custom"] = {"lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": False}
    return {
        "id": id, "type": panel.kind, "title": panel.title, "description": panel.text, "datasource": source,
        "gridPos": place, "targets": targets, "options": options,
        "fieldConfig": {"defaults": defaults, "overrides": []},
    }  # fmt: skip


def _source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _variable(name: str, where: str) -> dict[str, Any]:
    query = f"label_values(swim_build_info{where}, {name})"
    return {
        "name": name, "label": name.capitalize(), "type": "query", "query": {"query": query, "refId": name},
        "datasource": {"type": "prometheus", "uid": "${datasource}"}, "definition": query, "refresh": 2, "sort": 1,
        "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"},
    }  # fmt: skip


def to_text() -> str:
    """Write the file."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(to_text(), "utf-8")
    sys.stdout.write(f"wrote {TARGET}\n")
