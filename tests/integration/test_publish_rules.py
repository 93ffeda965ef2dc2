"""The publish action of a real daemon: who may publish what, how much; and flow measures from a local server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.daemon import Daemon
from support.feed_server import feed_server
from swim_server.protocol.timestamps import format_ms
from websockets.sync.client import ClientConnection, connect


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    running = Daemon(tmp_path / "home", config="[publish]\nevents_per_second = 30\nmax_event_bytes = 100000\n").start()
    yield running
    running.kill()


def ask(client: ClientConnection, **message: Any) -> dict[str, Any]:
    client.send(json.dumps(message))
    return answer(client)


def answer(client: ClientConnection) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = json.loads(client.recv(timeout=10))
        if message["type"] in {"publish_ack", "error", "pong"}:
            return message


def publish(client: ClientConnection, **data: Any) -> dict[str, Any]:
    return ask(client, action="publish", channel="splits.updated", data=data)


def test_a_provider_publishes_within_limits_of_its_own(daemon: Daemon) -> None:
    key = daemon.key("system", "provider")
    with connect(f"{daemon.url}?api_key={key}") as client:
        assert publish(client, config_id=1)["type"] == "publish_ack"
        assert publish(client, padding="x" * 65_000)["type"] == "publish_ack"
        assert publish(client, padding="x" * 65_535)["code"] == "MESSAGE_TOO_LARGE"
        assert "max_event_bytes is more than clients can be sent" in daemon.log
        assert publish(client, position_count="3")["type"] == "publish_ack"
        wrong = publish(client, position_count="three")
        assert (wrong["code"], wrong["data"]["path"]) == ("INVALID_PUBLISH", "data.position_count")
        time.sleep(1.1)
        for _ in range(60):
            client.send(json.dumps({"action": "publish", "channel": "splits.updated", "data": {}}))
        answers = [answer(client) for _ in range(31)]
        assert [each["type"] for each in answers].count("publish_ack") >= 30
        assert [each["code"] for each in answers if each["type"] == "error"] in ([], ["RATE_LIMITED"])
        assert ask(client, action="ping")["type"] in {"pong", "error"}


def test_a_key_with_an_allow_list_publishes_nothing_else_from_the_next_reload_on(daemon: Daemon) -> None:
    issued = daemon.issue("system", "provider")
    with connect(f"{daemon.url}?api_key={issued['api_key']}") as client:
        assert publish(client)["type"] == "publish_ack"
        rules = f'[publish.keys.{issued["id"]}]\nchannels = ["tmi.*"]\n'
        daemon.config_path.write_text(rules, "utf-8")
        daemon.swimctl("reload", check=True)
        refused = publish(client)
        assert refused["code"] == "FORBIDDEN"
        assert refused["message"] == "this key may publish only tmi.*"
        assert ask(client, action="publish", channel="tmi.issued", data={})["type"] == "publish_ack"


def test_events_of_the_control_socket_are_checked_too(daemon: Daemon) -> None:
    done = daemon.swimctl("publish", "flight.departed", "--data", '{"callsign": "DAL1", "latitude": "x"}')
    assert done.returncode != 0
    assert "data.latitude" in done.stderr


def test_flow_measures_are_issued_and_released_once_over_a_restart(tmp_path: Path) -> None:
    now_ms = round(time.time() * 1000)
    measure = {
        "id": 7,
        "starttime": format_ms(now_ms),
        "endtime": format_ms(now_ms + 7_200_000),
        "measure": {"type": "ground_stop", "value": None},
        "filters": [{"type": "ADES", "value": ["EGLL"]}],
        "withdrawn_at": None,
    }
    withdrawn = {**measure, "withdrawn_at": format_ms(now_ms + 1)}
    documents = [json.dumps([each]).encode() for each in (measure, withdrawn)]
    with feed_server(*documents) as server:
        daemon = Daemon(tmp_path / "home", sources=[f"ecfmp:{server.url}?interval_seconds=0.1"]).start()
        try:
            wait_for(lambda: types(daemon) == ["tmi.issued"])
            daemon.kill()
            daemon.start()
            wait_for(lambda: daemon.status()["sources"][0]["state"] == "running")
            server.advance()
            wait_for(lambda: types(daemon) == ["tmi.issued", "tmi.released"])
            daemon.kill()
            daemon.start()
            wait_for(lambda: daemon.status()["sources"][0]["state"] == "running")
            assert types(daemon) == ["tmi.issued", "tmi.released"]
        finally:
            daemon.kill()


def types(daemon: Daemon) -> list[str]:
    done = daemon.swimctl("tail", "tmi.*", "--last", "100", "--no-follow", "--json", check=True)
    return [json.loads(line)["type"] for line in done.stdout.splitlines()]


def wait_for(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come to be"
        time.sleep(0.05)
