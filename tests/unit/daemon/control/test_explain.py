"""What explain answers while clients come and go between its reads, and how long it keeps the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import pytest
from support.fake_service import key
from support.streaming_rig import FIRST_MS, FakeClientTransport, StreamingRig, flight
from support.virtual_clock import clock_at
from swim_server.config import Config, LoadedConfig
from swim_server.daemon.control.documents.explain import ChannelExplained, EventExplained
from swim_server.daemon.control.explain import Explainer
from swim_server.daemon.running_config import RunningConfig
from swim_server.protocol.codes import CloseCode
from swim_server.streaming.explain.session_log import SessionLog

if TYPE_CHECKING:
    from swim_server.keys.audit import AuditEntry
    from swim_server.keys.records import KeyRecord

KEY = key(7)


class RigParts:
    """What explain uses of a process."""

    def __init__(self, rig: StreamingRig) -> None:
        self.config = RunningConfig(LoadedConfig(Config(), {}, ()))
        self.catalogue, self.hub, self.broker = rig.catalogue, rig.hub, rig.broker


class RigExplainer(Explainer):
    async def _look_up(self, key_id: int) -> tuple[KeyRecord | None, Sequence[AuditEntry]]:
        return KEY, ()


@pytest.fixture
async def rig() -> AsyncIterator[StreamingRig]:
    rig = StreamingRig(session_log=SessionLog(clock_at(FIRST_MS)))
    yield rig
    await rig.close()


def leave(rig: StreamingRig, client: FakeClientTransport) -> None:
    """Let a client leave, and its session be packed."""
    client.close(CloseCode.NORMAL)
    session, session_log = rig.connection(client).session, rig.hub.session_log
    assert session is not None and session_log is not None
    session_log.archive(session)


@pytest.mark.parametrize("by", ["key_id", "connection"])
async def test_a_client_that_leaves_while_history_is_read_is_judged_by_what_it_had(rig: StreamingRig, by: str) -> None:
    client = rig.connect(key=KEY)
    rig.say(client, "subscribe", channels=["flight.*"])
    (event,) = rig.publish(flight())
    rig.run()
    rig.broker.is_gated = True
    consumer = {"key_id": 7, "connection": rig.connection(client).id}[by]
    asked = asyncio.create_task(RigExplainer(RigParts(rig)).explain({"about": str(event.id), by: consumer}))
    await rig.settle()
    leave(rig, client)
    rig.broker.open_gate()
    answer = await asked
    assert isinstance(answer, EventExplained)
    assert (answer.outcome, answer.consumers[0].channels) == ("sent", ["flight.*"])


async def test_counts_ahead_are_of_the_subscription_that_a_client_had_that_left(rig: StreamingRig) -> None:
    client = rig.connect(key=KEY)
    rig.say(client, "subscribe", channels=["flight.*"])

    class LeavingExplainer(RigExplainer):
        async def _look_up(self, key_id: int) -> tuple[KeyRecord | None, Sequence[AuditEntry]]:
            leave(rig, client)
            return await super()._look_up(key_id)

    answer = await LeavingExplainer(RigParts(rig)).explain({"about": "flight.*", "key_id": 7})
    assert isinstance(answer, ChannelExplained)
    assert [each.channels for each in answer.subscriptions] == [["flight.*"]]


async def test_a_key_of_many_past_clients_does_not_keep_the_loop(rig: StreamingRig) -> None:
    for _ in range(3000):
        client = rig.connect(key=KEY)
        rig.say(client, "subscribe", channels=["flight.*"])
        leave(rig, client)
    (event,) = rig.publish(flight())
    asked = asyncio.create_task(RigExplainer(RigParts(rig)).explain({"about": str(event.id), "key_id": 7}))
    turns = 0
    while not asked.done():
        await asyncio.sleep(0)
        turns += 1
    answer = await asked
    assert isinstance(answer, EventExplained)
    assert answer.connections_remembered == 3000
    assert turns > 8, "a few turns are those of reading; the others are the pauses"
