"""Debian's Prometheus reads the metrics, and the rules that we ship fire on what they are for."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live_daemon import LiveDaemon, await_true, comes_true, live_daemon
from support.packages import require_program
from support.wire_client import dial

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


CONFIG = """
[server]
public_url = "wss://swim.example.org/api/swim/v1/ws"
[tiers.public]
connections = 1
[[sources]]
kind = "simulator"
name = "traffic"
flights = 20
speed = 30
[[sources]]
kind = "vatsim"
name = "away"
url = "http://127.0.0.1:9/v3.json"
"""
PROVOKED = {"SwimNotReady", "SwimSourceFailing", "SwimTierNearlyFull", "SwimRefusals"}
"""What can be made to happen within seconds; the waiting times of the rules are left out, their conditions are not."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("watched"), config=CONFIG) as running:
        yield running


@pytest.fixture(scope="module")
def query(promtool: str, daemon: LiveDaemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that watches the daemon, with the shipped rules, up to the expression."""
    program, folder = require_program("prometheus", "prometheus"), tmp_path_factory.mktemp("prometheus")
    rules = re.sub(r"for: \w+", "for: 0s", (FOLDER / "swim-alerts.yml").read_text("utf-8"))
    (folder / "rules.yml").write_text(rules.replace("> 5\n", "> 0.005\n"), "utf-8")
    lines = [
        "global: {scrape_interval: 1s, evaluation_interval: 1s}",
        "rule_files: [rules.yml]",
        "scrape_configs:",
        "  - job_name: swim",
        "    authorization:",
        f"      credentials_file: {daemon.home / 'operator.token'}",
        f"    static_configs: [{{targets: ['127.0.0.1:{daemon.port}']}}]",
    ]
    (folder / "prometheus.yml").write_text("\n".join(lines), "utf-8")
    port = _free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}/api/v1/query?query="
        await_true(lambda: _value(f"{address}up") == "1", seconds=60, what="a scrape")
        yield address
    finally:
        process.terminate()
        process.wait(30)


def test_prometheus_scrapes_with_the_operators_token_and_finds_what_the_rules_ask_for(
    daemon: LiveDaemon, query: str
) -> None:
    assert (daemon.home / "operator.token").stat().st_mode & 0o777 == 0o600
    assert _status(f"http://127.0.0.1:{daemon.port}/metrics") == 401
    asked = set(re.findall(r"\bswim_\w+", (FOLDER / "swim-alerts.yml").read_text("utf-8")))
    for name in sorted(asked - {"swim_source_last_event_age_seconds", "swim_refused_total"}):
        assert _value(f"{query}count({name})"), name
    await_true(lambda: _value(f"{query}swim_source_last_event_age_seconds"), seconds=30, what="the age of a source")


async def test_alerts_fire_on_what_really_happens(daemon: LiveDaemon, query: str) -> None:
    async with dial(daemon.url, daemon.api_key("public")):
        for _ in range(10):  # over several scrapes: a counter has no rate at its first one
            await asyncio.sleep(0.4)
            await asyncio.to_thread(_status, f"http://127.0.0.1:{daemon.port}/flights?key=swim_dev_wrong")
        fired = set[str]()
        for _ in range(300):
            fired |= await asyncio.to_thread(_firing, query)
            if fired >= PROVOKED:
                break
        assert fired >= PROVOKED
    daemon.kill()
    await comes_true(lambda: "SwimDown" in _firing(query), seconds=60, what="SwimDown")


def _firing(query: str) -> set[str]:
    """The names of the alerts that fire now."""
    with urllib.request.urlopen(f"{query}ALERTS{{alertstate=%22firing%22}}", timeout=10) as answer:
        found = json.load(answer)["data"]["result"]
    time.sleep(0.2)
    return {each["metric"]["alertname"] for each in found}


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
