"""Catching up: history first, then live, whatever happens in between; nothing twice, nothing missing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.streaming_rig import FakeClientTransport, StreamingRig, flight, positions
from swim_server.protocol.codes import CloseCode
from swim_server.protocol.events import Event
from swim_server.streaming import catchup
from swim_server.streaming.catchup import STEP_INTO_LIVE_BYTES

DELTA = {"callsign_prefix": ["DAL"]}


def ids(events: list[Event]) -> list[str]:
    return [str(event.id) for event in events]


def old(rig: StreamingRig, count: int, **data: Any) -> list[Event]:
    """Events that only history holds."""
    return rig.publish(*(flight(**data) for _ in range(count)))


@pytest.fixture
async def short_memory() -> Any:
    """A hub that remembers no more than two events, and history in pages of three that come when the test lets them."""
    rig = StreamingRig(recent_events=2)
    rig.broker.max_page = 3
    rig.broker.is_gated = True
    yield rig
    await rig.close()
    assert not rig.failures


async def open_all(rig: StreamingRig) -> None:
    for _ in range(100):
        rig.broker.open_gate()
        await rig.settle()
        if not rig.broker.gates and not len(rig.tasks):
            return
    raise AssertionError("it never comes to rest")


async def resume(rig: StreamingRig, after: str = "0-0", channel: str = "flight.*", **more: Any) -> FakeClientTransport:
    """A client that has its answer and waits for the first page."""
    client = rig.connect()
    rig.say(client, "subscribe", channels=[channel], after=after, **more)
    await rig.settle()
    rig.broker.open_gate(-1)
    await rig.settle()
    assert client.types == ["subscribed"]
    return client


async def test_answer_then_history_then_live_in_one_order(short_memory: StreamingRig) -> None:
    rig = short_memory
    events = old(rig, 10)
    client = await resume(rig)
    events += rig.publish(flight())
    await open_all(rig)
    events += rig.publish(flight())
    rig.run()
    assert client.types[0] == "subscribed"
    assert client.ids == ids(events)


async def test_history_in_memory_needs_no_broker(rig: StreamingRig) -> None:
    events = old(rig, 10)
    client = rig.connect()
    reads = rig.broker.reads
    rig.say(client, "subscribe", channels=["flight.*"], after=str(events[3].id))
    await rig.settle()
    assert client.ids == ids(events[4:])
    assert rig.broker.reads == reads
    assert len(client.writes) == 2, "the answer, and everything else"


async def test_events_stored_but_not_delivered_are_left_to_the_live_stream(short_memory: StreamingRig) -> None:
    rig = short_memory
    events = old(rig, 5)
    stored = [rig.broker.store(flight()) for _ in range(3)]
    client = await resume(rig)
    await open_all(rig)
    assert client.ids == ids(events)
    rig.hub.deliver(stored)
    rig.run()
    assert client.ids == ids(events + stored)


async def test_history_passes_the_same_filters(short_memory: StreamingRig) -> None:
    rig = short_memory
    events = rig.publish(flight("DAL1"), flight("BAW1"), positions("DAL1", "BAW2"), flight("BAW3"), flight("DAL4"))
    client = await resume(rig, filters=DELTA)
    await open_all(rig)
    assert client.ids == [str(events[number].id) for number in (0, 2, 4)]
    assert client.messages[2]["data"]["count"] == 1


async def test_only_the_channels_asked_for_come_from_history(short_memory: StreamingRig) -> None:
    rig = short_memory
    client = rig.connect()
    rig.join(client, "tmi.*")
    mixed = rig.publish(*(flight(type=["flight.created", "tmi.issued"][number % 2]) for number in range(8)))
    rig.run()
    seen = client.ids
    rig.say(client, "subscribe", channels=["flight.*"], after="0-0")
    await open_all(rig)
    assert client.ids[len(seen) :] == [str(event.id) for event in mixed if event.type == "flight.created"]
    later = rig.publish(flight(type="tmi.issued"), flight())
    rig.run()
    assert client.ids[-2:] == ids(later)


async def test_changed_filters_hold_for_what_is_still_to_be_sent(short_memory: StreamingRig) -> None:
    rig = short_memory
    events = rig.publish(*(flight(["DAL1", "BAW1"][number % 2]) for number in range(12)))
    client = await resume(rig)
    rig.broker.open_gate()
    await rig.settle()
    seen = client.ids
    assert seen == ids(events[:3])
    rig.say(client, "subscribe", channels=["flight.*"], filters=DELTA)
    await open_all(rig)
    assert client.ids == seen + ids([event for event in events[3:] if event.data["callsign"] == "DAL1"])


async def test_types_asked_for_while_a_page_is_read_are_not_skipped_by_it(short_memory: StreamingRig) -> None:
    rig = short_memory
    mixed = rig.publish(*(flight(type=["flight.created", "tmi.issued"][number % 2]) for number in range(12)))
    client = await resume(rig, channel="flight.*")
    rig.say(client, "subscribe", channels=["tmi.*"], after="0-0")
    await rig.settle()
    rig.broker.open_gate(1)  # the second question first: the page that was being read knows nothing of it
    await rig.settle()
    assert client.types == ["subscribed", "subscribed"]
    await open_all(rig)
    assert sorted(client.ids) == ids(mixed)


async def test_types_asked_for_while_a_page_is_sent_are_not_skipped_by_it(short_memory: StreamingRig) -> None:
    rig = short_memory
    rig.broker.max_page = 100
    mixed = rig.publish(*(flight(type=["flight.created", "tmi.issued"][number % 2]) for number in range(12)))
    client = await resume(rig, channel="flight.*")
    rig.clock.step_seconds = 0.003  # each event takes a slice
    rig.say(client, "subscribe", channels=["tmi.*"], after="0-0")
    await asyncio.sleep(0)
    rig.broker.open_gate(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rig.broker.open_gate()
    await open_all(rig)
    assert sorted(client.ids) == ids(mixed)


async def test_unsubscribed_types_stop_at_once(short_memory: StreamingRig) -> None:
    rig = short_memory
    rig.publish(*(flight(type=["flight.created", "tmi.issued"][number % 2]) for number in range(12)))
    client = await resume(rig, channel="*")
    rig.say(client, "subscribe", channels=["tmi.*"])
    rig.say(client, "unsubscribe", channels=["*"])
    await open_all(rig)
    assert {message["type"] for message in client.messages if "id" in message} == {"tmi.issued"}


async def test_unsubscribing_from_all_ends_it(short_memory: StreamingRig) -> None:
    rig = short_memory
    old(rig, 10)
    client = await resume(rig)
    rig.say(client, "unsubscribe")
    await open_all(rig)
    rig.publish(flight())
    rig.run()
    assert client.types == ["subscribed", "unsubscribed"]
    assert rig.connection(client).catch_up is None


async def test_other_answers_come_in_between(short_memory: StreamingRig) -> None:
    rig = short_memory
    old(rig, 10)
    client = await resume(rig)
    rig.say(client, "ping")
    assert client.types == ["subscribed", "pong"]


async def test_resuming_again_from_earlier_sends_those_types_again_and_no_others(short_memory: StreamingRig) -> None:
    rig = short_memory
    mixed = rig.publish(*(flight(type=["flight.created", "tmi.issued"][number % 2]) for number in range(8)))
    client = await resume(rig, channel="*")
    rig.broker.open_gate()
    await rig.settle()
    assert client.ids == ids(mixed[:3])
    rig.say(client, "subscribe", channels=["tmi.*"], after="0-0")
    await rig.settle()
    rig.broker.open_gate(1)
    await open_all(rig)
    assert sorted(client.ids) == sorted(ids(mixed) + ids([mixed[1]]))


async def test_client_that_goes_ends_it(short_memory: StreamingRig) -> None:
    rig = short_memory
    old(rig, 10)
    client = await resume(rig)
    rig.hub.remove(rig.connection(client))
    await open_all(rig)
    assert client.types == ["subscribed"]
    assert not len(rig.tasks)


async def test_slow_client_is_waited_for_without_holding_a_page_or_a_turn(short_memory: StreamingRig) -> None:
    rig = short_memory
    rig.broker.max_page = 500
    events = old(rig, 40, route="X" * 10_000)
    slow = [await resume(rig) for _ in range(4)]
    for client in slow:
        client.capacity = 0
    for _ in slow:
        rig.broker.open_gate()
        await rig.settle()
    assert all(rig.connection(client).is_lagging for client in slow)
    assert all(rig.connection(client).buffered_bytes < 2 * catchup.WRITE_BYTES for client in slow)
    quick = await resume(rig)
    for _ in range(20):
        rig.broker.open_gate()
        await rig.settle()
    assert quick.ids == ids(events), "who reads quickly isn't held up by who doesn't"
    for client in slow:
        while rig.connection(client).catch_up is not None:
            client.read_on(capacity=0)
            rig.broker.open_gate()
            await rig.settle()
        client.read_on()
        rig.run()
        assert client.ids == ids(events)


async def test_client_that_lags_when_history_ends_steps_into_live_only_when_it_keeps_up(rig: StreamingRig) -> None:
    events = old(rig, 20, route="X" * 10_000)
    client = rig.connect(capacity=0, limit_bytes=100_000)
    rig.connection(client).answer(b"{}")
    rig.say(client, "subscribe", channels=["flight.*"], after="0-0")
    await rig.settle()
    assert client.closed is None
    client.read_on()
    await rig.settle()
    assert [message["id"] for message in client.messages if "id" in message] == ids(events)


async def test_long_rest_is_sent_in_pages_before_the_last_step(rig: StreamingRig) -> None:
    events = old(rig, 60, route="X" * 10_000)
    assert sum(len(event.wire) for event in events) > STEP_INTO_LIVE_BYTES
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], after="0-0")
    await rig.settle()
    assert client.ids == ids(events)
    assert all(len(data) <= STEP_INTO_LIVE_BYTES + 1000 for data in client.writes)


async def test_history_that_fails_closes_the_client_so_that_it_resumes(short_memory: StreamingRig) -> None:
    rig = short_memory
    old(rig, 10)
    client = await resume(rig)
    rig.broker.fail_next = True
    rig.broker.open_gate()
    await rig.settle()
    assert client.closed is not None
    assert client.closed[0] is CloseCode.SLOW_CONSUMER


async def test_history_removed_while_it_is_sent_is_told(short_memory: StreamingRig) -> None:
    rig = short_memory
    events = old(rig, 10)
    client = await resume(rig)
    rig.broker.open_gate()
    await rig.settle()
    rig.broker.remove(events[4])
    await open_all(rig)
    assert client.types.count("HISTORY_UNAVAILABLE") == 1
    assert client.ids == ids(events[:4] + events[5:])


async def test_gap_that_was_told_is_not_told_again(short_memory: StreamingRig) -> None:
    rig = short_memory
    events = old(rig, 10)
    rig.broker.remove(events[1])
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], after=str(events[0].id))
    await open_all(rig)
    assert client.messages[0]["gap"] is True
    assert client.types.count("HISTORY_UNAVAILABLE") == 1
    assert client.ids == ids(events[2:])


async def test_gap_in_a_type_that_was_live_already_is_none(short_memory: StreamingRig) -> None:
    rig = short_memory
    client = rig.connect()
    rig.join(client, "tmi.*")
    events = rig.publish(*(flight(type=["flight.created", "tmi.issued"][number % 2]) for number in range(8)))
    rig.run()
    rig.broker.remove(events[5])
    rig.say(client, "subscribe", channels=["flight.*"], after="0-0")
    await open_all(rig)
    assert "HISTORY_UNAVAILABLE" not in client.types


async def test_hundred_resume_at_once_with_two_pages_in_memory_at_most(short_memory: StreamingRig) -> None:
    rig = short_memory
    events = old(rig, 10)
    clients = [rig.connect() for _ in range(100)]
    for client in clients:
        rig.say(client, "subscribe", channels=["flight.*"], after=str(events[0].id))
    await rig.settle()
    for _ in clients:
        rig.broker.open_gate()
    await rig.settle()
    assert len(rig.broker.gates) == 2, "the others wait for their turn"
    for _ in range(1000):
        rig.broker.open_gate()
        await asyncio.sleep(0)
        assert len(rig.broker.gates) <= 2
    await open_all(rig)
    assert all(client.ids == ids(events[1:]) for client in clients)


async def test_sending_a_page_gives_everybody_else_a_turn(short_memory: StreamingRig) -> None:
    rig = short_memory
    rig.broker.max_page = 500
    old(rig, 50)
    client = await resume(rig)
    live = rig.connect()
    rig.join(live, "tmi.*")
    rig.clock.step_seconds = 0.001
    rig.broker.open_gate()
    turns = 0
    while len(client.ids) < 50:
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
