"""Ids of another epoch can't be compared: a client that resumes with one is told of a gap."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.streaming_rig import FakeClientTransport, StreamingRig, flight
from swim_server.protocol.codes import BadMessage
from swim_server.state.world import World


async def resumed(rig: StreamingRig, **fields: Any) -> FakeClientTransport:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], **fields)
    await rig.settle()
    return client


async def test_greeting_and_answer_name_the_epoch() -> None:
    rig = StreamingRig()
    client = await resumed(rig)
    assert json.loads(rig.conversation.greeting(rig.connection(client)))["data"]["epoch"] == "rig"
    assert client.messages[0]["epoch"] == "rig"
    rig.broker.epoch = ""  # history could not be opened yet
    assert json.loads(rig.conversation.greeting(rig.connection(client)))["data"]["epoch"] is None
    await rig.close()


async def test_id_of_this_epoch_or_of_one_that_is_not_told_resumes() -> None:
    rig = StreamingRig()
    first, second = rig.publish(flight("DAL1"), flight("DAL2"))
    for fields in ({"epoch": "rig"}, {}, {"epoch": None}):
        client = await resumed(rig, after=str(first.id), **fields)
        assert (client.messages[0]["resumed"], client.messages[0]["gap"]) == (True, False)
        assert client.ids == [str(second.id)]
    await rig.close()


async def test_id_of_another_epoch_is_a_gap_and_what_came_since_by_the_clock_follows() -> None:
    rig = StreamingRig()
    first, second = rig.publish(flight("DAL1"), flight("DAL2"))
    client = await resumed(rig, after=str(first.id), epoch="other")
    assert client.messages[0]["gap"] is True
    assert client.types[:2] == ["subscribed", "HISTORY_UNAVAILABLE"]
    assert "another history" in client.messages[1]["message"]
    assert client.ids == [str(second.id)]
    await rig.close()


async def test_state_on_gap_comes_where_the_epoch_is_another() -> None:
    rig = StreamingRig()
    rig.hub.state.begin(World())
    first, _ = rig.publish(flight("DAL1"), flight("DAL2"))
    same = await resumed(rig, after=str(first.id), epoch="rig", state="on_gap")
    assert "state" not in same.types
    other = await resumed(rig, after=str(first.id), epoch="other", state="on_gap")
    (part,) = [message for message in other.messages if message["type"] == "state"]
    assert [entry["callsign"] for entry in part["data"]["flights"]] == ["DAL1", "DAL2"]
    await rig.close()


@pytest.mark.parametrize("epoch", [7, "", "x" * 129, ["rig"], True])
def test_epoch_that_can_not_be_one_is_refused(epoch: object) -> None:
    rig = StreamingRig()
    with pytest.raises(BadMessage, match="epoch"):
        rig.say(rig.connect(), "subscribe", channels=["flight.*"], after="1768573815123-0", epoch=epoch)
