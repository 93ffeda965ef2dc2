"""Compression on the wire, byte by byte: what is negotiated, what is sent, what is read."""

from __future__ import annotations

import json
import zlib

import pytest
from support.gateway_rig import Client, Rig, client_frame, message, upgrade_request
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

EMPTY_BLOCK = b"\x00\x00\xff\xff"
OFFER = "Sec-WebSocket-Extensions: permessage-deflate"


def connected(rig: Rig, *headers: str) -> Client:
    return rig.client().send(upgrade_request("/?api_key=dev", *headers))


def answered(client: Client) -> str | None:
    """The extensions that the server's answer names."""
    for line in client.head.split("\r\n"):
        if line.lower().startswith("sec-websocket-extensions:"):
            return line.partition(":")[2].strip()
    return None


def deflated(payload: bytes, window_bits: int = 15) -> bytes:
    compressor = zlib.compressobj(wbits=-window_bits)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[: -len(EMPTY_BLOCK)]


def marked(data: bytes, *, fin: bool = True) -> bytes:
    """A masked text frame with the bit that says: compressed."""
    frame = Frame(Opcode.TEXT, data, fin).serialize(mask=True)
    return bytes([frame[0] | 0x40]) + frame[1:]


def compressed_frame(payload: bytes) -> bytes:
    return marked(deflated(payload))


def read_all(data: bytes) -> list[tuple[bool, bytes]]:
    """Every text frame: whether it is compressed, and its message."""
    found = []
    while data:
        length, begin = data[1], 2
        if length >= 126:
            begin = 4 if length == 126 else 10
            length = int.from_bytes(data[2:begin], "big")
        payload = data[begin : begin + length]
        is_compressed = bool(data[0] & 0x40)
        if is_compressed:
            payload = zlib.decompressobj(wbits=-12).decompress(payload + EMPTY_BLOCK)
        if data[0] & 0x0F == Opcode.TEXT:
            found.append((is_compressed, payload))
        data = data[begin + length :]
    return found


async def publish_batch(rig: Rig, count: int = 100) -> None:
    rows = [{"callsign": f"DAL{number}", "dep": "KJFK", "arr": "KLAX"} for number in range(count)]
    await rig.publish("flight.positions", count=count, positions=rows)


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", "server_no_context_takeover; client_no_context_takeover"),
        (
            "permessage-deflate; client_max_window_bits",
            "server_no_context_takeover; client_no_context_takeover",
        ),
        (
            "permessage-deflate; server_max_window_bits=10",
            "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10",
        ),
        (
            "permessage-deflate; server_max_window_bits=15; client_max_window_bits=11",
            "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12;"
            " client_max_window_bits=11",
        ),
    ],
)
async def test_offer_is_answered_with_what_lets_frames_be_shared(rig: Rig, offer: str, answer: str) -> None:
    client = connected(rig, f"Sec-WebSocket-Extensions: {offer}")
    assert answered(client) == f"permessage-deflate; {answer}"


@pytest.mark.parametrize(
    "offer",
    ["x-webkit-deflate-frame", "permessage-deflate; server_max_window_bits=8", "permessage-deflate; no_such_parameter"],
)
async def test_offer_that_cannot_be_met_is_not_answered_and_the_client_is_served_plain(rig: Rig, offer: str) -> None:
    client = connected(rig, f"Sec-WebSocket-Extensions: {offer}")
    assert client.status == 101
    assert answered(client) is None
    client.send(message("subscribe", channels=["flight.*"]))
    await publish_batch(rig)
    assert not any(is_compressed for is_compressed, _ in read_all(client.body))


async def test_client_without_an_offer_is_served_plain(rig: Rig) -> None:
    client = connected(rig)
    client.send(message("subscribe", channels=["flight.*"]))
    await publish_batch(rig)
    assert answered(client) is None
    assert client.types[-1] == "flight.positions"


async def test_large_event_is_compressed_once_for_all_and_small_ones_go_plain(rig: Rig) -> None:
    clients = [connected(rig, OFFER) for _ in range(2)]
    plain = connected(rig)
    for client in (*clients, plain):
        client.send(message("subscribe", channels=["flight.*"]))
    before = [len(client.body) for client in (*clients, plain)]
    await publish_batch(rig)
    await rig.publish("flight.created", callsign="DAL1")
    parts = [client.body[begin:] for client, begin in zip((*clients, plain), before, strict=True)]
    assert parts[0] == parts[1]
    assert [is_compressed for is_compressed, _ in read_all(parts[0])] == [True, False]
    assert [payload for _, payload in read_all(parts[0])] == [payload for _, payload in read_all(parts[2])]
    assert len(parts[0]) < 0.4 * len(parts[2])


async def test_compressed_message_is_read(rig: Rig) -> None:
    client = connected(rig, OFFER)
    client.send(compressed_frame(b'{"action":"ping"}'))
    assert read_all(client.body)[-1][1].startswith(b'{"type":"pong"')


async def test_uncompressed_message_is_read_too(rig: Rig) -> None:
    client = connected(rig, OFFER)
    client.send(message("ping"))
    assert read_all(client.body)[-1][1].startswith(b'{"type":"pong"')


async def test_compressed_message_in_fragments_is_read(rig: Rig) -> None:
    client = connected(rig, OFFER)
    data = deflated(b'{"action":"ping"}')
    client.send(
        marked(data[:5], fin=False),
        client_frame(b"", Opcode.PING),
        Frame(Opcode.CONT, data[5:], True).serialize(mask=True),
    )
    assert read_all(client.body)[-1][1].startswith(b'{"type":"pong"')


async def test_size_counts_after_inflation(rig: Rig) -> None:
    client = connected(rig, OFFER)
    frame = compressed_frame(json.dumps({"action": "ping", "more": "x" * 70_000}).encode())
    assert len(frame) < 1000
    client.send(frame, message("ping"))
    last = [json.loads(payload) for _, payload in read_all(client.body)][-2:]
    assert last[0]["code"] == "MESSAGE_TOO_LARGE"
    assert last[1]["type"] == "pong", "and the connection lives on"


async def test_message_that_inflates_beyond_all_bounds_ends_the_connection(rig: Rig) -> None:
    client = connected(rig, OFFER)
    client.send(compressed_frame(b" " * 50_000_000))
    assert [json.loads(payload).get("code") for _, payload in read_all(client.body)][-1] == "MESSAGE_TOO_LARGE"
    assert not rig.hub.connections


async def test_garbage_in_place_of_compressed_data_ends_the_connection(rig: Rig) -> None:
    client = connected(rig, OFFER)
    client.send(marked(b"\xff\xff\xff\xff"))
    assert not rig.hub.connections


async def test_compressed_bit_without_an_agreement_ends_the_connection(rig: Rig) -> None:
    client = connected(rig)
    client.send(compressed_frame(b'{"action":"ping"}'))
    assert client.close_code == 1002


@pytest.mark.parametrize("window_bits", [None, 9, 12, 15])
async def test_library_client_reads_every_frame(rig: Rig, window_bits: int | None) -> None:
    """The library's own client protocol, with its strict reading of the answer, on the other end."""
    factory = ClientPerMessageDeflateFactory(server_max_window_bits=window_bits)
    library = ClientProtocol(parse_uri("ws://swim.test/?api_key=dev"), extensions=[factory])
    library.send_request(library.connect())
    client = rig.client()
    client.send(*library.data_to_send())
    library.receive_data(bytes(client.transport.received))
    seen = len(client.transport.received)
    (response, *_) = library.events_received()
    assert isinstance(response, Response)
    assert library.handshake_exc is None
    library.send_text(json.dumps({"action": "subscribe", "channels": ["flight.*"]}).encode())
    client.send(*library.data_to_send())
    await publish_batch(rig)
    await publish_batch(rig)
    library.receive_data(bytes(client.transport.received)[seen:])
    types = [json.loads(bytes(frame.data))["type"] for frame in library.events_received() if isinstance(frame, Frame)]
    assert types[-3:] == ["subscribed", "flight.positions", "flight.positions"]


@pytest.mark.parametrize(
    ("offer", "expected"),
    [
        ("", None),
        ("; client_max_window_bits", None),
        ("; server_max_window_bits=15", "12"),
        ("; server_max_window_bits=10; client_max_window_bits", "10"),
    ],
)
def test_window_of_the_server_is_named_only_to_who_offered_it(rig: Rig, offer: str, expected: str | None) -> None:
    """Answering with a parameter that was not offered makes some clients end the connection."""
    answer = answered(connected(rig, OFFER + offer)) or ""
    names = dict(part.strip().partition("=")[::2] for part in answer.split(";"))
    assert "permessage-deflate" in names
    assert names.get("server_max_window_bits") == expected


def test_who_did_not_name_a_window_is_sent_what_any_window_reads(rig: Rig) -> None:
    client = connected(rig, OFFER)
    assert client.endpoint.connection is not None
    assert client.endpoint.connection.window_bits == 12
