"""State, history, streams and publishing over HTTP, on a real daemon."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import re
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from support.http_client import Asker, Stream, head, raw
from support.live_daemon import LiveDaemon, await_true, live_daemon
from support.wire_client import dial, try_to_connect

CONFIG = """
[server]
allowed_origins = ["https://map.example.org"]
[tiers.public]
requests_per_minute = 3
[channels.families]
weather = ["metar", "expired"]
[state.kinds.reports]
family = "weather"
key = ["station"]
ends = ["expired"]
"""
PLACE = {"latitude": 40.5, "longitude": -73.5}
FLIGHTS: list[tuple[str, dict[str, Any]]] = [
    ("flight.created", {"callsign": "DAL1", "flight_uid": 1, "dep": "KJFK", "arr": "EGLL", **PLACE}),
    ("flight.created", {"callsign": "BAW9", "flight_uid": 2, "dep": "EGLL", "arr": "EDDF", "latitude": None}),
    ("tmi.issued", {"program_id": 7, "program_type": "GS", "airport": "KJFK"}),
    ("weather.metar", {"station": "KJFK", "text": "calm"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("http"), config=CONFIG) as running:
        running.put(*FLIGHTS)
        yield running


@pytest.fixture(scope="module")
def ask(daemon: LiveDaemon) -> Asker:
    return Asker(daemon)


@pytest.mark.parametrize("prefix", ["", "/api/swim/v1"])
def test_state_is_answered_filtered_and_as_of_an_id(ask: Asker, prefix: str) -> None:
    status, headers, body = ask("GET", f"{prefix}/flights")
    document = json.loads(body)
    assert (status, document["count"], headers["x-swim-as-of"]) == (200, 2, document["as_of"])
    assert [flight["callsign"] for flight in document["flights"]] == ["DAL1", "BAW9"]
    assert ask.json(f"{prefix}/flights?airports=KJFK,KLAX")["flights"][0]["flight_uid"] == 1
    assert ask.json(f"{prefix}/flights?bbox=41,40,-73,-74")["count"] == 1
    assert ask.json(f"{prefix}/tmis")["tmis"][0]["program_id"] == 7
    assert ask.json(f"{prefix}/splits")["splits"] == []
    assert ask.json(f"{prefix}/reports")["reports"][0]["text"] == "calm"


def test_one_flight_is_found_by_uid_and_callsign(ask: Asker) -> None:
    assert ask.json("/flights/2")["callsign"] == "BAW9"
    assert ask.json("/flights/dal1")["flight_uid"] == 1
    assert ask.json("/flights/DAL1.geojson")["features"][0]["id"] == 1
    status, _, body = ask("GET", "/flights/AFR1")
    assert (status, json.loads(body)["code"]) == (404, "NOT_FOUND")


def test_formats_by_ending_by_parameter_and_by_header(ask: Asker) -> None:
    _, headers, body = ask("GET", "/flights.geojson?airports=KJFK")
    assert headers["content-type"] == "application/geo+json"
    (feature,) = json.loads(body)["features"]
    assert feature["geometry"] == {"type": "Point", "coordinates": [-73.5, 40.5]}
    _, headers, body = ask("GET", "/flights?format=csv")
    assert [row["callsign"] for row in csv.DictReader(io.StringIO(body.decode()))] == ["DAL1", "BAW9"]
    _, headers, body = ask("GET", "/flights", Accept="application/x-ndjson")
    assert [json.loads(line)["flight_uid"] for line in body.splitlines()] == [1, 2]
    assert ask("GET", "/flights?format=xml")[0] == 400
    assert ask("GET", "/flights", Accept="image/png")[0] == 406
    assert ask("GET", "/tmis.geojson")[0] == 400


def test_unchanged_state_is_told_by_its_tag_and_large_ones_are_compressed(ask: Asker) -> None:
    status, headers, _ = ask("GET", "/flights")
    assert ask("GET", "/flights", If_None_Match=headers["etag"])[::2] == (304, b"")
    status, headers, body = ask("GET", "/flights", Accept_Encoding="gzip")
    assert (status, headers.get("content-encoding")) == (200, "gzip")
    assert json.loads(gzip.decompress(body))["count"] == 2
    wanted = (("gzip;q=0, *;q=0.5", False), ("br, *", True), ("identity", False), ("GZIP;q=1", True))
    for accepted, is_compressed in wanted:
        _, headers, _ = ask("GET", "/flights", Accept_Encoding=accepted)
        assert ("content-encoding" in headers) is is_compressed, accepted


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/flights?airpots=KJFK", 400, "UNKNOWN_PARAMETER"),
        ("/flights?airports=K%20FK", 400, "INVALID_FILTER"),
        ("/flights?bbox=1,2,3", 400, "INVALID_FILTER"),
        ("/events?after=7", 400, "BAD_REQUEST"),
        ("/events?after=1-0&since=2026-01-16T14:30:15Z", 400, "BAD_REQUEST"),
        ("/events?limit=0", 400, "BAD_REQUEST"),
        ("/events?channels=flght.*", 400, "INVALID_CHANNEL"),
        ("/stream", 400, "INVALID_SUBSCRIBE"),
        ("/stream?channels=flght.*", 400, "INVALID_CHANNEL"),
        ("/stream?channels=flight.*&last=3&after=1-0", 400, "BAD_REQUEST"),
        ("/../etc/passwd", 404, "NOT_FOUND"),
        ("/flights/%00", 404, "NOT_FOUND"),
    ],
)
def test_bad_requests_are_refused_with_status_and_code(ask: Asker, path: str, status: int, code: str) -> None:
    found, _, body = ask("GET", path)
    assert (found, json.loads(body)["code"]) == (status, code)


def test_key_is_needed_and_never_told(daemon: LiveDaemon, ask: Asker) -> None:
    for path in ("/flights", "/events", "/stream?channels=flight.*"):
        status, headers, body = ask("GET", path, Authorization="Bearer swim_dev_wrong")
        assert (status, json.loads(body)["code"]) == (401, "AUTH_FAILED")
        assert headers["www-authenticate"].startswith("Bearer")
    assert ask("GET", f"/flights?api_key={ask.key}", Authorization="")[0] == 200
    assert ask.key not in daemon.everything_logged


def test_requests_of_a_key_are_limited_by_its_tier(daemon: LiveDaemon) -> None:
    public = Asker(daemon, "public")
    answers = [public("GET", "/flights") for _ in range(8)]  # a minute may begin anew in between
    refused = [answer for answer in answers if answer[0] == 429]
    assert refused
    assert 1 <= int(refused[0][1]["retry-after"]) <= 60
    assert json.loads(refused[0][2])["code"] == "RATE_LIMITED"


def test_pages_of_history_lead_on_to_its_end(ask: Asker) -> None:
    after, seen = "0-0", []
    for _ in range(10):
        page = ask.json(f"/events?after={after}&limit=1")
        seen += [event["type"] for event in page["events"]]
        after = page["next_after"]
        if page["is_last"]:
            break
    assert seen[:4] == [event_type for event_type, _ in FLIGHTS]
    assert [event["data"]["callsign"] for event in ask.json("/events?airports=EDDF&channels=flight.*")["events"]] == [
        "BAW9"
    ]


def test_browsers_of_allowed_origins_may_read_and_no_others(ask: Asker) -> None:
    status, headers, _ = ask("GET", "/flights", Origin="https://map.example.org")
    assert (status, headers["access-control-allow-origin"]) == (200, "https://map.example.org")
    assert ask("GET", "/flights", Origin="https://evil.example.org")[0] == 403
    status, headers, _ = ask("OPTIONS", "/flights", Origin="https://map.example.org", Authorization="")
    assert status == 204
    assert "Authorization" in headers["access-control-allow-headers"]
    status, headers, body = ask("HEAD", "/flights")
    assert (status, body) == (200, b"")


async def test_ticket_opens_one_websocket_without_a_key_in_its_address(daemon: LiveDaemon, ask: Asker) -> None:
    status, _, body = await asyncio.to_thread(ask, "POST", "/api/swim/v1/ticket")
    ticket = json.loads(body)["ticket"]
    assert (status, json.loads(body)["expires_in"]) == (200, 30)
    async with dial(f"{daemon.url}?ticket={ticket}") as client:
        assert (await client.ask("ping"))["type"] == "pong"
    assert await try_to_connect(f"{daemon.url}?ticket={ticket}") == (["AUTH_FAILED"], 4001)
    assert (await asyncio.to_thread(ask, "POST", "/ticket", None, Authorization="Bearer nobody"))[0] == 401
    assert ticket not in daemon.everything_logged


# Publishing.


def test_what_is_published_is_stored_and_said_line_by_line(daemon: LiveDaemon) -> None:
    system = Asker(daemon, "system")
    lines = [
        {"type": "system.notice", "data": {"text": "a"}, "event_id": "http-1"},
        {"type": "system.notice", "data": {"text": "b"}, "timestamp": "2026-01-16T14:30:15Z"},
    ]
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    status, _, answer = system("POST", "/api/swim/v1/events", body)
    assert status == 200, answer
    said = [json.loads(line) for line in answer.splitlines()]
    assert [line["status"] for line in said] == ["stored", "stored"]
    status, _, answer = system("POST", "/events", json.dumps(lines[0]).encode())
    assert json.loads(answer) == {"id": said[0]["id"], "event_id": "http-1", "status": "duplicate"}
    stored = system.json("/events?channels=system.notice")["events"]
    assert [event["data"]["text"] for event in stored] == ["a", "b"]
    assert stored[1]["timestamp"] == "2026-01-16T14:30:15.000Z"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "INVALID_PUBLISH"),
        (b"{", 400, "INVALID_PUBLISH"),
        (b'{"type":"flght.created","data":{}}', 400, "INVALID_PUBLISH"),
        (b'{"type":"system.notice","data":[]}', 400, "INVALID_PUBLISH"),
        (b'{"type":"system.notice","data":{}}\n{"type":"system.notice"', 400, "INVALID_PUBLISH"),
        (b'{"type":"system.notice","data":{"x":"' + b"x" * 70_000 + b'"}}', 413, "MESSAGE_TOO_LARGE"),
        (b"x" * 1_100_000, 413, "REQUEST_ENTITY_TOO_LARGE"),
        (b"\xff\xfe", 400, "INVALID_PUBLISH"),
    ],
    ids=["empty", "no json", "type", "data", "second line", "long event", "long body", "no text"],
)
def test_what_can_not_be_published_is_refused_as_a_whole(
    daemon: LiveDaemon, body: bytes, status: int, code: str
) -> None:
    system = Asker(daemon, "system")
    before = system.json("/events?channels=system.notice&limit=1000")["events"]
    found, _, answer = system("POST", "/events", body)
    assert (found, json.loads(answer)["code"]) == (status, code)
    assert system.json("/events?channels=system.notice&limit=1000")["events"] == before


def test_other_tiers_may_not_publish(ask: Asker) -> None:
    status, _, body = ask("POST", "/events", b'{"type":"system.notice","data":{}}')
    assert (status, json.loads(body)["code"]) == (403, "FORBIDDEN")


# Connections.


def test_connection_is_kept_and_may_turn_into_a_websocket(ask: Asker) -> None:
    """As proxies keep what they have opened, the next request on it may be an upgrade."""
    upgrade = (
        "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )  # fmt: skip
    with socket.create_connection(("127.0.0.1", ask.daemon.port), timeout=20) as client:
        for _ in range(3):
            client.sendall(head(ask))
            assert read_response(client)[0] == 200
        wanted = head(ask, "GET", "/api/swim/v1/ws", "1.1", *upgrade)
        client.sendall(wanted[:40])
        client.sendall(wanted[40:])
        received = b""
        while b'"connected"' not in received:
            data = client.recv(65_536)
            assert data, received
            received += data
        assert received.startswith(b"HTTP/1.1 101 ")


def read_response(client: socket.socket) -> tuple[int, bytes]:
    answer = HTTPResponse(client)
    answer.begin()
    return answer.status, answer.read()


def test_pipelined_requests_are_answered_in_order(ask: Asker) -> None:
    received = raw(
        ask.daemon, head(ask) + head(ask, "GET", "/nowhere") + head(ask, "GET", "/splits", "1.1", "Connection: close")
    )
    assert re.findall(rb"HTTP/1.1 (\d+) ", received) == [b"200", b"404", b"200"]


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ((b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",), b"400"),
        (
            (b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",),
            b"400",
        ),
        ((b"GET /tmis HTTP/1.0\r\n\r\n",), b"401"),
        ((b"BREW /tmis HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",), b"400"),
        ((b"GET /tmis HTTP/1.1\r\nHost: a\r\nExpect: 200-maybe\r\nConnection: close\r\n\r\n",), b"417"),
    ],
    ids=["negative length", "two lengths", "http 1.0", "method", "expect"],
)
def test_what_is_no_good_http_is_refused_and_the_connection_ends(
    daemon: LiveDaemon, parts: tuple[bytes, ...], status: bytes
) -> None:
    received = raw(daemon, *parts)
    assert received.split()[1] == status, received


def test_chunked_bodies_and_bodies_that_are_asked_for_are_read(daemon: LiveDaemon) -> None:
    system = Asker(daemon, "system")
    event = b'{"type":"system.notice","data":{"text":"chunked"},"event_id":"chunked-1"}'
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (event[:10], event[10:])) + b"0\r\n\r\n"
    more = ("Transfer-Encoding: chunked", "Expect: 100-continue", "Connection: close")
    received = raw(daemon, head(system, "POST", "/events", "1.1", *more), chunks)
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")
    assert b'"status":"stored"' in received


def test_body_that_is_cut_off_stores_nothing(daemon: LiveDaemon) -> None:
    system = Asker(daemon, "system")
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=20) as client:
        client.sendall(head(system, "POST", "/events", "1.1", "Content-Length: 500") + b'{"type":"system.notice",')
    assert system.json("/readyz")["status"] == "ok"
    assert not [e for e in system.json("/events?channels=system.notice&limit=1000")["events"] if not e["data"]]


# Server-sent events.


def test_stream_shows_events_and_resumes_after_the_last_one_seen(daemon: LiveDaemon, ask: Asker) -> None:
    stream = Stream(ask, "/stream?channels=flight.departed&callsign_prefix=SSE")
    (_, kind, answer), *_ = stream.wait(1)
    assert (kind, answer["channels"], answer["gap"]) == ("subscribed", ["flight.departed"], False)
    ids = daemon.put(
        *(("flight.departed", {"callsign": f"SSE{number}", "flight_uid": 100 + number}) for number in range(3))
    )
    daemon.put(("flight.departed", {"callsign": "DAL9", "flight_uid": 1}))
    seen = stream.wait(4)
    assert [event[0] for event in seen[1:]] == ids
    assert [(event[1], event[2]["type"], event[2]["id"] == event[0]) for event in seen[1:]] == [
        ("flight.departed", "flight.departed", True)
    ] * 3
    stream.close()
    missed = daemon.put(
        *(("flight.departed", {"callsign": f"SSE{number}", "flight_uid": 100 + number}) for number in range(3, 6))
    )
    again = Stream(ask, "/stream?channels=flight.departed&callsign_prefix=SSE", Last_Event_ID=ids[1])
    events = again.wait(5)
    assert events[0][2]["resumed"] is True
    assert [event[0] for event in events[1:]] == [ids[2], *missed]
    again.close()


async def test_stream_and_websocket_get_the_same(daemon: LiveDaemon, ask: Asker) -> None:
    stream = await asyncio.to_thread(Stream, ask, "/stream?channels=tmi.*")
    async with dial(daemon.url, ask.key) as client:
        await client.subscribe("tmi.*")
        await asyncio.to_thread(stream.wait, 1)
        await asyncio.to_thread(
            daemon.put, *(("tmi.issued", {"program_id": number, "program_type": "GS"}) for number in range(20))
        )
        wanted = await client.events(20)
    await asyncio.to_thread(stream.wait, 21)
    assert [event[2] for event in stream.events[1:21]] == wanted
    stream.close()


def test_stream_takes_a_place_in_its_tier_and_ends_with_its_key(daemon: LiveDaemon) -> None:
    partner = Asker(daemon, "partner")
    before = daemon.call("status")["connections"]["by_tier"]["partner"]["current"]
    stream = Stream(partner, "/stream?channels=flight.*")
    stream.wait(1)
    assert daemon.call("status")["connections"]["by_tier"]["partner"]["current"] == before + 1
    (found,) = [one for one in daemon.connections if one["tier"] == "partner"]
    assert found["channels"] == ["flight.*"]
    daemon.swimctl("keys", "revoke", str(found["key_id"]), "--yes", check=True)
    assert stream.has_ended.wait(20)
    assert [event[1] for event in stream.events][-1] == "error"
    assert stream.events[-1][2]["code"] == "AUTH_FAILED"
    await_true(
        lambda: daemon.call("status")["connections"]["by_tier"]["partner"]["current"] == before,
        what="the place is free",
    )


def test_restart_ends_streams_with_a_word_and_none_misses_an_event(tmp_path: Path) -> None:
    with live_daemon(tmp_path) as daemon:
        ask = Asker(daemon)
        first = Stream(ask, "/stream?channels=system.notice")
        first.wait(1)
        ids = daemon.put(("system.notice", {"n": 1}))
        first.wait(2)
        daemon.swimctl("restart", check=True)
        assert first.has_ended.wait(30)
        assert (first.events[-1][1], first.events[-1][2]["code"]) == ("error", "RESTARTING")
        ids += daemon.put(("system.notice", {"n": 2}))
        again = Stream(ask, "/stream?channels=system.notice", Last_Event_ID=ids[0])
        assert [event[0] for event in again.wait(2)[1:]] == ids[1:]
        again.close()


# State over WebSockets, over the process's end.


async def test_state_survives_kill_and_restart_as_the_fold_of_history(tmp_path: Path) -> None:
    with live_daemon(tmp_path) as daemon:
        key = daemon.make_key().api_key

        async def state() -> dict[int, Any]:
            async with dial(daemon.url, key) as client:
                answer, flights = await client.subscribe("flight.*", state=True), {}
                while True:
                    part = await client.until("state")
                    assert part["as_of"] == answer["state_as_of"] == answer["last_event_id"]
                    flights.update({flight["flight_uid"]: flight for flight in part["data"]["flights"]})
                    if part["is_last"]:
                        return flights

        def put(first: int) -> None:
            rows = (
                {"callsign": f"DAL{n}", "flight_uid": n, "dep": "KJFK", "altitude_ft": n}
                for n in range(first, first + 500)
            )
            daemon.put(*(("flight.created", row) for row in rows))
            daemon.put(("flight.deleted", {"flight_uid": first, "callsign": f"DAL{first}"}))

        await asyncio.to_thread(put, 0)
        before = await state()
        assert set(before) == set(range(1, 500))
        port = daemon.port
        daemon.kill()
        await asyncio.to_thread(lambda: daemon.start(port=port))
        assert await state() == before
        await asyncio.to_thread(daemon.swimctl, "restart", check=True)
        assert await state() == before
        await asyncio.to_thread(put, 1000)
        after = await state()
        assert set(after) == {*range(1, 500), *range(1001, 1500)}
        assert {uid: after[uid] for uid in before} == before
        ask = Asker(daemon)
        assert {
            flight["flight_uid"]: flight for flight in (await asyncio.to_thread(ask.json, "/flights"))["flights"]
        } == after


async def test_state_refuses_what_does_not_go_together(daemon: LiveDaemon, ask: Asker) -> None:
    async with dial(daemon.url, ask.key) as client:
        for fields in (
            {"state": True, "after": "1768573815123-0"}, {"state": True, "last": 3}, {"state": "on_gap"}, {"state": 7},
        ):  # fmt: skip
            await client.send({"action": "subscribe", "channels": ["flight.*"], **fields})
            refused = await client.until("error")
            assert (refused["code"], refused["data"]["field"]) == ("INVALID_SUBSCRIBE", "state")
        answer = await client.ask("subscribe", channels=["cdm.*"], state=True)
        assert answer["state_as_of"] is None
