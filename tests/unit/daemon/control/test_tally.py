"""What the tally of connections counts."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.fake_service import key
from support.streaming_rig import StreamingRig
from swim_server.daemon.control.documents.diagnostics import Tally
from swim_server.daemon.control.tally import SUBSCRIBED_WITHIN_SECONDS, add_details
from swim_server.keys.records import KeyRecord
from swim_server.streaming.connection import Connection
from swim_server.streaming.subscription import Subscription


@pytest.fixture
async def streaming() -> AsyncIterator[StreamingRig]:
    rig = StreamingRig()
    yield rig
    await rig.close()


def connect(rig: StreamingRig, record: KeyRecord, *, seconds_ago: float, host: str | None = None) -> Connection:
    transport = rig.connect(tier=str(record.tier), key=record)
    transport.address = (host, 40_000) if host is not None else None
    connection = rig.connection(transport)
    connection.connected_at_ms = round((time.time() - seconds_ago) * 1000)
    return connection


async def test_clients_without_a_channel_are_counted_by_owner_once_they_have_had_time(streaming: StreamingRig) -> None:
    long_ago, just_now = SUBSCRIBED_WITHIN_SECONDS + 5, SUBSCRIBED_WITHIN_SECONDS / 2
    owners: Any = {name: key(number, owner_name=name) for number, name in enumerate(("vNAS", "ADL", "FSD"), 1)}
    clients = [
        connect(streaming, owners["vNAS"], seconds_ago=long_ago),
        connect(streaming, owners["vNAS"], seconds_ago=long_ago),
        connect(streaming, owners["ADL"], seconds_ago=just_now),
    ]
    subscriber = connect(streaming, owners["FSD"], seconds_ago=long_ago)
    streaming.hub.subscribe(subscriber, Subscription(frozenset({"flight.*"})))
    found = Tally(
        made=4, gone=0, public=4, closing=0, admitted={}, listed={}, is_handing_over=False, slow_consumers=0,
        evictions=[],
    )  # fmt: skip
    await add_details(found, [*clients, subscriber])
    assert found.without_channel == {"vNAS": 2}
    assert {each.owner: each.connections for each in found.keys} == {"vNAS": 2, "ADL": 1, "FSD": 1}


async def test_clients_are_counted_by_the_address_that_their_connections_come_from(streaming: StreamingRig) -> None:
    came = [("10.0.0.5", 10), ("10.0.0.5", 7200), ("10.0.0.5", 60), ("10.0.0.6", 5), (None, 5)]
    clients = [connect(streaming, key(1), seconds_ago=seconds, host=host) for host, seconds in came]
    found = Tally(
        made=5, gone=0, public=5, closing=0, admitted={}, listed={}, is_handing_over=False, slow_consumers=0,
        evictions=[],
    )  # fmt: skip
    await add_details(found, clients)
    assert [(each.address, each.connections) for each in found.peers] == [("10.0.0.5", 3), ("10.0.0.6", 1)]
    assert found.peers[0].oldest_seconds == pytest.approx(7200, abs=60)
