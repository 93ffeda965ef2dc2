"""What a client may send, in how many pieces, and the answers."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gateway_rig import Client, Rig, client_frame, close_frame, message, upgrade_request
from swim_server.gateway.context import HARD_LIMIT_BYTES
from swim_server.streaming.admission import TierLimit
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

PING = json.dumps({"action": "ping"}).encode()
LIMIT_BYTES = 65_536


def _raw(first: int, payload: bytes = b"", *, is_masked: bool = True) -> bytes:
    """A frame with a first byte as the test wants it."""
    mask = b"\x00" * 4 if is_masked else b""
    return bytes([first, (0x80 if is_masked else 0) | len(payload)]) + mask + payload


def test_fragmented_message_is_put_together(rig: Rig) -> None:
    client = rig.admitted().send(
        client_frame(PING[:3], fin=False),
        client_frame(PING[3:7], Opcode.CONT, fin=False),
        client_frame(b"", Opcode.CONT, fin=False),
        client_frame(PING[7:], Opcode.CONT),
        message("ping"),
    )
    assert client.types == ["connected", "pong", "pong"]


def test_fragments_of_two_messages_stay_apart(rig: Rig) -> None:
    parts = [client_frame(PING[:5], fin=False), client_frame(PING[5:], Opcode.CONT)]
    assert rig.admitted().send(*parts, *parts).types == ["connected", "pong", "pong"]


def test_control_frames_between_fragments_are_answered_at_once(rig: Rig) -> None:
    client = rig.admitted().send(client_frame(PING[:5], fin=False), client_frame(b"between", Opcode.PING))
    assert client.frames[-1] == (Opcode.PONG, b"between")
    client.send(client_frame(b"", Opcode.PONG), client_frame(PING[5:], Opcode.CONT))
    assert client.types == ["connected", "pong"]


def test_character_cut_by_fragments_is_whole_again(rig: Rig) -> None:
    text = json.dumps({"action": "ping", "note": "Zürich ✈"}, ensure_ascii=False).encode()
    for cut in range(1, len(text)):
        client = rig.admitted().send(client_frame(text[:cut], fin=False), client_frame(text[cut:], Opcode.CONT))
        assert client.types == ["connected", "pong"]
        client.send(close_frame())


def test_endless_empty_fragments_are_not_kept(rig: Rig) -> None:
    client = rig.admitted().send(client_frame(b"", fin=False))
    for _ in range(50):
        client.send(client_frame(b"", Opcode.CONT, fin=False) * 199)
        rig.advance(1)
    reader = client.endpoint._reader
    assert reader is not None
    assert (reader._fragments, len(reader._cutter)) == (b"", 0)
    assert client.endpoint.is_open


@given(st.data())
@settings(max_examples=40, deadline=None)
async def test_messages_are_the_same_however_they_are_cut_into_frames_and_packets(data: st.DataObject) -> None:
    rig = await Rig({"developer": TierLimit(5, messages_per_second=1000)}).open()
    stream, expected = bytearray(), ["connected"]
    for _ in range(data.draw(st.integers(1, 6), "messages")):
        action = data.draw(st.sampled_from(["ping", "status", "unsubscribe"]), "action")
        payload = json.dumps({"action": action}).encode()
        cuts = sorted(data.draw(st.lists(st.integers(0, len(payload)), max_size=3), "cuts"))
        edges = [0, *cuts, len(payload)]
        for number, (begin, end) in enumerate(pairwise(edges)):
            opcode = Opcode.CONT if number else Opcode.TEXT
            stream += client_frame(payload[begin:end], opcode, fin=number == len(edges) - 2)
            if data.draw(st.booleans(), "ping between"):
                stream += client_frame(b"p", Opcode.PING)
        expected.append({"ping": "pong", "status": "status", "unsubscribe": "unsubscribed"}[action])
    packets = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8), "packets"))
    client = rig.admitted()
    edges = [0, *packets, len(stream)]
    client.send(*(bytes(stream[begin:end]) for begin, end in pairwise(edges) if begin < end))
    assert client.types == expected
    await rig.close()


# Messages that are refused.


def _codes(client: Client) -> list[str]:
    return [received["code"] for received in client.messages if received["type"] == "error"]


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
def test_message_over_the_limit_is_refused_and_the_connection_stays(rig: Rig, opcode: Opcode) -> None:
    client = rig.admitted().send(client_frame(b" " * (LIMIT_BYTES + 1), opcode), message("ping"))
    assert client.types == ["connected", "MESSAGE_TOO_LARGE" if opcode is Opcode.TEXT else "INVALID_JSON", "pong"]


def test_message_of_just_the_limit_is_read(rig: Rig) -> None:
    client = rig.admitted().send(client_frame(PING.ljust(LIMIT_BYTES)))
    assert client.types == ["connected", "pong"]


def test_error_for_a_large_message_names_its_size_and_the_limit(rig: Rig) -> None:
    client = rig.admitted().send(client_frame(b" " * 70_000))
    assert {"size": 70_000, "limit": 65_536}.items() <= client.messages[-1]["data"].items()


def test_large_message_in_fragments_is_refused_too(rig: Rig) -> None:
    client = rig.admitted().send(client_frame(b" " * 50_000, fin=False), client_frame(b" " * 50_000, Opcode.CONT))
    assert client.types == ["connected", "MESSAGE_TOO_LARGE"]
    assert client.endpoint.is_open


def test_message_of_the_hard_limit_is_still_refused_without_a_close(rig: Rig) -> None:
    client = rig.admitted().send(client_frame(b" " * HARD_LIMIT_BYTES), message("ping"))
    rig.advance(1.2)  # so much in a second is all that is read of it
    assert client.types == ["connected", "MESSAGE_TOO_LARGE", "pong"]


def test_message_beyond_the_hard_limit_is_closed_with_1009_after_its_error_unread(rig: Rig) -> None:
    client = rig.admitted()
    head = client_frame(b" " * (HARD_LIMIT_BYTES + 1))[:14]
    client.send(head)
    assert client.types == ["connected", "MESSAGE_TOO_LARGE"]
    assert client.close_code == 1009
    assert rig.admission.current("developer") == 0


def test_fragments_beyond_the_hard_limit_are_closed_with_1009(rig: Rig) -> None:
    client = rig.admitted().send(client_frame(b" " * 50_000, fin=False))
    for _ in range(HARD_LIMIT_BYTES // 50_000 + 1):
        client.send(client_frame(b" " * 50_000, Opcode.CONT, fin=False))
        rig.advance(1)
    assert (client.types, client.close_code) == (["connected", "MESSAGE_TOO_LARGE"], 1009)


def test_binary_frame_is_refused_without_a_close(rig: Rig) -> None:
    client = rig.admitted().send(client_frame(PING, Opcode.BINARY), message("ping"))
    assert client.types == ["connected", "INVALID_JSON", "pong"]
    assert "binary" in client.messages[1]["message"]


def test_fragmented_binary_message_is_refused_as_one(rig: Rig) -> None:
    client = rig.admitted().send(client_frame(b"a", Opcode.BINARY, fin=False), client_frame(b"b", Opcode.CONT))
    assert _codes(client) == ["INVALID_JSON"]


NO_UTF8 = b'{"action":"ping\xff"}'
COMPRESSION = "Sec-WebSocket-Extensions: permessage-deflate"


def test_text_that_is_no_utf8_is_closed_with_1007(rig: Rig) -> None:
    client = rig.admitted().send(client_frame(NO_UTF8), message("ping"))
    assert (client.types, client.close_code) == (["connected"], 1007)
    assert rig.admission.current("developer") == 0


def test_text_that_cannot_become_utf8_is_closed_before_it_is_whole(rig: Rig) -> None:
    frame = client_frame(NO_UTF8 + b" " * 1000)
    begin = len(frame) - len(NO_UTF8) - 1000
    client = rig.admitted().send(frame[: begin + NO_UTF8.index(b"\xff")])
    assert client.close_code is None
    assert client.send(frame[begin + NO_UTF8.index(b"\xff") :][:1]).close_code == 1007


@pytest.mark.parametrize("is_compressed", [False, True])
def test_fragment_that_cannot_be_utf8_is_closed_before_the_message_is_whole(rig: Rig, *, is_compressed: bool) -> None:
    client = rig.client().send(upgrade_request("/?api_key=dev", *[COMPRESSION] * is_compressed))
    extensions = [PerMessageDeflate(True, True, 15, 15)] if is_compressed else []
    first = Frame(Opcode.TEXT, "é".encode()[:1], fin=False).serialize(mask=True, extensions=extensions)
    second = Frame(Opcode.CONT, b"e", fin=False).serialize(mask=True, extensions=extensions)
    assert client.send(first).close_code is None
    assert client.send(second).close_code == 1007


def test_message_that_ends_within_a_character_is_closed_with_1007(rig: Rig) -> None:
    parts = client_frame(b'"\xc3', fin=False), client_frame(b"", Opcode.CONT)
    assert rig.admitted().send(*parts).close_code == 1007


def test_compressed_text_that_is_no_utf8_is_closed_with_1007(rig: Rig) -> None:
    client = rig.client().send(upgrade_request("/?api_key=dev", COMPRESSION))
    frame = Frame(Opcode.TEXT, NO_UTF8).serialize(mask=True, extensions=[PerMessageDeflate(True, True, 15, 15)])
    assert client.send(frame).close_code == 1007


def test_binary_message_may_hold_anything(rig: Rig) -> None:
    client = rig.admitted().send(client_frame(b"\xff", Opcode.BINARY), message("ping"))
    assert client.types == ["connected", "INVALID_JSON", "pong"]


def test_client_that_closes_with_1009_itself_is_sent_no_error(rig: Rig) -> None:
    client = rig.admitted().send(close_frame(1009))
    assert (client.types, client.close_code) == (["connected"], 1009)


def test_pongs_and_answers_come_in_the_order_of_what_they_answer(rig: Rig) -> None:
    client = rig.admitted().send(message("ping") + client_frame(b"?", Opcode.PING) + message("status"))
    assert [opcode for opcode, _ in client.frames] == [Opcode.TEXT, Opcode.TEXT, Opcode.PONG, Opcode.TEXT]
    assert client.types == ["connected", "pong", "status"]


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b'"ping"', b"17", b"{", b"\x00", b"{}{}", b"[" * 60_000])
def test_anything_but_an_object_is_refused_without_a_close(rig: Rig, payload: bytes) -> None:
    client = rig.admitted().send(client_frame(payload), message("ping"))
    assert client.types == ["connected", "INVALID_JSON", "pong"]


def test_unreadable_messages_again_and_again_are_closed_with_4003(rig: Rig) -> None:
    client = rig.admitted()
    for _ in range(12):
        client.send(client_frame(b"no"))
        rig.advance(0.2)
    assert _codes(client) == ["INVALID_JSON"] * 10
    assert client.close_code == 4003


def test_refused_messages_now_and_then_are_borne(rig: Rig) -> None:
    client = rig.admitted()
    for _ in range(30):
        client.send(*[client_frame(b"no")] * 4, message("ping"))
        rig.advance(1)
    assert client.endpoint.is_open


def test_string_instead_of_a_list_is_refused_and_nothing_breaks(rig: Rig) -> None:
    client = rig.admitted().send(
        message("subscribe", channels="flight.departed"),
        message("subscribe", channels=["flight.*"], filters={"airports": "KJFK"}),
        message("subscribe", channels=["flight.*"], filters="KJFK"),
        message("subscribe", channels=["flight.depart"]),
        message("fly"),
        message("status"),
    )
    assert client.types[1:6] == [
        "INVALID_SUBSCRIBE",
        "INVALID_FILTER",
        "INVALID_FILTER",
        "INVALID_CHANNEL",
        "UNKNOWN_ACTION",
    ]
    assert client.messages[-1]["data"]["subscriptions"] is None


def test_eleventh_message_of_a_second_is_refused_and_the_next_second_is_new(rig: Rig) -> None:
    client = rig.admitted().send(*[message("ping")] * 15)
    assert client.types == ["connected", *["pong"] * 10, "RATE_LIMITED"]
    rig.advance(1)
    assert client.send(message("ping")).types[-1] == "pong"


def test_ten_seconds_over_the_rate_are_closed_with_4002(rig: Rig) -> None:
    client = rig.admitted()
    for _ in range(10):
        client.send(*[message("ping")] * 12)
        rig.advance(1)
    assert _codes(client) == ["RATE_LIMITED"] * 10
    assert client.close_code == 4002


def test_control_socket_has_no_rate_and_reads_large_messages(rig: Rig) -> None:
    client = rig.local_client().send(*[message("ping")] * 100, client_frame(PING.ljust(2_000_000)))
    assert client.types == ["connected", *["pong"] * 101]


# Frames that are no WebSocket frames.


AGAINST_THE_RULES = [
    (Frame(Opcode.TEXT, PING).serialize(mask=False), 1002),
    (_raw(0xC1, PING), 1002),
    (_raw(0xA1, PING), 1002),
    (_raw(0x91, PING), 1002),
    (_raw(0x83, PING), 1002),
    (_raw(0x8B), 1002),
    (_raw(0x80, PING), 1002),
    (_raw(0x09), 1002),
    (_raw(0x08), 1002),
    (b"\x89\xfe\x00\x7e" + b"\x00" * 130, 1002),
    (_raw(0x88, b"\x03"), 1002),
    (_raw(0x88, b"\x03\xe8\xff"), 1007),
    (close_frame(999), 1002),
    (close_frame(1005), 1002),
    (close_frame(1006), 1002),
    (close_frame(2999), 1002),
    (b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff", 1009),
    (client_frame(b"a", fin=False) + client_frame(b"b", fin=False), 1002),
    (client_frame(b"a", fin=False) + close_frame(), 1002),
]


@pytest.mark.parametrize(("frame", "code"), AGAINST_THE_RULES, ids=range(len(AGAINST_THE_RULES)))
def test_frame_against_the_rules_ends_the_connection_with_the_right_code(rig: Rig, frame: bytes, code: int) -> None:
    client = rig.admitted().send(message("ping"), frame, message("ping"))
    assert client.types[:2] == ["connected", "pong"]
    assert client.types.count("pong") == 1
    assert client.close_code == code
    assert client.transport.has_eof
    assert rig.admission.current("developer") == 0
    rig.advance(5.2)
    assert client.is_gone


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
async def test_whatever_bytes_come_the_gateway_stands(noise: bytes) -> None:
    rig = await Rig().open()
    bystander = rig.admitted()
    await rig.client().send(noise).settle()
    await rig.client().send(upgrade_request() + noise).settle()
    await rig.client().send(upgrade_request("/?key=wrong") + noise).settle()
    assert bystander.send(message("ping")).types == ["connected", "pong"]
    await rig.close()
