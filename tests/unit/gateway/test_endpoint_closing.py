"""How a connection ends: from either side, cleanly or not, and that it always ends."""

from __future__ import annotations

import pytest
from support.gateway_rig import Client, Rig, client_frame, close_frame, message, upgrade_request
from swim_server.protocol.codes import CloseCode
from swim_server.protocol.events import NewEvent
from websockets.frames import Opcode


def _close_reason(client: Client) -> str:
    (payload,) = (payload for opcode, payload in client.frames if opcode is Opcode.CLOSE)
    return payload[2:].decode()


# The client's close.


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1008, 1011, 3000, 4000, 4999])
def test_close_of_the_client_is_answered_with_its_code(rig: Rig, code: int) -> None:
    client = rig.admitted().send(close_frame(code, "bye"))
    assert client.close_code == code
    assert client.transport.has_eof
    assert not rig.hub.connections
    client.transport.feed_eof()
    rig.turn()
    assert client.is_gone
    assert rig.log.of("disconnected")[0]["code"] == code


def test_close_without_a_code_is_answered_without_one(rig: Rig) -> None:
    client = rig.admitted().send(close_frame(None))
    assert client.frames[-1] == (Opcode.CLOSE, b"")


def test_answers_to_messages_before_the_close_precede_its_answer(rig: Rig) -> None:
    client = rig.admitted().send(message("ping") + message("status") + close_frame() + message("ping"))
    assert client.types == ["connected", "pong", "status"]
    assert client.frames[-1][0] is Opcode.CLOSE


def test_client_that_does_not_hang_up_after_its_close_is_dropped(rig: Rig) -> None:
    client = rig.admitted().send(close_frame())
    rig.advance(4.9)
    assert not client.is_gone
    rig.advance(0.3)
    assert client.is_gone


def test_end_of_stream_without_a_close_ends_the_connection(rig: Rig) -> None:
    client = rig.admitted()
    client.transport.feed_eof()
    assert not rig.hub.connections
    rig.turn()
    assert client.is_gone
    assert client.close_code is None
    assert rig.log.of("disconnected")[0]["code"] == 1006


async def test_event_after_the_end_of_stream_disturbs_nobody(rig: Rig) -> None:
    """A write after the half-close raises in the loop's transport; the group's other members must not notice."""
    bystander = rig.admitted().send(message("subscribe", channels=["flight.*"]))
    leaver = rig.admitted().send(message("subscribe", channels=["flight.*"]))
    leaver.transport.stop_reading()
    await rig.publish("flight.created")
    leaver.transport.feed_eof()
    await rig.publish("flight.departed")
    assert bystander.types[2:] == ["flight.created", "flight.departed"]
    assert not leaver.is_gone
    rig.advance(5.2)
    assert leaver.is_gone


async def test_acknowledgement_that_comes_after_the_close_is_not_written(rig: Rig) -> None:
    client = rig.admitted("sys").send(message("publish", channel="tmi.issued", data={}), close_frame())
    await client.settle()
    assert len(rig.broker.events) == 1
    assert client.frames[-1][0] is Opcode.CLOSE


# Our close.


def test_our_close_waits_for_the_clients_answer(rig: Rig) -> None:
    client = rig.admitted()
    client.endpoint.close(CloseCode.SERVICE_RESTART, "the service restarts; retry_ms=100")
    assert (client.close_code, _close_reason(client)) == (1012, "the service restarts; retry_ms=100")
    assert not client.transport.has_eof
    client.send(close_frame(1012))
    assert client.transport.has_eof
    client.transport.feed_eof()
    rig.turn()
    assert client.is_gone
    assert rig.log.of("disconnected")[0]["code"] == 1012


def test_client_that_does_not_answer_our_close_is_dropped_after_the_timeout(rig: Rig) -> None:
    client = rig.admitted()
    client.endpoint.close(CloseCode.SERVICE_RESTART)
    client.send(message("ping"))
    rig.advance(4.9)
    assert not client.is_gone
    rig.advance(0.3)
    assert client.is_gone
    assert client.types == ["connected"]


def test_closing_twice_says_it_once(rig: Rig) -> None:
    client = rig.admitted()
    client.endpoint.close(CloseCode.SERVICE_RESTART, "first")
    client.endpoint.close(CloseCode.SLOW_CONSUMER, "second")
    assert [opcode for opcode, _ in client.frames].count(Opcode.CLOSE) == 1
    assert client.close_code == 1012


def test_closes_that_cross_are_one_close(rig: Rig) -> None:
    client = rig.admitted()
    client.endpoint.close(CloseCode.SERVICE_RESTART)
    client.send(close_frame(1000))
    assert client.close_code == 1012
    assert client.transport.has_eof


def test_close_before_the_handshake_drops_the_connection(rig: Rig) -> None:
    client = rig.client().send(upgrade_request()[:20])
    client.endpoint.close(CloseCode.SERVICE_RESTART)
    rig.turn()
    assert client.is_gone
    assert client.transport.received == b""


async def test_close_before_the_key_is_answered_is_a_close_without_a_greeting(rig: Rig) -> None:
    rig.authenticator.is_slow = True
    client = await rig.admitted().send(message("ping")).settle()
    client.endpoint.close(CloseCode.SERVICE_RESTART)
    rig.authenticator.answer_next()
    await client.settle()
    assert (client.status, client.types, client.close_code) == (101, [], 1012)
    client.send(close_frame(1012))
    assert client.transport.has_eof


def test_long_reason_is_cut_between_characters(rig: Rig) -> None:
    client = rig.admitted()
    client.endpoint.close(CloseCode.SERVICE_RESTART, "ü" * 100)
    assert _close_reason(client) == "ü" * 61


async def test_events_until_the_close_precede_it_and_none_follow(rig: Rig) -> None:
    client = rig.admitted().send(message("subscribe", channels=["flight.*"]))
    await rig.publish("flight.created")
    client.endpoint.close(CloseCode.SERVICE_RESTART)
    await rig.publish("flight.departed")
    assert client.types == ["connected", "subscribed", "flight.created"]
    assert client.frames[-1][0] is Opcode.CLOSE


async def test_events_of_the_same_turn_precede_the_close(rig: Rig) -> None:
    client = rig.admitted().send(message("subscribe", channels=["flight.*"]))
    await rig.broker.publish([NewEvent(type="flight.created", data={})])
    client.endpoint.close(CloseCode.SERVICE_RESTART)
    rig.turn()
    assert client.types == ["connected", "subscribed", "flight.created"]
    assert client.frames[-1][0] is Opcode.CLOSE


def test_nothing_is_written_after_an_abort(rig: Rig) -> None:
    client = rig.admitted()
    connection = client.endpoint.connection
    assert connection is not None
    client.endpoint.abort()
    connection.answer(b"{}")
    rig.turn()
    connection.answer(b"{}")
    assert client.is_gone
    assert client.types == ["connected"]


# Signs of life.


def test_heartbeat_and_ping_come_every_heartbeat_unsubscribed_or_not(rig: Rig) -> None:
    client = rig.admitted()
    for _ in range(3):
        rig.advance(30.2)
        assert client.frames[-1] == (Opcode.PING, b"")
        client.send(client_frame(b"", Opcode.PONG))
    assert client.types == ["connected", *["system.heartbeat"] * 3]
    heartbeat = client.messages[-1]["data"]
    assert heartbeat["connected_clients"] == 1
    assert heartbeat["uptime_seconds"] == 90


def test_silent_client_is_closed_after_two_and_a_half_heartbeats_and_dropped(rig: Rig) -> None:
    client = rig.admitted()
    rig.advance(75)
    assert client.close_code is None
    rig.advance(16)
    assert client.close_code == 4008
    rig.advance(5.2)
    assert client.is_gone


def test_no_ping_stands_behind_the_last_messages_of_a_connection_that_is_closed(rig: Rig) -> None:
    """A client that is busy just then would answer the ping on a closed line, fail, and lose the messages before it."""
    silent, stopped = rig.admitted(), rig.admitted()
    rig.advance(75)
    stopped.send(client_frame(b"", Opcode.PONG))
    silent_before = len(silent.frames)
    rig.advance(16)
    stopped_before = len(stopped.frames)
    stopped.endpoint.close(CloseCode.SERVICE_RESTART, "the service restarts")
    rig.advance(60)
    assert [opcode for opcode, _ in silent.frames[silent_before:]] == [Opcode.CLOSE]
    assert [opcode for opcode, _ in stopped.frames[stopped_before:]] == [Opcode.CLOSE]


def test_any_bytes_are_a_sign_of_life(rig: Rig) -> None:
    clients = [rig.admitted() for _ in range(3)]
    half_a_frame = client_frame(b"{" * 50)
    for second in range(20):
        clients[0].send(client_frame(b"", Opcode.PONG))
        clients[1].send(message("ping"))
        clients[2].send(half_a_frame[second : second + 1])
        rig.advance(15)
    assert all(client.endpoint.is_open for client in clients)


def test_heartbeats_of_many_are_made_once(rig: Rig) -> None:
    clients = [rig.admitted() for _ in range(20)]
    rig.advance(30.2)
    assert len({client.frames[-2] for client in clients}) == 1


async def test_shorter_heartbeat_is_announced_and_kept() -> None:
    rig = await Rig(heartbeat_seconds=0.5, close_timeout_seconds=1).open()
    client = rig.admitted()
    assert client.messages[0]["data"]["heartbeat_interval"] == 0.5
    rig.advance(0.7)
    assert client.types == ["connected", "system.heartbeat"]
    rig.advance(1.3)
    assert client.close_code == 4008
    await rig.close()


def test_control_connection_has_its_signs_of_life_too(rig: Rig) -> None:
    client = rig.local_client()
    rig.advance(30.2)
    assert client.types == ["connected", "system.heartbeat"]
    rig.advance(70)
    assert client.is_gone
