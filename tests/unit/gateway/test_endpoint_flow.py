"""The order of what is written, and what happens when a client does not read it."""

from __future__ import annotations

import json
from typing import Any

from support.gateway_rig import Client, Rig, client_frame, close_frame, message
from swim_server.protocol.events import NewEvent
from websockets.frames import Opcode

HIGH_BYTES = 64 * 1024
CHUNK_BYTES = 256 * 1024
"""What the loop reads at most in one go."""


def _subscribed(rig: Rig, *channels: str, key: str = "sys", **fields: Any) -> Client:
    return rig.admitted(key).send(message("subscribe", channels=list(channels) or ["flight.*"], **fields))


def _events(client: Client) -> list[int]:
    return [received["data"]["number"] for received in client.messages if "number" in received.get("data", {})]


async def _publish(rig: Rig, *numbers: int, size: int = 0, type: str = "flight.created") -> None:
    await rig.broker.publish([NewEvent(type=type, data={"number": number, "pad": "x" * size}) for number in numbers])
    rig.turn()


# Order.


async def test_events_arrive_in_the_order_of_their_ids(rig: Rig) -> None:
    client = _subscribed(rig)
    for number in range(50):
        await _publish(rig, number)
    assert _events(client) == list(range(50))
    ids = [received["id"] for received in client.messages if "id" in received]
    assert ids == sorted(ids, key=lambda id: int(id.split("-")[0]))


async def test_answer_comes_behind_the_events_that_precede_it(rig: Rig) -> None:
    client = _subscribed(rig)
    await rig.broker.publish([NewEvent(type="flight.created", data={"number": 1})])
    client.transport.feed(message("ping"))
    rig.turn()
    assert client.types == ["connected", "subscribed", "flight.created", "pong"]


async def test_pong_frame_comes_behind_the_events_that_precede_it(rig: Rig) -> None:
    client = _subscribed(rig)
    await rig.broker.publish([NewEvent(type="flight.created", data={"number": 1})])
    client.transport.feed(client_frame(b"?", Opcode.PING))
    rig.turn()
    assert client.frames[-1] == (Opcode.PONG, b"?")
    assert client.types[-1] == "flight.created"


async def test_events_after_an_unsubscribe_in_the_same_turn_are_not_sent(rig: Rig) -> None:
    client = _subscribed(rig)
    await rig.broker.publish([NewEvent(type="flight.created", data={"number": 1})])
    client.transport.feed(message("unsubscribe"))
    await rig.broker.publish([NewEvent(type="flight.created", data={"number": 2})])
    rig.turn()
    assert _events(client) == [1]
    assert client.types[-1] == "unsubscribed"


async def test_close_answer_comes_behind_the_events_that_precede_it(rig: Rig) -> None:
    client = _subscribed(rig)
    await rig.broker.publish([NewEvent(type="flight.created", data={"number": 1})])
    client.transport.feed(close_frame())
    rig.turn()
    assert _events(client) == [1]
    assert client.frames[-1][0] is Opcode.CLOSE


async def test_publisher_hears_that_it_is_stored_and_has_its_event_once(rig: Rig) -> None:
    client = _subscribed(rig, "tmi.*")
    client.send(*[message("publish", channel="tmi.issued", data={"number": 1}, event_id="a")] * 2)
    await client.settle()
    assert sorted(client.types[2:]) == ["publish_ack", "publish_ack", "tmi.issued"]
    acknowledgements = [received for received in client.messages if received["type"] == "publish_ack"]
    assert [(each["accepted"], each["duplicates"]) for each in acknowledgements] == [(1, 0), (0, 1)]
    assert len({each["id"] for each in acknowledgements}) == 1


async def test_publish_is_for_the_system_tier_alone(rig: Rig) -> None:
    client = rig.admitted("dev").send(message("publish", channel="tmi.issued", data={}))
    await client.settle()
    assert client.types == ["connected", "FORBIDDEN"]
    assert rig.broker.events == []


async def test_history_comes_first_then_live_events_seamlessly(rig: Rig) -> None:
    await _publish(rig, *range(1, 6))
    after = str(rig.broker.events[1].id)
    client = _subscribed(rig, after=after)
    await _publish(rig, 6)
    await client.settle()
    await _publish(rig, 7)
    assert _events(client) == [3, 4, 5, 6, 7]
    assert client.messages[1]["resumed"] is True


# Clients that do not read.


async def test_client_that_does_not_read_is_not_listened_to(rig: Rig) -> None:
    client = _subscribed(rig)
    client.transport.stop_reading()
    for number in range(30):
        await _publish(rig, number, size=4096)
    assert not client.transport.reads
    assert client.endpoint.connection is not None
    assert client.endpoint.connection.is_lagging


async def test_client_that_catches_up_has_everything_in_order_and_is_listened_to_again(rig: Rig) -> None:
    client = _subscribed(rig)
    client.transport.stop_reading()
    for number in range(100):
        await _publish(rig, number, size=4096)
    client.transport.start_reading()
    rig.turn()
    await _publish(rig, 100)
    assert _events(client) == list(range(101))
    assert client.transport.reads
    assert client.endpoint.connection is not None
    assert not client.endpoint.connection.is_lagging
    assert client.send(message("ping")).types[-1] == "pong"


async def test_client_that_reads_slowly_has_everything_in_order(rig: Rig) -> None:
    client = _subscribed(rig)
    client.transport.stop_reading()
    for number in range(200):
        await _publish(rig, number, size=4096)
        client.transport.read_some(3000)
        rig.turn()
    client.transport.start_reading()
    rig.turn()
    assert _events(client) == list(range(200))


async def test_client_that_never_reads_is_closed_with_4008_and_what_waits_is_bounded(rig: Rig) -> None:
    client, bystander = _subscribed(rig), _subscribed(rig)
    client.transport.stop_reading()
    most = 0
    for number in range(1000):
        await _publish(rig, number, size=4096)
        assert client.endpoint.connection is not None
        most = max(most, client.endpoint.connection.buffered_bytes)
        if not client.endpoint.is_open:
            break
    assert not client.endpoint.is_open
    assert most < 1_048_576 + HIGH_BYTES + 3 * CHUNK_BYTES
    assert client.endpoint.connection is not None
    assert client.endpoint.connection.buffered_bytes < HIGH_BYTES + CHUNK_BYTES
    rig.advance(5.2)
    assert client.is_gone
    assert rig.context.log.slow_consumers == 1
    assert len(_events(bystander)) == number + 1


async def test_slow_client_that_reads_on_sees_why_it_was_closed(rig: Rig) -> None:
    client = _subscribed(rig)
    client.transport.stop_reading()
    number = 0
    while client.endpoint.is_open:
        number += 1
        await _publish(rig, number, size=4096)
    client.transport.start_reading()
    rig.turn()
    assert client.close_code == 4008
    assert _events(client) == list(range(1, len(_events(client)) + 1))


async def test_positions_of_a_slow_client_are_conflated(rig: Rig) -> None:
    client = _subscribed(rig, "flight.positions")
    client.transport.stop_reading()
    rows = 200
    for number in range(300):
        positions = [{"flight_uid": uid, "latitude": number, "note": "x" * 100} for uid in range(rows)]
        await rig.broker.publish(
            [NewEvent(type="flight.positions", data={"count": rows, "positions": positions, "number": number})]
        )
        rig.turn()
    assert client.endpoint.is_open
    client.transport.start_reading()
    rig.turn()
    assert _events(client)[-1] == 299
    assert len(_events(client)) < 50


async def test_ping_flood_of_a_client_that_never_reads_is_bounded(rig: Rig) -> None:
    client = rig.admitted("sys")
    client.transport.stop_reading()
    flood = client_frame(b"x" * 125, Opcode.PING)
    flood *= CHUNK_BYTES // len(flood)
    sent = 0
    while client.transport.reads:
        client.send(flood)
        sent += 1
        assert sent < 3
    assert client.transport.get_write_buffer_size() < HIGH_BYTES + CHUNK_BYTES
    rig.advance(100)
    assert client.is_gone


async def test_question_flood_of_a_client_that_never_reads_is_bounded() -> None:
    rig = await Rig(max_buffer_bytes=200_000).open()
    client = rig.local_client()
    client.transport.stop_reading()
    while client.transport.reads and client.endpoint.is_open:
        client.send(message("status") * 100)
    assert client.endpoint.connection is not None
    assert client.endpoint.connection.buffered_bytes < 300_000
    await rig.close()


async def test_lagging_client_that_half_closes_is_let_go(rig: Rig) -> None:
    client, bystander = _subscribed(rig), _subscribed(rig)
    client.transport.stop_reading()
    for number in range(30):
        await _publish(rig, number, size=4096)
    client.transport.lose(BrokenPipeError())
    await _publish(rig, 30)
    assert client.is_gone
    assert _events(bystander)[-1] == 30


async def test_lagging_client_that_changes_its_subscription_over_the_limit_is_closed_cleanly() -> None:
    """What was read of it before it lagged is still answered; the answer may be the one too many."""
    rig = await Rig(max_buffer_bytes=100_000).open()
    client = _subscribed(rig)
    client.transport.stop_reading()
    while not client.endpoint.connection.is_lagging:  # type: ignore[union-attr]  # an admitted client has a connection
        await _publish(rig, 1, size=4096)
    await rig.broker.publish([NewEvent(type="flight.created", data={"pad": "x" * 60_000}) for _ in range(2)])
    client.transport.reads = True
    client.transport.feed(message("unsubscribe") + message("subscribe", channels=["tmi.*"]))
    rig.turn()
    assert not client.endpoint.is_open
    await rig.close()


async def test_pause_and_resume_during_the_close_wake_nothing(rig: Rig) -> None:
    client = _subscribed(rig)
    client.transport.stop_reading()
    for number in range(30):
        await _publish(rig, number, size=4096)
    client.endpoint.abort()
    client.endpoint.resume_writing()
    client.endpoint.pause_writing()
    rig.turn()
    assert client.is_gone


def test_request_and_answers_are_json_objects_of_one_text_frame_each(rig: Rig) -> None:
    client = rig.admitted().send(message("status"), message("ping"))
    assert all(opcode is Opcode.TEXT and isinstance(json.loads(payload), dict) for opcode, payload in client.frames)
