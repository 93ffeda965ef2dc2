"""The usual request is parsed like the library does, and answered with the same bytes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gateway_rig import ACCEPT, Rig, upgrade_request
from swim_server.gateway.upgrade import read_upgrade
from websockets.http11 import Request
from websockets.server import ServerProtocol

DATE = "Fri, 16 Jan 2026 14:30:15 GMT"
GOOD = {
    "Host": "swim.test",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def head(fields: list[tuple[str, str]], line: str = "GET /api/swim/v1/ws HTTP/1.1") -> bytes:
    return "\r\n".join([line, *(f"{name}:{value}" for name, value in fields), "", ""]).encode("latin-1")


def by_the_library(data: bytes) -> tuple[Request, bytes] | None:
    """What the library makes of a head: the request and its answer, if it accepts."""
    protocol = ServerProtocol()
    protocol.receive_data(data)
    requests = [event for event in protocol.events_received() if isinstance(event, Request)]
    if not requests:
        return None
    response = protocol.accept(requests[0])
    if response.status_code != 101:
        return None
    return requests[0], re.sub(rb"Date: [^\r]*", b"Date: " + DATE.encode(), response.serialize())


def test_everyday_request_is_accepted() -> None:
    upgrade = read_upgrade(upgrade_request("/api/swim/v1/ws?api_key=x", "X-API-Key:  a b "))
    assert upgrade is not None
    assert upgrade.path == "/api/swim/v1/ws?api_key=x"
    assert upgrade.headers.get_all("x-api-KEY") == ["a b"]
    assert upgrade.headers.get_all("Origin") == []
    assert f"Sec-WebSocket-Accept: {ACCEPT}\r\n".encode() in upgrade.accept(DATE, None)


def test_negotiated_extensions_stand_in_the_answer() -> None:
    upgrade = read_upgrade(upgrade_request())
    assert upgrade is not None
    assert b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n" in upgrade.accept(DATE, "permessage-deflate")


@pytest.mark.parametrize(
    "change",
    [
        {"Connection": "close"},
        {"Upgrade": "h2c"},
        {"Sec-WebSocket-Version": "8"},
        {"Sec-WebSocket-Key": "short"},
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZR=="},
        {"Transfer-Encoding": "chunked"},
        {"Content-Length": "0"},
        {"Sec-WebSocket-Protocol": "chat"},
        {"X-Odd": "tab\there"},
        {"X-Odd": "é"},
        {"X Odd": "a name with a blank"},
        {"host": "twice"},
    ],
    ids=lambda change: (
        " ".join(f"{name} {value}" for name, value in change.items()).encode("ascii", "replace").decode()
    ),
)
def test_what_is_out_of_the_ordinary_is_left_to_the_library(change: dict[str, str]) -> None:
    assert read_upgrade(head(list((GOOD | change).items()))) is None


@pytest.mark.parametrize(
    "line",
    ["POST / HTTP/1.1", "GET / HTTP/1.0", "GET  / HTTP/1.1", "GET * HTTP/1.1", "GET /é HTTP/1.1", "get / HTTP/1.1"],
)
def test_odd_request_lines_are_left_to_the_library(line: str) -> None:
    assert read_upgrade(head(list(GOOD.items()), line)) is None


def test_bare_line_feeds_and_folded_lines_are_left_to_the_library() -> None:
    whole = head(list(GOOD.items()))
    assert read_upgrade(whole) is not None
    assert read_upgrade(whole.replace(b"\r\n", b"\n")) is None
    assert read_upgrade(whole.replace(b"Host:", b"Host:a\r\n b:")) is None
    assert read_upgrade(whole[:-2]) is None
    assert read_upgrade(whole + b"\x81") is None


names = st.sampled_from(
    [*GOOD, "host", "UPGRADE", "Origin", "X-Forwarded-For", "Sec-WebSocket-Extensions", "a", "a b", ""]
)
values = st.sampled_from([*GOOD.values(), "keep-alive, Upgrade", "WebSocket", "upgrade", "a, b", " padded ", ""])
values |= st.text(st.characters(max_codepoint=255), max_size=12)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(names, values), max_size=4), st.permutations(list(GOOD.items())), st.booleans())
def test_what_is_read_is_what_the_library_reads(
    more: list[tuple[str, str]], good: list[tuple[str, str]], is_first: bool
) -> None:
    data = head([*more, *good] if is_first else [*good, *more])
    upgrade = read_upgrade(data)
    if upgrade is None:
        return
    theirs = by_the_library(data)
    if theirs is None:  # what it negotiates: refused by the library, which is asked about that
        assert upgrade.headers.get_all("Sec-WebSocket-Extensions")
        return
    request, response = theirs
    assert upgrade.accept(DATE, None) == response
    assert upgrade.path == request.path
    for name in {name for name, _ in request.headers.raw_items()}:
        assert upgrade.headers.get_all(name) == request.headers.get_all(name)


async def test_refused_address_is_counted_once(rig: Rig) -> None:
    for _ in range(40):
        rig.refusals.failed("192.0.2.7", f"key {_}", rig.authenticator.decide("nonsense"))  # type: ignore[arg-type]  # an unknown key is always refused
    counted = rig.refusals.counts["over-eager"]
    client = rig.client().send(upgrade_request("/?api_key=another"))
    assert client.status == 429
    assert rig.refusals.counts["over-eager"] == counted + 1


async def test_extension_that_cannot_be_read_is_refused_by_the_library(rig: Rig) -> None:
    client = rig.client().send(upgrade_request("/?api_key=dev", 'Sec-WebSocket-Extensions: permessage-deflate; "'))
    assert client.status == 400


async def test_compression_is_negotiated_in_an_everyday_request(rig: Rig) -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    client = rig.client().send(upgrade_request("/?api_key=dev", offer))
    assert client.status == 101
    assert "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover" in client.head
    assert client.types == ["connected"]
    assert client.endpoint.connection is not None
    assert client.endpoint.connection.window_bits > 0
