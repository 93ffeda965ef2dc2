"""No client is sent a longer message than it accepts: neither the common limit nor its own is exceeded."""

from __future__ import annotations

import pytest
from support.gateway_rig import read_frames
from support.streaming_rig import StreamingRig, flight, positions, read_messages
from swim_server.protocol.codes import BadMessage
from swim_server.protocol.positions import MAX_MESSAGE_BYTES

LIMIT = 4096


def large(size: int = 8000) -> dict[str, str]:
    return {"remarks": "x" * size}


async def test_stored_event_that_is_longer_than_any_client_can_take_is_a_named_hole(rig: StreamingRig) -> None:
    first = rig.broker.store(flight())
    too_long = rig.broker.store(flight(**large(MAX_MESSAGE_BYTES)))
    last = rig.broker.store(flight())
    rig.hub.deliver(rig.broker.events)
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], after=str(first.id))
    await rig.settle()
    assert client.types == ["subscribed", "HISTORY_UNAVAILABLE", "flight.created"]
    hole = client.messages[1]["data"]
    assert (hole["id"], hole["type"], hole["size"]) == (str(too_long.id), "flight.created", len(too_long.wire))
    assert client.messages[2]["id"] == str(last.id)


@pytest.mark.parametrize("window_bits", [0, 12])
async def test_batch_of_positions_is_cut_for_who_can_take_less(rig: StreamingRig, window_bits: int) -> None:
    client, other = rig.connect(window_bits=window_bits), rig.connect()
    rig.say(client, "subscribe", channels=["flight.positions"], max_message_bytes=LIMIT)
    rig.say(other, "subscribe", channels=["flight.positions"])
    (event,) = rig.publish(positions(*(f"DAL{number}" for number in range(200)), route="KJFK KBOS"))
    rig.run()
    batches = [message for message in client.messages if message["type"] == "flight.positions"]
    assert len(batches) > 1
    assert {batch["id"] for batch in batches} == {str(event.id)}
    assert [batch["data"]["count"] for batch in batches] == [len(batch["data"]["positions"]) for batch in batches]
    flights = [row["callsign"] for batch in batches for row in batch["data"]["positions"]]
    assert flights == [f"DAL{number}" for number in range(200)]
    assert len(other.messages) == 2


async def test_every_message_to_such_a_client_is_short_enough(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], max_message_bytes=LIMIT)
    rig.publish(positions(*(f"DAL{number}" for number in range(280))), flight(**large()), flight())
    rig.run()
    sizes = [len(write) for write in client.writes]
    assert sum(sizes) > LIMIT
    assert max(len(payload) for _, payload in read_frames(b"".join(client.writes))) <= LIMIT


async def test_other_event_that_is_too_long_is_an_error_that_names_it(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], max_message_bytes=LIMIT)
    event, after = rig.publish(flight(**large()), flight())
    rig.run()
    assert client.types == ["subscribed", "EVENT_TOO_LARGE", "flight.created"]
    assert client.messages[1]["data"]["id"] == str(event.id)
    assert client.messages[2]["id"] == str(after.id)


async def test_limit_holds_for_history_too(rig: StreamingRig) -> None:
    events = [rig.broker.store(flight()), rig.broker.store(flight(**large()))]
    rig.hub.deliver(events)
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], after=str(events[0].id), max_message_bytes=LIMIT)
    await rig.settle()
    assert client.types == ["subscribed", "EVENT_TOO_LARGE"]


async def test_limit_holds_for_what_waited_and_was_conflated(rig: StreamingRig) -> None:
    client = rig.connect(capacity=100)
    rig.say(client, "subscribe", channels=["flight.positions"], max_message_bytes=LIMIT)
    rig.publish(positions(*(f"DAL{number}" for number in range(200)), route="KJFK KBOS"), positions("DAL1"))
    rig.run()
    client.read_on()
    rig.run()
    rows = [row["callsign"] for message in client.messages[1:] for row in message["data"]["positions"]]
    assert sorted(rows) == sorted(f"DAL{number}" for number in range(200))
    assert len(client.messages) > 3


async def test_limit_may_be_changed_by_a_later_subscribe(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"])
    rig.say(client, "subscribe", channels=["flight.*"], max_message_bytes=LIMIT)
    rig.publish(flight(**large()))
    rig.run()
    assert client.types[2:] == ["EVENT_TOO_LARGE"]
    assert len(rig.hub.groups) == 1


@pytest.mark.parametrize("value", [4095, 0, -1, "4096", 5000.0, True, [], {}])
async def test_limit_that_is_none_is_refused_as_a_whole(rig: StreamingRig, value: object) -> None:
    client = rig.connect()
    with pytest.raises(BadMessage, match=r"max_message_bytes: must be a whole number of 4,096 or more"):
        rig.say(client, "subscribe", channels=["flight.*"], max_message_bytes=value)
    assert not rig.hub.groups


async def test_more_than_anybody_is_sent_may_be_asked_for(rig: StreamingRig) -> None:
    client, other = rig.connect(), rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], max_message_bytes=10_000_000)
    rig.say(other, "subscribe", channels=["flight.*"])
    assert len(rig.hub.groups) == 1
    assert read_messages(client.writes[0])[0]["type"] == "subscribed"
