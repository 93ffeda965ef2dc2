"""What clients ask and are answered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.streaming_rig import FIRST_MS, FakeClientTransport, StreamingRig, flight
from swim_server.keys.format import Tier
from swim_server.keys.records import KeyRecord
from swim_server.protocol.codes import BadMessage, ErrorCode
from swim_server.streaming.conversation import MAX_WAITING


def with_key(rig: StreamingRig, tier: Tier, *, can_write: bool | None = None) -> FakeClientTransport:
    client = rig.connect(tier=str(tier))
    connection = rig.connection(client)
    rig.hub.remove(connection)
    connection.is_gone = False
    connection.key = KeyRecord(id=1, hint="swim_…", tier=tier, owner_name="me", can_write=can_write)
    rig.hub.add(connection)
    return client


def last(client: FakeClientTransport) -> dict[str, Any]:
    return client.messages[-1]


def test_greeting_tells_where_the_stream_stands(rig: StreamingRig) -> None:
    client = rig.connect()
    events = rig.publish(flight())
    greeting = json.loads(rig.conversation.greeting(rig.connection(client)))
    assert greeting["type"] == "connected"
    assert greeting["data"] == {
        "client_id": "client_0000000000000001",
        "server_time": "2026-01-16T14:30:15.123Z",
        "version": "1.0.0",
        "tier": "developer",
        "heartbeat_interval": 30,
        "resume": True,
        "last_event_id": str(events[0].id),
        "epoch": "rig",
    }


def test_greeting_before_any_event_names_a_place_to_resume_from(rig: StreamingRig) -> None:
    greeting = json.loads(rig.conversation.greeting(rig.connection(rig.connect())))
    assert greeting["data"]["last_event_id"] == "0-0"


def test_heartbeat_carries_the_last_event(rig: StreamingRig) -> None:
    events = rig.publish(flight())
    heartbeat = json.loads(rig.conversation.heartbeat(connected_clients=3, uptime_seconds=7.9, sources={"feed": 1.5}))
    assert heartbeat["data"] == {
        "connected_clients": 3,
        "uptime_seconds": 7,
        "last_event_id": str(events[0].id),
        "sources": {"feed": 1.5},
    }


def test_subscribe_is_answered_with_what_holds_now(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.departed"], filters={"airports": ["kjfk"]})
    rig.say(client, "subscribe", channels=["tmi.*"], filters={"artccs": ["ZNY"]})
    assert last(client) == {
        "type": "subscribed",
        "channels": ["tmi.*"],
        "filters": {"airports": ["KJFK"], "artccs": ["ZNY"]},
        "last_event_id": "0-0",
        "resumed": False,
        "gap": False,
        "epoch": "rig",
        "hints": [],
    }
    assert rig.connection(client).subscription.channels == {"flight.departed", "tmi.*"}


def test_invalid_channel_leaves_everything_as_it_was(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"])
    before = rig.connection(client).subscription
    with pytest.raises(BadMessage) as refused:
        rig.say(client, "subscribe", channels=["tmi.*", "flight.departd"], filters={"airports": ["KJFK"]})
    assert refused.value.code is ErrorCode.INVALID_CHANNEL
    assert rig.connection(client).subscription == before


def test_invalid_filter_leaves_everything_as_it_was(rig: StreamingRig) -> None:
    client = rig.connect()
    with pytest.raises(BadMessage) as refused:
        rig.say(client, "subscribe", channels=["tmi.*"], filters={"airports": "KJFK"}, after="0-0")
    assert refused.value.code is ErrorCode.INVALID_FILTER
    assert not rig.connection(client).subscription.channels
    assert not rig.hub.groups


def test_unsubscribing_some_channels_keeps_the_others(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*", "tmi.*"], filters={"airports": ["KJFK"]})
    rig.say(client, "unsubscribe", channels=["tmi.*"])
    assert last(client) == {"type": "unsubscribed", "channels": ["tmi.*"]}
    assert rig.connection(client).subscription.to_wire() == {
        "channels": ["flight.*"],
        "filters": {"airports": ["KJFK"]},
    }


def test_unsubscribing_without_channels_takes_all_and_the_filters(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], filters={"airports": ["KJFK"]})
    rig.say(client, "unsubscribe")
    assert last(client) == {"type": "unsubscribed", "channels": ["all"]}
    rig.say(client, "status")
    assert last(client)["data"]["subscriptions"] is None


def test_ping_is_answered_with_the_time(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "ping")
    assert last(client) == {"type": "pong", "timestamp": "2026-01-16T14:30:15.123Z"}


def test_status_tells_what_is_known_of_the_connection(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], filters={"airports": ["KJFK"]})
    rig.say(client, "status")
    data = last(client)["data"]
    assert data["client_id"] == "client_0000000000000001"
    assert data["connected_at"] == "2026-01-16T14:30:15.123Z"
    assert data["subscriptions"] == {"channels": ["flight.*"], "filters": {"airports": ["KJFK"]}}
    assert data["messages_sent"] == 1


# History.


async def test_after_the_newest_event_resumes_with_nothing_missing(rig: StreamingRig) -> None:
    client = rig.connect()
    events = rig.publish(flight(), flight())
    rig.say(client, "subscribe", channels=["flight.*"], after=str(events[1].id))
    await rig.settle()
    assert client.types == ["subscribed"]
    assert (last(client)["resumed"], last(client)["gap"]) == (True, False)


async def test_after_an_event_that_is_not_known_goes_live_and_says_so(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.publish(flight())
    rig.say(client, "subscribe", channels=["flight.*"], after=f"{FIRST_MS + 99_999}-0")
    await rig.settle()
    rig.publish(flight())
    rig.run()
    assert client.types == ["subscribed", "HISTORY_UNAVAILABLE", "flight.created"]
    assert (client.messages[0]["resumed"], client.messages[0]["gap"]) == (False, True)


async def test_after_an_event_that_waits_to_be_matched_is_known(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.clock.step_seconds = 0.003
    events = rig.publish(flight(), flight(), flight())
    assert rig.hub.delivered_id < events[2].id
    rig.say(client, "subscribe", channels=["flight.*"], after=str(events[1].id))
    await rig.settle()
    assert (client.messages[0]["resumed"], client.messages[0]["gap"]) == (True, False)
    assert client.ids == [str(events[2].id)]


async def test_after_where_history_no_longer_reaches_sends_what_there_is_and_says_so(rig: StreamingRig) -> None:
    rig.publish(flight(), flight(), flight())
    events = rig.broker.events[:]
    rig.broker.remove(events[1])
    rig.hub.recent = type(rig.hub.recent)(events[2].id)
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], after=str(events[0].id))
    await rig.settle()
    assert client.types == ["subscribed", "HISTORY_UNAVAILABLE", "flight.created"]
    assert (client.messages[0]["resumed"], client.messages[0]["gap"]) == (True, True)


async def test_history_that_cannot_be_read_goes_live_with_a_gap(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.publish(flight())
    rig.broker.fail_next = True
    rig.say(client, "subscribe", channels=["flight.*"], after="0-0")
    await rig.settle()
    events = rig.publish(flight())
    rig.run()
    assert client.types == ["subscribed", "HISTORY_UNAVAILABLE", "flight.created"]
    assert client.ids == [str(events[0].id)]
    assert client.messages[0]["gap"] is True


async def test_since_sends_events_from_that_moment_on(rig: StreamingRig) -> None:
    events = rig.publish(*(flight() for _ in range(5)))  # one a second
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], since="2026-01-16T14:30:17.123Z")
    await rig.settle()
    assert client.ids == [str(event.id) for event in events[2:]]
    assert client.messages[0]["resumed"] is True


async def test_since_the_future_is_the_live_stream(rig: StreamingRig) -> None:
    rig.publish(flight())
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], since="2126-01-16T14:30:17.123Z")
    await rig.settle()
    events = rig.publish(flight())
    rig.run()
    assert client.ids == [str(events[0].id)]
    assert client.messages[0]["gap"] is False


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1), (3, 3), (4, 4), (100, 4)])
async def test_last_sends_so_many_that_pass_the_filters(rig: StreamingRig, count: int, expected: int) -> None:
    events = rig.publish(*(flight(["DAL1", "BAW1"][number % 2]) for number in range(8)))
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], filters={"callsign_prefix": ["DAL"]}, last=count)
    await rig.settle()
    delta = [str(event.id) for event in events if event.data["callsign"] == "DAL1"]
    assert client.ids == delta[len(delta) - expected :]


async def test_last_looks_back_through_pages_of_events_that_do_not_pass(rig: StreamingRig) -> None:
    wanted = rig.publish(flight("DAL1"))
    rig.publish(*(flight("BAW1") for _ in range(1000)))
    client = rig.connect()
    rig.clock.step_seconds = 0.0005
    rig.say(client, "subscribe", channels=["flight.*"], filters={"callsign_prefix": ["DAL"]}, last=1)
    for _ in range(20):
        await rig.settle()
    assert client.ids == [str(wanted[0].id)]


async def test_last_with_no_history_is_the_live_stream(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], last=5)
    await rig.settle()
    events = rig.publish(flight())
    rig.run()
    assert client.ids == [str(event.id) for event in events]


async def test_last_leaves_stored_but_undelivered_events_to_the_live_stream(rig: StreamingRig) -> None:
    rig.publish(flight())
    stored = [rig.broker.store(flight()) for _ in range(3)]
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], last=2)
    await rig.settle()
    assert client.messages[0]["resumed"] is True
    rig.hub.deliver(stored)
    rig.run()
    assert client.ids == [str(event.id) for event in stored]


# Order of questions and answers.


async def test_answers_keep_the_order_of_the_questions_while_a_place_is_found(rig: StreamingRig) -> None:
    rig.broker.is_gated = True
    client = rig.connect()
    rig.publish(flight())
    rig.say(client, "subscribe", channels=["tmi.*"], after="0-0")
    rig.say(client, "ping")
    rig.say(client, "unsubscribe", channels=["tmi.*"])
    rig.say(client, "status")
    await rig.settle()
    assert not client.types
    rig.broker.open_gate()
    await rig.settle()
    assert client.types == ["subscribed", "pong", "unsubscribed", "status"]


async def test_question_that_waited_and_is_wrong_is_answered_with_its_error(rig: StreamingRig) -> None:
    rig.broker.is_gated = True
    client = rig.connect()
    rig.publish(flight())
    rig.say(client, "subscribe", channels=["tmi.*"], after="0-0")
    rig.say(client, "subscribe", channels=["nothing.like.it"])
    rig.say(client, "subscribe", channels=["flight.*"], after="0-0")
    rig.say(client, "ping")
    await rig.settle()
    rig.broker.open_gate()
    await rig.settle()
    assert client.types == ["subscribed", "INVALID_CHANNEL"]
    while rig.broker.gates:
        rig.broker.open_gate()
        await rig.settle()
    assert client.types == ["subscribed", "INVALID_CHANNEL", "subscribed", "pong", "flight.created"]


async def test_questions_that_wait_are_bounded(rig: StreamingRig) -> None:
    rig.broker.is_gated = True
    client = rig.connect()
    rig.publish(flight())
    rig.say(client, "subscribe", channels=["tmi.*"], after="0-0")
    for _ in range(MAX_WAITING):
        rig.say(client, "ping")
    with pytest.raises(BadMessage) as refused:
        rig.say(client, "ping")
    assert refused.value.code is ErrorCode.RATE_LIMITED


async def test_client_that_goes_while_its_place_is_found_is_answered_nothing(rig: StreamingRig) -> None:
    rig.broker.is_gated = True
    client = rig.connect()
    rig.publish(flight())
    rig.say(client, "subscribe", channels=["flight.*"], after="0-0")
    rig.say(client, "ping")
    await rig.settle()
    rig.hub.remove(rig.connection(client))
    rig.broker.open_gate()
    await rig.settle()
    assert not client.types
    assert not rig.hub.groups


# Publishing.


@pytest.mark.parametrize(
    ("tier", "can_write", "may"),
    [
        (Tier.SYSTEM, None, True),
        (Tier.SYSTEM, True, True),
        (Tier.SYSTEM, False, False),
        (Tier.PARTNER, None, False),
        (Tier.PARTNER, True, False),
    ],
)
async def test_only_system_keys_that_may_write_publish(
    rig: StreamingRig, tier: Tier, can_write: bool | None, may: bool
) -> None:
    client = with_key(rig, tier, can_write=can_write)
    if may:
        rig.say(client, "publish", channel="flight.created", data={"callsign": "DAL1"})
        await rig.settle()
        assert last(client)["type"] == "publish_ack"
        return
    with pytest.raises(BadMessage) as refused:
        rig.say(client, "publish", channel="flight.created", data={})
    assert refused.value.code is ErrorCode.FORBIDDEN
    assert not rig.broker.events


async def test_publish_is_acknowledged_with_the_stored_id(rig: StreamingRig) -> None:
    client = with_key(rig, Tier.SYSTEM)
    rig.say(client, "publish", channel="flight.created", data={}, event_id="mine")
    await rig.settle()
    assert last(client) == {
        "type": "publish_ack",
        "event_id": "mine",
        "accepted": 1,
        "duplicates": 0,
        "id": str(rig.broker.newest_id),
    }


@pytest.mark.parametrize("channel", ["flight.nothing", "flight.*", "*", "system.heartbeat"])
def test_publish_to_what_is_no_event_type_is_refused(rig: StreamingRig, channel: str) -> None:
    client = with_key(rig, Tier.SYSTEM)
    with pytest.raises(BadMessage) as refused:
        rig.say(client, "publish", channel=channel, data={})
    assert refused.value.code is ErrorCode.INVALID_PUBLISH


async def test_publish_that_cannot_be_stored_now_says_so(rig: StreamingRig) -> None:
    client = with_key(rig, Tier.SYSTEM)
    rig.broker.fail_next = True
    rig.say(client, "publish", channel="flight.created", data={}, event_id="mine")
    await rig.settle()
    assert last(client)["code"] == "STORAGE_UNAVAILABLE"
    assert last(client)["data"]["retry"] is True
    assert last(client)["data"]["event_id"] == "mine"


async def test_publish_that_can_never_be_stored_says_so(rig: StreamingRig) -> None:
    client = with_key(rig, Tier.SYSTEM)
    rig.broker.refuse_next = "it is no JSON"
    rig.say(client, "publish", channel="flight.created", data={}, event_id="mine")
    await rig.settle()
    assert last(client)["code"] == "INVALID_PUBLISH"
    assert "it is no JSON" in last(client)["message"]
    assert "retry" not in last(client)["data"]


async def test_acknowledgement_to_who_has_gone_is_dropped(rig: StreamingRig) -> None:
    client = with_key(rig, Tier.SYSTEM)
    rig.broker.is_gated = True
    rig.say(client, "publish", channel="flight.created", data={})
    await rig.settle()
    rig.hub.remove(rig.connection(client))
    rig.broker.open_gate()
    await rig.settle()
    assert not client.writes
    assert len(rig.broker.events) == 1, "stored nevertheless"
