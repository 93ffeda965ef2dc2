"""Malformed plain HTTP to a real daemon: a clear refusal each time, and no side effects."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import socket
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from support.http_client import Asker, Stream, head, raw
from support.live_daemon import LiveDaemon, await_true, live_daemon

CONFIG = """
[server]
max_buffer_bytes = 65536
handshake_timeout_seconds = 1
[tiers.system]
requests_per_minute = 100000
[tiers.developer]
requests_per_minute = 100000
"""
NULL_ISLAND = {"latitude": 0, "longitude": 0}
FORMULA = '=HYPERLINK("http://x")'


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("hostile"), config=CONFIG) as running:
        running.put(
            ("flight.created", {"callsign": "DAL1", "flight_uid": 1, "latitude": 52.5, "longitude": -179.9}),
            ("flight.created", {"callsign": "DAL2", "flight_uid": 2, "latitude": 52.5, "longitude": 179.9}),
            ("flight.created", {"callsign": FORMULA, "flight_uid": 3, "dep": 'a,"b\r\nc', **NULL_ISLAND}),
            ("flight.created", {"callsign": "NOUID"}),
        )  # fmt: skip
        yield running


@pytest.fixture(scope="module")
def ask(daemon: LiveDaemon) -> Asker:
    return Asker(daemon)


@pytest.fixture(scope="module")
def system(daemon: LiveDaemon) -> Asker:
    return Asker(daemon, "system")


def refusals(received: bytes) -> list[tuple[int, str | None]]:
    """Status and code of each answer."""
    found = []
    for part in re.split(rb"(?=HTTP/1\.[01] \d{3} )", received):
        if not part:
            continue
        _, _, body = part.partition(b"\r\n\r\n")
        try:
            code = json.loads(body).get("code")
        except (ValueError, AttributeError):
            code = None
        found.append((int(part.split()[1]), code))
    return found


BAD_PATHS = [
    ("/flights/%2e%2e/%2e%2e/etc/passwd", 404),
    ("/api/swim/v1/../../../../etc/passwd", 404),
    ("//etc/passwd", 404),
    ("/flights/%00%00", 404),
    ("/flights/%ff%fe", 404),
    ("/flights/" + "A" * 7000, 404),
    ("/flights/" + "9" * 5000, 404),
    ("/flights?airports=" + "K" * 6000, 400),
    ("/flights?bbox=nan,nan,nan,nan", 400),
    ("/flights?bbox=inf,-inf,0,0", 400),
    ("/flights?format=json&format=csv", 400),
    ("/flights?format=", 400),
    ("/flights.exe", 404),
    ("/flights.csv?format=json", 200),
    ("/flights?%61irports=KJFK", 200),
    ("/flights?airports", 200),
    ("/events?after=99999999999999999999-0", 400),
    ("/events?since=yesterday", 400),
    ("/events?limit=1e3", 400),
    ("/events?limit=%D9%A1", 400),
    ("/stream?channels=flight.*&epoch=" + "x" * 200, 400),
    ("/stream?channels=flight.*&after=1-0&last=5", 400),
    ("/stream?channels=flight.*&state=true", 400),
    ("/stream?channels=" + ",".join(["flight.*"] * 1200), 200),
]


@pytest.mark.parametrize(("path", "status"), BAD_PATHS, ids=[path[:30] for path, _ in BAD_PATHS])
def test_absurd_paths_and_parameters_are_answered_with_their_status(ask: Asker, path: str, status: int) -> None:
    lines = f"HEAD {path} HTTP/1.1\r\nHost: a\r\nX-API-Key: {ask.key}\r\nConnection: close\r\n\r\n"
    received = raw(ask.daemon, lines.encode())
    assert refusals(received)[0][0] == status, received[:500]


BAD_BYTES: list[tuple[str, bytes, int]] = [
    ("two hosts", b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n", 400),
    ("two lengths", b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    ("length with a sign", b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", 400),
    ("length in hex", b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello", 400),
    ("unknown coding", b"POST /events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
    ("folded header", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
    ("space before colon", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n", 400),
    ("null in a header", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
    ("null in the path", b"GET /flights/\0 HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    ("bare line feeds", b"GET /healthz HTTP/1.1\nHost: a\n\n", 408),
    ("version", b"GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n", 400),
    ("no request", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("connect", b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n", 404),
    ("trace", b"TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405),
    ("absolute address", b"GET http://evil.example.org/healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
    ("asterisk", b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "status"), [case[1:] for case in BAD_BYTES], ids=[case[0] for case in BAD_BYTES])
def test_bytes_that_are_no_good_http_are_refused_and_nothing_waits(
    daemon: LiveDaemon, sent: bytes, status: int
) -> None:
    received = raw(daemon, sent)
    assert (refusals(received) or [(0, None)])[0][0] == status, received[:500]


def test_smuggled_request_is_not_answered(system: Asker) -> None:
    """Whatever a proxy takes for the body, a second request hidden in it gets no answer of its own."""
    hidden = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    both = head(system, "POST", "/events", "1.1", "Content-Length: 4", "Transfer-Encoding: chunked")
    assert len(refusals(raw(system.daemon, both + b"0\r\n\r\n" + hidden))) == 1
    longer = head(system, "POST", "/events", "1.1", f"Content-Length: {len(hidden)}", "Connection: close")
    assert refusals(raw(system.daemon, longer + hidden)) == [(400, "INVALID_PUBLISH")]


def test_body_that_nobody_reads_ends_the_connection(ask: Asker) -> None:
    """What follows a refusal is the body, and no other request."""
    refused = head(ask, "POST", "/events", "1.1", "Content-Length: 100000")
    received = raw(ask.daemon, refused + b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    assert refusals(received) == [(403, "FORBIDDEN")]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_body_that_inflates_beyond_its_limit_is_refused_while_it_comes(system: Asker, coding: str) -> None:
    bomb = gzip.compress(b" " * 50_000_000) if coding == "gzip" else zlib.compress(b" " * 50_000_000)
    memory = _memory(system.daemon)
    status, _, body = system("POST", "/events", bomb, Content_Encoding=coding)
    assert (status, json.loads(body)["code"]) == (413, "REQUEST_ENTITY_TOO_LARGE")
    assert _memory(system.daemon) - memory < 40_000_000


def test_compressed_body_is_read_and_one_that_is_cut_off_or_broken_is_refused(system: Asker) -> None:
    good = gzip.compress(b'{"type":"system.notice","data":{"text":"gzip"}}')
    assert system("POST", "/events", good, Content_Encoding="gzip")[0] == 200
    for bad in (good[:-12], b"no gzip at all", b""):
        status, _, body = system("POST", "/events", bad, Content_Encoding="gzip")
        assert status == 400, body
    notices = system.json("/events?channels=system.notice")["events"]
    assert [event["data"]["text"] for event in notices] == ["gzip"]


def test_stream_that_is_left_or_not_read_gives_its_place_back_and_costs_little(system: Asker, ask: Asker) -> None:
    daemon = system.daemon
    for _ in range(20):
        Stream(ask, "/stream?channels=flight.*").close()
    await_true(lambda: daemon.counted()["developer"] == 0, seconds=30, what="the places are free")
    with socket.create_connection(("127.0.0.1", daemon.port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(head(ask, "GET", "/stream?channels=system.notice"))
        await_true(lambda: daemon.counted()["developer"] == 1, what="it has its place")
        closed = daemon.call("status")["slow_consumers"]["closed"]
        memory, text = _memory(daemon), "x" * 60_000
        deadline = time.monotonic() + 180
        while daemon.counted()["developer"] and time.monotonic() < deadline:
            daemon.put(*(("system.notice", {"text": text}) for _ in range(10)))
        assert daemon.counted()["developer"] == 0
        assert daemon.call("status")["slow_consumers"]["closed"] == closed + 1
        assert _memory(daemon) - memory < 60_000_000
    assert ask.json("/readyz")["status"] == "ok"


def test_stream_to_a_client_of_http_1_0_has_no_chunks(system: Asker) -> None:
    system.daemon.put(("tmi.issued", {"program_id": 1, "airport": "KJFK"}))
    asked = head(system, "GET", "/stream?channels=tmi.*&last=1", "1.0")
    received = raw(system.daemon, asked, until=b'"program_id":1')
    first, _, body = received.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.0 200 ")
    assert b"chunked" not in first.lower()
    assert body.startswith(b": stream\n\nevent: subscribed\ndata: {")
    assert b"\n\nid: " in body


def test_key_stands_in_no_log_and_no_answer_however_it_was_sent(daemon: LiveDaemon, ask: Asker) -> None:
    for sent in (
        f"GET /flights?api_key={ask.key}&airpots=K HTTP/1.1\r\nHost: a\r\n",
        f"GET /nowhere?key={ask.key} HTTP/1.1\r\nHost: a\r\n",
        f"GET /flights/{ask.key} HTTP/1.1\r\nHost: a\r\nX-API-Key: {ask.key}x\r\n",
        f"BREW /flights?apiKey={ask.key} HTTP/1.1\r\nHost: a\r\n",
        f"GET /stream?key={ask.key} HTTP/1.1\r\nHost: a\r\n",
        f"GET /flights HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ask.key}\0\r\n",
    ):
        received = raw(daemon, sent.encode() + b"Connection: close\r\n\r\n")
        assert 400 <= refusals(received)[0][0] < 500, received
        assert ask.key.encode() not in received
    assert ask.key not in daemon.everything_logged


# Documents.


def test_geojson_is_as_rfc_7946_has_it(ask: Asker) -> None:
    """Longitude first, on both sides of the antimeridian too; what has no place on earth is no feature of it."""
    document = ask.json("/flights.geojson?bbox=60,50,-170,170")
    assert document["type"] == "FeatureCollection"
    assert [feature["geometry"]["coordinates"] for feature in document["features"]] == [[-179.9, 52.5], [179.9, 52.5]]
    everything = ask.json("/flights.geojson")
    for feature in everything["features"]:
        assert set(feature) == {"type", "id", "geometry", "properties"}
        longitude, latitude = feature["geometry"]["coordinates"]
        assert (feature["type"], feature["geometry"]["type"]) == ("Feature", "Point")
        assert -180 <= longitude <= 180 and -90 <= latitude <= 90
        assert isinstance(feature["id"], int | str)
    assert len(everything["features"]) == 3


def test_csv_quotes_what_it_must_and_no_cell_is_a_formula(ask: Asker) -> None:
    status, headers, body = ask("GET", "/flights.csv")
    assert (status, headers["content-type"]) == (200, "text/csv; charset=utf-8")
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    found = next(row for row in rows if row["flight_uid"] == "3")
    assert (found["callsign"], found["dep"]) == (f"'{FORMULA}", 'a,"b\r\nc')
    assert next(row for row in rows if row["callsign"] == "NOUID")["flight_uid"] == ""


def test_requests_are_counted_by_route_and_status_and_no_stranger_makes_labels(daemon: LiveDaemon, ask: Asker) -> None:
    for path in ("/flights/DAL1", "/api/swim/v1/flights.csv", "/tmis?format=xml", "/nowhere", "/nowhere-else"):
        ask("GET", path)
    raw(daemon, b"BREW /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    _, _, body = ask("GET", "/metrics", Authorization="")
    counted = dict(
        re.findall(r'^swim_http_requests_total\{(method="GET",route="[^"]*",status="\d+")\} (\d+)', body.decode(), re.M)
    )
    for wanted in (
        'method="GET",route="/flights/{name}",status="200"', 'method="GET",route="/flights",status="200"',
        'method="GET",route="/tmis",status="400"', 'method="GET",route="other",status="404"',
    ):  # fmt: skip
        assert int(counted[wanted]) >= 1, counted
    routes = set(re.findall(r'swim_http_requests_total\{.*?route="([^"]*)"', body.decode()))
    assert not {route for route in routes if "nowhere" in route or "DAL1" in route or route == "x"}
    assert 'swim_http_requests_total{method="other",route="unreadable",status="400"}' in body.decode()


def _memory(daemon: LiveDaemon) -> int:
    return int(daemon.call("status")["memory_bytes"])
