"""Debian's Prometheus reads the metrics, and the rules that we ship fire on what they are for."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from support.live_daemon import await_true, live_daemon
from support.packages import require_program

FOLDER = Path(__file__).parents[2] / "config" / "prometheus"


@pytest.fixture(scope="module")
def promtool() -> str:
    return require_program("promtool", "prometheus")


@pytest.mark.parametrize(
    "words",
    [
        ("check", "rules", "swim-alerts.yml"),
        ("test", "rules", "swim-alerts.test.yml"),
        ("check", "config", "--syntax-only", "prometheus.yml"),
    ],
    ids=["rules", "each alert fires", "config"],
)
def test_shipped_files_pass_promtool(promtool: str, words: tuple[str, ...]) -> None:
    done = subprocess.run([promtool, *words], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_made_to_fire_by_the_shipped_test() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", (FOLDER / "swim-alerts.yml").read_text("utf-8")))
    tested = set(re.findall(r'alertname="(\w+)"', (FOLDER / "swim-alerts.test.yml").read_text("utf-8")))
    assert alerts == tested


def test_prometheus_scrapes_with_the_operators_token_and_finds_what_the_rules_ask_for(
    promtool: str, tmp_path: Path
) -> None:
    prometheus = require_program("prometheus", "prometheus")
    config = '[server]\npublic_url = "wss://swim.example.org/api/swim/v1/ws"\n'
    with live_daemon(tmp_path / "home", config=config, sources=["simulator?flights=20&speed=30"]) as daemon:
        token = daemon.home / "operator.token"
        assert token.stat().st_mode & 0o777 == 0o600
        assert _status(f"http://127.0.0.1:{daemon.port}/metrics") == 401
        lines = [
            "global: {scrape_interval: 1s}",
            "scrape_configs:",
            "  - job_name: swim",
            "    authorization:",
            f"      credentials_file: {token}",
            f"    static_configs: [{{targets: ['127.0.0.1:{daemon.port}']}}]",
        ]
        (tmp_path / "prometheus.yml").write_text("\n".join(lines), "utf-8")
        port = _free_port()
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    prometheus, f"--config.file={tmp_path / 'prometheus.yml'}",
                    f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            query = f"http://127.0.0.1:{port}/api/v1/query?query="
            await_true(lambda: _value(f"{query}up") == "1", seconds=60, what="a scrape")
            asked = set(re.findall(r"\bswim_\w+", (FOLDER / "swim-alerts.yml").read_text("utf-8")))
            families = {name for name in asked if name not in ("swim_refused_total",)}  # there is none before one is
            for name in sorted(families - {"swim_source_last_event_age_seconds"}):
                assert _value(f"{query}count({name})"), name
            await_true(
                lambda: _value(f"{query}swim_source_last_event_age_seconds"), seconds=30, what="the age of a source"
            )
        finally:
            process.terminate()
            process.wait(30)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _value(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            found = json.load(answer)["data"]["result"]
    except (OSError, ValueError):
        time.sleep(0.1)
        return None
    return str(found[0]["value"][1]) if found else None
