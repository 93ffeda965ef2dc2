"""Plain HTTP on the port of the WebSockets: what load balancers, orchestrators and people ask, within its limits."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live_daemon import LiveDaemon, await_true, live_daemon
from support.wire_client import dial


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("http")) as running:
        yield running


def ask(daemon: LiveDaemon, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("prefix", ["", "/api/swim/v1"])
def test_health_and_readiness_are_told_without_a_key(daemon: LiveDaemon, prefix: str) -> None:
    status, headers, body = ask(daemon, "GET", f"{prefix}/healthz")
    assert (status, json.loads(body)) == (200, {"status": "ok"})
    assert headers["content-type"].startswith("application/json")
    assert headers["server"] == "swim"
    status, _, body = ask(daemon, "GET", f"{prefix}/readyz")
    assert (status, json.loads(body)["status"]) == (200, "ok")
    assert set(json.loads(body)["checks"]) == {"clients", "keys", "history", "sources", "state"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/"])
def test_head_has_the_status_and_no_body_and_options_says_what_is_allowed(daemon: LiveDaemon, path: str) -> None:
    assert ask(daemon, "HEAD", path)[::2] == (200, b"")
    status, headers, body = ask(daemon, "OPTIONS", path)
    assert (status, body) == (204, b"")
    assert set(headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_page_says_in_plain_text_what_this_is(daemon: LiveDaemon) -> None:
    status, headers, body = ask(daemon, "GET", "/?utm=1")
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    assert b"/api/swim/v1/ws" in body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("POST", "/healthz", 405),
        ("DELETE", "/", 405),
        ("GET", "/api/swim/v1/ws", 426),
        ("GET", "/ws/swim/v1/", 426),
    ],
)
def test_everything_else_is_refused_with_its_status(daemon: LiveDaemon, method: str, path: str, status: int) -> None:
    found, headers, body = ask(daemon, method, path)
    assert found == status
    if status == 426:
        assert headers["upgrade"] == "websocket"
    else:
        assert json.loads(body)["code"]


def test_checks_are_neither_counted_nor_logged(daemon: LiveDaemon) -> None:
    before, logged = daemon.call("tally", {"brief": True}), daemon.everything_logged
    refused = daemon.call("status")["refused"]
    for _ in range(20):
        ask(daemon, "GET", "/readyz")
    after = daemon.call("tally", {"brief": True})
    assert (after["made"], after["gone"]) == (before["made"], before["gone"])
    assert daemon.call("status")["refused"] == refused
    assert daemon.everything_logged == logged


def test_request_whose_head_is_too_long_is_refused_and_nothing_is_kept(daemon: LiveDaemon) -> None:
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 17_000)
        assert client.recv(100).startswith(b"HTTP/1.1 431 ")


def test_later_request_is_held_to_the_same_length(daemon: LiveDaemon) -> None:
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        received = b""
        with contextlib.suppress(ConnectionError):  # what it sends on is not read any more
            for _ in range(1000):
                client.sendall(b"X: " + b"x" * 1000 + b"\r\n")
            received = client.recv(1000)
        assert received == b"" or received.startswith(b"HTTP/1.1 431 ")


async def test_websockets_come_in_on_the_same_port_as_ever(daemon: LiveDaemon) -> None:
    key = daemon.make_key().api_key
    async with dial(daemon.url, key) as client:
        assert (await client.ask("ping"))["type"] == "pong"


def test_readiness_names_a_source_that_fails_and_nothing_of_its_address(tmp_path: Path) -> None:
    config = (
        '[[sources]]\nkind = "vatsim"\nname = "feed"\nurl = "http://user:secret@127.0.0.1:9/v3.json?token=secret"\n'
    )
    with live_daemon(tmp_path, config=config) as daemon:

        def told() -> bytes | None:
            status, _, body = ask(daemon, "GET", "/readyz")
            return body if status == 503 else None

        body = await_true(told, what="a source that fails")
        assert json.loads(body)["checks"]["sources"] == "feed is degraded"
        assert b"secret" not in body
        assert b"127.0.0.1" not in body
        assert ask(daemon, "GET", "/healthz")[0] == 200
