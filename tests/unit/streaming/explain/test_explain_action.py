"""The ``explain`` action: what a client learns about its own connection."""

from __future__ import annotations

from typing import Any

import pytest
from support.streaming_rig import FIRST_MS, FakeClientTransport, StreamingRig, flight
from support.virtual_clock import clock_at
from swim_server.protocol.codes import BadMessage, ErrorCode
from swim_server.streaming.explain.session_log import SessionLog


@pytest.fixture
def rig() -> StreamingRig:
    return StreamingRig(session_log=SessionLog(clock_at(FIRST_MS)))


def answer(client: FakeClientTransport) -> Any:
    message = client.messages[-1]
    assert message["type"] == "explained"
    return message["data"]


def test_made_up_event_is_judged_by_the_subscription(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], filters={"airports": ["KJFK"]})
    rig.say(client, "explain", event={"type": "flight.departed", "data": {"dep": "EGLL"}})
    told = answer(client)
    assert (told["event"], told["event_type"], told["outcome"]) == (None, "flight.departed", "filtered")
    assert told["why"] == "filter airports stopped it: wanted KJFK, the event has EGLL"
    assert told["clauses"] == [
        {
            "kind": "airports",
            "wanted": ["KJFK"],
            "found": ["EGLL"],
            "passes": False,
            "applies": True,
            "remaining": None,
            "matched": [],
        }
    ]


async def test_stored_event_is_judged_by_what_was_sent(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"])
    (event,) = rig.publish(flight())
    rig.say(client, "explain", event=str(event.id))
    await rig.settle()
    assert (answer(client)["event"], answer(client)["outcome"]) == (str(event.id), "sent")


async def test_answers_keep_the_order_of_the_questions(rig: StreamingRig) -> None:
    client = rig.connect()
    (event,) = rig.publish(flight())
    rig.broker.is_gated = True
    for _ in range(3):
        rig.say(client, "explain", event=str(event.id))
    rig.say(client, "ping")
    await rig.settle()
    assert (client.types, len(rig.broker.gates)) == ([], 1), "one look into history at a time"
    for _ in range(3):
        rig.broker.open_gate()
        await rig.settle()
    assert client.types == ["explained", "explained", "explained", "pong"]


async def test_event_that_is_not_stored_is_unknown(rig: StreamingRig) -> None:
    client = rig.connect()
    for event_id in ("0-0", "1768573815123-9"):
        rig.say(client, "explain", event=event_id)
        await rig.settle()
        assert (answer(client)["outcome"], answer(client)["event_type"]) == ("unknown", None)


async def test_history_that_is_away_is_no_error_of_the_client(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.broker.fail_next = True
    rig.say(client, "explain", event="1768573815123-9")
    await rig.settle()
    assert answer(client)["why"] == "history can't be read at the moment"


@pytest.mark.parametrize(
    "event",
    [None, 7, [], "", "abc", {}, {"type": 5}, {"type": " "}, {"type": "flight.departed", "data": []}],
    ids=repr,
)
def test_nothing_to_explain_is_refused(rig: StreamingRig, event: Any) -> None:
    with pytest.raises(BadMessage) as refused:
        rig.say(rig.connect(), "explain", event=event)
    assert refused.value.code is ErrorCode.INVALID_EXPLAIN


def test_unknown_type_is_refused_with_the_nearest(rig: StreamingRig) -> None:
    with pytest.raises(BadMessage) as refused:
        rig.say(rig.connect(), "explain", event={"type": "flight.departd"})
    assert (refused.value.code, refused.value.data["nearest"]) == (ErrorCode.INVALID_CHANNEL, "flight.departed")
