"""One client's outgoing side: counting, waiting, conflating, and giving up."""

from __future__ import annotations

import asyncio

from support.streaming_rig import StreamingRig, flight, positions
from swim_server.protocol.codes import CloseCode

PONG = b'{"type":"pong"}'


def test_messages_sent_counts_events_answers_and_heartbeats(rig: StreamingRig) -> None:
    client = rig.connect()
    connection = rig.connection(client)
    connection.answer(PONG)
    rig.join(client, "flight.*")
    rig.publish(flight(), flight())
    rig.run()
    rig.join(client, "tmi.*")
    rig.publish(flight(), flight(type="tmi.issued"))
    rig.run()
    connection.send_frame(b"\x81\x02{}")
    assert connection.messages_sent == 5


def test_messages_sent_leaves_out_what_waits(rig: StreamingRig) -> None:
    client = rig.connect(capacity=0)
    connection = rig.connection(client)
    rig.join(client, "flight.*")
    for _ in range(4):
        rig.publish(flight())
        rig.run()
    connection.answer(PONG)
    assert connection.messages_sent == len(client.messages) == 1
    client.read_on()
    assert connection.messages_sent == len(client.messages) == 5


def test_messages_sent_leaves_out_what_was_conflated_away(rig: StreamingRig) -> None:
    client = rig.connect(capacity=0)
    rig.join(client, "flight.*")
    for _ in range(6):
        rig.publish(positions("DAL1"))
        rig.run()
    client.read_on()
    assert rig.connection(client).messages_sent == len(client.messages) == 2


def test_messages_sent_stays_when_the_client_is_gone(rig: StreamingRig) -> None:
    client = rig.connect(capacity=0)
    rig.join(client, "flight.*")
    for _ in range(3):
        rig.publish(flight())
        rig.run()
    rig.hub.remove(rig.connection(client))
    assert rig.connection(client).messages_sent == 1


def test_client_that_reads_on_gets_what_waited_in_few_writes(rig: StreamingRig) -> None:
    client = rig.connect(capacity=0)
    rig.join(client, "flight.*")
    events = []
    for _ in range(100):
        events += rig.publish(flight())
        rig.run()
    assert len(client.writes) == 1
    client.read_on()
    assert len(client.writes) == 2
    assert client.ids == [str(event.id) for event in events]
    assert not rig.connection(client).is_lagging


def test_client_that_reads_a_little_gets_the_rest_later_in_order(rig: StreamingRig) -> None:
    client = rig.connect(capacity=0)
    rig.join(client, "flight.*")
    events = []
    for _ in range(30):
        events += rig.publish(flight(route="X" * 10_000))
        rig.run()
    client.read_on(capacity=0)
    assert rig.connection(client).is_lagging
    events += rig.publish(flight())
    rig.run()
    while rig.connection(client).is_lagging:
        client.read_on(capacity=0)
    assert client.ids == [str(event.id) for event in events]


def test_client_past_its_limit_is_closed_with_4008(rig: StreamingRig) -> None:
    client = rig.connect(capacity=0, limit_bytes=2000)
    rig.join(client, "flight.*")
    while client.closed is None:
        rig.publish(flight())
        rig.run()
    assert client.closed[0] is CloseCode.SLOW_CONSUMER
    assert rig.connection(client).id not in rig.hub.connections
    assert rig.connection(client).buffered_bytes <= client.buffered


def test_limit_is_kept_to_the_byte(rig: StreamingRig) -> None:
    client = rig.connect(capacity=0)
    connection = rig.connection(client)
    connection.answer(PONG)
    connection.limit_bytes = 3 * (len(PONG) + 2)
    for _ in range(3):
        connection.answer(PONG)
    assert client.closed is None
    connection.answer(PONG)
    assert client.closed is not None


def test_answer_that_passes_the_limit_closes_and_is_not_written(rig: StreamingRig) -> None:
    client = rig.connect(capacity=0, limit_bytes=100)
    rig.join(client, "flight.*")
    rig.publish(flight())
    rig.run()
    rig.publish(flight(), flight())
    rig.connection(client).answer(PONG)
    assert client.closed is not None
    assert "pong" not in client.types


def test_leaving_a_group_that_passes_the_limit_closes(rig: StreamingRig) -> None:
    client = rig.connect(capacity=0, limit_bytes=100)
    rig.join(client, "flight.*")
    rig.publish(flight())
    rig.run()
    rig.publish(flight(), flight())
    rig.join(client, "tmi.*")
    assert client.closed is not None
    assert not rig.hub.groups


def test_lagging_client_gets_the_newest_position_of_each_flight(rig: StreamingRig) -> None:
    client = rig.connect(capacity=0)
    rig.join(client, "flight.*")
    rig.publish(flight())
    rig.run()
    for latitude in range(50):
        rig.publish(positions("DAL1", "DAL2", latitude=latitude), flight())
        rig.run()
    client.read_on()
    batches = [message["data"] for message in client.messages if message["type"] == "flight.positions"]
    assert batches == [{"count": 2, "positions": [{"callsign": f"DAL{n}", "latitude": 49} for n in (1, 2)]}]
    assert client.types.count("flight.created") == 51, "other events are never dropped"


def test_nothing_is_written_to_who_is_gone(rig: StreamingRig) -> None:
    client = rig.connect()
    connection = rig.connection(client)
    rig.hub.remove(connection)
    connection.pause()
    connection.answer(PONG)
    connection.send_events([])
    connection.resume()
    assert not client.writes
    assert connection.messages_sent == 0


async def test_drained_waits_until_the_client_keeps_up(rig: StreamingRig) -> None:
    client = rig.connect(capacity=0)
    connection = rig.connection(client)
    await connection.drained()
    connection.answer(PONG)
    waiters = [asyncio.ensure_future(connection.drained()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(waiter.done() for waiter in waiters)
    client.read_on()
    await asyncio.gather(*waiters)


async def test_drained_ends_when_the_client_goes(rig: StreamingRig) -> None:
    client = rig.connect(capacity=0)
    connection = rig.connection(client)
    connection.answer(PONG)
    waiter = asyncio.ensure_future(connection.drained())
    await asyncio.sleep(0)
    rig.hub.remove(connection)
    await waiter
