"""Every query of the Grafana dashboard asks for what a real daemon exports, with labels that it has."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live_daemon import LiveDaemon, await_true, live_daemon
from support.packages import require_program
from websockets.sync.client import connect

DASHBOARD = Path(__file__).parents[2] / "config" / "grafana" / "swim.json"
METRIC = re.compile(r"\b(?:swim|process)_[a-z0-9_]+")
SERIES = re.compile(r"^([a-z_0-9]+)(?:\{(.*)\})? \S+$")
ADDED_BY_PROMETHEUS = {"job", "instance", "le"}


def queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    """One whose every metric has a sample: a source has told a client something, another one was refused."""
    sources = ["simulator?flights=20&speed=30"]
    with live_daemon(tmp_path_factory.mktemp("grafana"), sources=sources) as running:
        request = urllib.request.Request(f"http://127.0.0.1:{running.port}/flights")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(request, timeout=20)
        with connect(f"{running.url}?api_key={running.api_key()}", close_timeout=1) as client:
            client.send('{"action":"subscribe","channels":["*"]}')
            client.send('{"action":"nothing that there is"}')
            wanted = ("swim_source_last_event_age_seconds{", "swim_deliveries_total{", "swim_errors_total{")
            await_true(lambda: all(each in metrics(running) for each in wanted), seconds=30)
        yield running


def metrics(daemon: LiveDaemon) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.port}/metrics", timeout=20) as answer:
        return str(answer.read().decode())


@pytest.mark.long
def test_queries_ask_for_metrics_and_labels_that_the_service_exports(daemon: LiveDaemon) -> None:
    labels: dict[str, set[str]] = defaultdict(set)
    for line in metrics(daemon).splitlines():
        found = SERIES.match(line)
        if found is not None:
            labels[found[1]] |= set(re.findall(r"(\w+)=\"", found[2] or ""))
    for query in queries():
        names = METRIC.findall(query)
        assert names, query
        for name in names:
            assert name in labels, f"{query}: the service exports no {name}"
        known = set.union(*(labels[name] for name in names)) | ADDED_BY_PROMETHEUS
        grouped = {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", query) for label in group.split(",")}
        asked = grouped | set(re.findall(r"[{,](\w+)(?:=~|!=|=)", query))
        assert asked <= known, f"{query}: there are no labels {asked - known}"


@pytest.mark.long
def test_every_metric_of_the_service_is_on_the_dashboard(daemon: LiveDaemon) -> None:
    exported = {line.split()[2] for line in metrics(daemon).splitlines() if line.startswith("# TYPE swim_")}
    asked = {re.sub(r"_bucket$", "", name) for query in queries() for name in METRIC.findall(query)}
    assert exported - asked == set()


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    """Its own tool reads them, in the place of rules."""
    promtool = require_program("promtool", "prometheus")
    filled = [re.sub(r"\$(?:job|instance)", ".*", each.replace("$__rate_interval", "1m")) for each in queries()]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(filled)]
    path = tmp_path / "queries.yml"
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}), "utf-8")
    done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
