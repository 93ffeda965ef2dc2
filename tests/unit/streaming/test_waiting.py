"""A client's requests wait while history is read; with too many of them, reading from the client stops."""

from __future__ import annotations

import json

from support.streaming_rig import FakeClientTransport, StreamingRig, flight
from swim_server.streaming.conversation import MAX_WAITING_BYTES


def explaining(rig: StreamingRig) -> FakeClientTransport:
    """A client that has history looked into, which takes until the test lets it go on."""
    rig.publish(flight())
    rig.broker.is_gated = True
    client = rig.connect()
    rig.say(client, "explain", event="1768573815123-0")
    return client


def ask(rig: StreamingRig, client: FakeClientTransport, number: int) -> None:
    payload = json.dumps({"action": "ping", "pad": "x" * 30_000, "number": number})
    rig.conversation.receive(rig.connection(client), payload.encode())


async def test_client_with_too_many_bytes_of_questions_is_not_read_until_they_are_answered(rig: StreamingRig) -> None:
    client = explaining(rig)
    ask(rig, client, 0)
    ask(rig, client, 1)
    assert client.is_read
    ask(rig, client, 2)
    assert not client.is_read
    await rig.settle()
    rig.broker.open_gate()
    await rig.settle()
    assert client.types == ["explained", "pong", "pong", "pong"]
    assert client.is_read


async def test_questions_wait_as_they_came_which_is_smallest(rig: StreamingRig) -> None:
    client = explaining(rig)
    ask(rig, client, 0)
    waiting = rig.connection(client).waiting
    assert waiting is not None
    assert [type(each) for each in waiting] == [bytes]
    assert waiting.size_bytes < MAX_WAITING_BYTES
    rig.broker.open_gate()


async def test_client_whose_next_question_looks_into_history_too_stays_unread(rig: StreamingRig) -> None:
    client = explaining(rig)
    await rig.settle()
    rig.say(client, "explain", event="1768573815123-0", pad="x" * 30_000)
    for number in range(3):
        ask(rig, client, number)
    assert not client.is_read
    rig.broker.open_gate()
    await rig.settle()
    assert client.types == ["explained"]
    assert not client.is_read
    rig.broker.open_gate()
    await rig.settle()
    assert client.types == ["explained", "explained", "pong", "pong", "pong"]
    assert client.is_read


async def test_client_that_goes_meanwhile_leaves_nothing(rig: StreamingRig) -> None:
    client = explaining(rig)
    for number in range(3):
        ask(rig, client, number)
    await rig.settle()
    rig.hub.remove(rig.connection(client))
    rig.broker.open_gate()
    await rig.settle()
    assert client.types == []
    assert rig.connection(client).waiting is None
