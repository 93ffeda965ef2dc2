"""From the first byte to the 101, or to a refusal that says why."""

from __future__ import annotations

import pytest
from support.gateway_rig import ACCEPT, UPGRADE, Client, Rig, client_frame, close_frame, message, upgrade_request
from support.memory_broker import FIRST_MS
from websockets.frames import Opcode


def test_good_request_is_upgraded_and_greeted(rig: Rig) -> None:
    client = rig.admitted()
    assert client.status == 101
    assert f"Sec-WebSocket-Accept: {ACCEPT}" in client.head
    (greeting,) = client.messages
    assert greeting["type"] == "connected"
    assert greeting["data"]["tier"] == "developer"
    assert greeting["data"]["heartbeat_interval"] == 30
    assert greeting["data"]["client_id"] == client.endpoint.connection.id  # type: ignore[union-attr]  # an admitted client has a connection
    assert greeting["data"]["resume"] is True


def test_request_is_understood_however_its_bytes_are_split(rig: Rig) -> None:
    request = upgrade_request() + message("ping") + message("ping")
    for cut in range(1, len(request)):
        client = rig.client().send(request[:cut], request[cut:])
        assert client.types == ["connected", "pong", "pong"], cut
        client.endpoint.abort()


def test_request_is_understood_byte_by_byte(rig: Rig) -> None:
    request = upgrade_request() + message("ping")
    client = rig.client().send(*(request[at : at + 1] for at in range(len(request))))
    assert client.types == ["connected", "pong"]


def test_end_of_head_split_in_every_way_is_found(rig: Rig) -> None:
    head, early = upgrade_request(), message("ping")
    for first in range(1, 5):
        for second in range(first, 5):
            parts = head[:-4], head[-4:-first], head[len(head) - first : len(head) - second], b""
            rest = head[sum(map(len, parts)) :] + early
            client = rig.client().send(*filter(None, parts), rest)
            assert client.types == ["connected", "pong"]
            client.endpoint.abort()


@pytest.mark.parametrize("path", ["/", "/api/swim/v1/ws", "/api/swim/v1/ws/", "/ws/swim/v1", "/ws/swim/v1/"])
def test_every_path_of_the_protocol_leads_in(rig: Rig, path: str) -> None:
    assert rig.client().send(upgrade_request(f"{path}?apiKey=dev")).types == ["connected"]


@pytest.mark.parametrize(
    "header",
    [
        "Authorization: Bearer dev",
        "AUTHORIZATION: bearer dev",
        "x-swim-api-key: dev",
        "X-API-KEY: dev",
    ],
)
def test_key_is_found_in_every_header(rig: Rig, header: str) -> None:
    assert rig.client().send(upgrade_request("/", header)).types == ["connected"]


def test_absolute_form_target_leads_in(rig: Rig) -> None:
    assert rig.client().send(upgrade_request("http://swim.test/ws/swim/v1/?key=dev")).types == ["connected"]


def _assert_refused(client: Client, status: int) -> None:
    assert client.status == status
    assert "Connection: close" in client.head
    assert client.transport.has_eof
    client.rig.advance(6)
    assert client.is_gone


def test_unknown_path_is_told_the_right_one(rig: Rig) -> None:
    client = rig.client().send(upgrade_request("/nowhere?api_key=dev"))
    assert b"/api/swim/v1/ws" in client.body
    _assert_refused(client, 404)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (f"POST /?api_key=dev HTTP/1.1\r\n{UPGRADE}\r\n", 405),
        (f"HEAD /?api_key=dev HTTP/1.1\r\n{UPGRADE}\r\n", 405),
        (f"GET /?api_key=dev HTTP/1.0\r\n{UPGRADE}\r\n", 505),
        (f"GET /?api_key=dev HTTP/1.1\r\n{UPGRADE.replace('Version: 13', 'Version: 8')}\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: swim.test\r\n\r\n", 426),
        (f"GET / HTTP/1.1\r\n{UPGRADE.replace('Upgrade: websocket', 'Upgrade: h2c')}\r\n", 426),
        (f"GET / HTTP/1.1\r\n{UPGRADE.replace('Sec-WebSocket-Key', 'X-Key')}\r\n", 400),
        (f"GET / HTTP/1.1\r\n{UPGRADE.replace('dGhlIHNhbXBsZSBub25jZQ==', 'short')}\r\n", 400),
        (f"GET / HTTP/1.1\r\n{UPGRADE}Sec-WebSocket-Version: 13\r\n\r\n", 400),
        (f"GET / HTTP/1.1\r\n{UPGRADE}Content-Length: 3\r\n\r\nabc", 400),
        (f"GET / HTTP/1.1\r\n{UPGRADE}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (f"GET / HTTP/1.1\r\n{UPGRADE}Origin: a\r\nOrigin: b\r\n\r\n", 400),
        (f"GET / HTTP/1.1\n{UPGRADE}\r\n", 400),
        (f"GET / HTTP/1.1\r\n{UPGRADE}".replace("\r\n", "\n") + "\n\r\n\r\n", 400),
        ("\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nA: \x01\r\n\r\n", 400),
        ("GET /\xff HTTP/1.1\r\n\r\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400),
        ("GET /" + "x" * 9000 + " HTTP/1.1\r\n\r\n", 414),
        (f"GET / HTTP/1.1\r\n{UPGRADE}X: " + "x" * 9000 + "\r\n\r\n", 431),
        (f"GET / HTTP/1.1\r\n{UPGRADE}" + "X: x\r\n" * 200 + "\r\n", 431),
    ],
)
def test_request_that_cannot_be_upgraded_is_refused_with_its_status(rig: Rig, request_bytes: str, status: int) -> None:
    client = rig.client().send(request_bytes.encode("latin-1"))
    _assert_refused(client, status)


def test_refused_request_is_refused_however_its_bytes_are_split(rig: Rig) -> None:
    request = f"GET / HTTP/1.0\r\n{UPGRADE}\r\n".encode()
    for cut in range(1, len(request)):
        assert rig.client().send(request[:cut], request[cut:]).status == 505
    rig.advance(6)
    assert not rig.gateway.peers


def test_what_follows_a_refused_request_is_ignored(rig: Rig) -> None:
    client = rig.client().send(upgrade_request("/nowhere"), b"more" * 1000, message("ping"))
    assert client.body.count(b"\n") == 1
    _assert_refused(client, 404)


def test_head_that_never_ends_is_cut_off_without_being_kept(rig: Rig) -> None:
    client = rig.client().send(b"GET / HTTP/1.1\r\nX: ")
    for _ in range(100):
        client.send(b"x" * 1000)
    _assert_refused(client, 431)


async def test_wrong_key_is_greeted_by_nothing_but_its_error(rig: Rig) -> None:
    client = await rig.admitted("wrong").settle()
    assert client.status == 101
    assert client.types == ["AUTH_FAILED"]
    assert client.close_code == 4001
    (error,) = client.messages
    assert error["message"] == error["data"]["message"]
    assert error["message"] == "The key is unknown. It was read from the query parameter api_key."


async def test_missing_key_is_refused_with_4001(rig: Rig) -> None:
    client = await rig.client().send(upgrade_request("/")).settle()
    assert (client.types, client.close_code) == (["AUTH_FAILED"], 4001)


def test_silent_connection_is_dropped_after_the_handshake_timeout(rig: Rig) -> None:
    client = rig.client()
    rig.advance(9.9)
    assert not client.is_gone
    rig.advance(0.3)
    assert client.is_gone
    assert client.transport.received == b""


def test_slow_head_gets_no_more_time_by_being_slow(rig: Rig) -> None:
    client = rig.client()
    for byte in upgrade_request()[:40]:
        client.send(bytes([byte]))
        rig.advance(0.3)
    assert client.is_gone


def test_client_that_hangs_up_before_its_head_is_whole_is_forgotten(rig: Rig) -> None:
    for cut in range(0, len(upgrade_request()), 7):
        client = rig.client().send(upgrade_request()[:cut]) if cut else rig.client()
        client.transport.feed_eof()
        rig.turn()
        assert client.is_gone
    assert not rig.gateway.peers


def test_frames_behind_the_head_wait_for_admission_and_are_answered_in_order(rig: Rig) -> None:
    early = message("subscribe", channels=["flight.*"]) + message("ping") + client_frame(b"x", Opcode.PING)
    client = rig.client().send(upgrade_request() + early)
    assert [opcode for opcode, _ in client.frames] == [Opcode.TEXT, Opcode.TEXT, Opcode.TEXT, Opcode.PONG]
    assert client.types == ["connected", "subscribed", "pong"]


def test_close_behind_the_head_is_answered_after_the_greeting(rig: Rig) -> None:
    client = rig.client().send(upgrade_request() + close_frame(1000))
    assert client.types == ["connected"]
    assert client.close_code == 1000
    assert rig.admission.current("developer") == 0


async def test_close_behind_the_head_of_a_refused_client_ends_it_at_once(rig: Rig) -> None:
    client = await rig.client().send(upgrade_request("/?api_key=wrong") + close_frame(1000)).settle()
    assert client.close_code == 4001
    assert client.transport.has_eof


async def test_allowed_origins_let_in_those_and_programs_that_send_none() -> None:
    rig = await Rig(allowed_origins=["https://map.test"]).open()
    assert rig.client().send(upgrade_request("/?api_key=dev", "Origin: https://map.test")).status == 101
    assert rig.client().send(upgrade_request("/?api_key=dev")).status == 101
    for origin in ("https://evil.test", "https://map.test.evil.test", "http://map.test", "null"):
        assert rig.client().send(upgrade_request("/?api_key=dev", f"Origin: {origin}")).status == 403
    await rig.close()


def test_any_origin_may_come_in_when_none_are_named(rig: Rig) -> None:
    for origin in ("https://anywhere.test", "null", "file://"):
        assert rig.client().send(upgrade_request("/?api_key=dev", f"Origin: {origin}")).status == 101


def test_draining_service_says_when_to_come_back(rig: Rig) -> None:
    rig.gateway.is_draining = True
    client = rig.admitted()
    assert "Retry-After: 1" in client.head
    _assert_refused(client, 503)


def test_address_behind_a_trusted_proxy_is_the_one_it_names() -> None:
    rig = Rig()
    client = rig.client(("127.0.0.1", 5)).send(upgrade_request("/?api_key=dev", "X-Forwarded-For: 198.51.100.9"))
    assert rig.authenticator.asked == [("dev", "198.51.100.9")]
    assert rig.log.of("connected")[0]["remote"] == "198.51.100.9"
    client.endpoint.abort()


def test_connect_is_logged_with_everything_but_the_key(rig: Rig) -> None:
    client = rig.client().send(upgrade_request("/?api_key=dev", "User-Agent: map/1.0 \xe9"))
    assert rig.log.of("connected") == [
        {
            "client": client.endpoint.connection.id,  # type: ignore[union-attr]  # an admitted client has a connection
            "tier": "developer",
            "key_id": 1,
            "remote": "192.0.2.7",
            "agent": "map/1.0 \xe9",
        }
    ]


def test_offered_subprotocols_and_unknown_extensions_are_declined(rig: Rig) -> None:
    client = rig.client().send(
        upgrade_request("/?api_key=dev", "Sec-WebSocket-Protocol: swim", "Sec-WebSocket-Extensions: x-unknown; a=1")
    )
    assert client.status == 101
    assert "Sec-WebSocket-Protocol" not in client.head
    assert "Sec-WebSocket-Extensions" not in client.head


def test_control_socket_asks_for_no_key_and_counts_nobody(rig: Rig) -> None:
    client = rig.local_client()
    assert client.messages[0]["data"]["tier"] == "local"
    assert rig.authenticator.asked == []
    assert rig.gateway.clients() == 0
    assert len(rig.hub.connections) == 1


def test_timestamp_of_the_greeting_is_the_gateways_clock(rig: Rig) -> None:
    assert rig.admitted().messages[0]["timestamp"] == "2026-01-16T14:30:15.123Z"
    assert FIRST_MS == 1_768_573_815_123
