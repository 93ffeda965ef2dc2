"""What old connections deliver late, and a server that is replaced by another one, on real Redis servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.brokers import Listener, broker_settings, numbered, shared_server
from support.cuttable_line import CuttableLine
from support.redis_server import RedisServer, redis_server
from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.redis_stream.broker import RedisBroker
from swim_server.brokers.redis_stream.commits import encode_call
from swim_server.brokers.redis_stream.scripts import PUBLISH
from swim_server.brokers.redis_stream.server import ServerAddress

SECONDS = 30.0


class Brokers:
    """Brokers of nodes, closed at the end."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self.folder = folder
        self.prefix = prefix
        self.opened: list[RedisBroker] = []

    async def open(self, url: str, name: str) -> tuple[RedisBroker, Listener]:
        listener = Listener()
        broker = RedisBroker(
            self.folder / f"{name}.db", ServerAddress(url), prefix=self.prefix, node=name,
            **broker_settings({"boot_id": None, "tick_seconds": 0.25}),
        )  # fmt: skip
        await broker.open(listener)
        self.opened.append(broker)
        return broker, listener


@pytest.fixture
async def brokers(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Brokers]:
    found = Brokers(tmp_path, f"{id(request):x}")
    yield found
    await asyncio.gather(*(broker.close() for broker in found.opened))


@pytest.fixture
def pair() -> Iterator[tuple[RedisServer, RedisServer]]:
    """A server, and a replica of it."""
    with redis_server() as first, redis_server() as second:
        second.follow(first)
        yield first, second


async def comes(condition: Any) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


async def test_every_node_names_the_same_epoch_so_that_a_client_has_no_gap_when_it_changes_nodes(
    brokers: Brokers,
) -> None:
    one, _ = await brokers.open(shared_server().url, "one")
    two, _ = await brokers.open(shared_server().url, "two")
    assert one.epoch == two.epoch
    await one.close()
    again, _ = await brokers.open(shared_server().url, "one")
    assert again.epoch == two.epoch


async def test_a_commit_that_arrives_after_a_later_one_of_its_process_stores_nothing(brokers: Brokers) -> None:
    """As when a connection is given up during a partition, and its last bytes are delivered when that ends."""
    broker, listener = await brokers.open(shared_server().url, "one")
    await broker.publish(numbered(1))
    commits = broker._commits
    (call,) = (encode_call(numbered(2)),)
    keys, arguments = commits._words([call], None)  # type: ignore[list-item]  # it is sound
    late = keys, broker.tail.epoch, "", *arguments
    await broker.publish(numbered(3))
    commits._number += 1
    await broker.publish(numbered(4))
    session = await broker.server.open(broker.names.state)
    answer = await session.script(PUBLISH, late[0], *late[1:])
    await session.close()
    assert answer[0] == b"late"
    await comes(lambda: 4 in listener.numbers)
    assert listener.numbers == [1, 3, 4]


async def test_a_connection_that_falls_silent_is_given_up_and_the_event_is_stored_once(brokers: Brokers) -> None:
    async with CuttableLine(shared_server().port) as line:
        broker, listener = await brokers.open(f"redis://127.0.0.1:{line.port}", "one")
        await broker.publish(numbered(1))
        silence = asyncio.create_task(line.silence(6.0))
        await asyncio.sleep(0.05)
        await broker.publish(numbered(2))
        await silence
        await broker.publish(numbered(3))
        await comes(lambda: 3 in listener.numbers)
        assert listener.numbers == [1, 2, 3]
        assert broker.tail.trouble is None


async def test_a_server_that_becomes_a_replica_is_left_although_its_connections_still_work(
    brokers: Brokers, pair: tuple[RedisServer, RedisServer]
) -> None:
    first, second = pair
    async with CuttableLine(first.port) as line:
        broker, listener = await brokers.open(f"redis://127.0.0.1:{line.port}", "one")
        await broker.publish(numbered(1))
        second.caught_up(first)
        second.command("REPLICAOF", "NO", "ONE")
        first.command("REPLICAOF", "127.0.0.1", str(second.port))
        await comes(lambda: broker.tail.trouble is not None and "is a replica" in broker.tail.trouble)
        line.leads_to(second.port)  # the connections to the first server remain
        await comes(lambda: broker.tail.trouble is None)
        await broker.publish(numbered(2))
        await comes(lambda: 2 in listener.numbers)
        assert listener.numbers == [1, 2]


async def test_a_new_address_is_followed_by_the_reader_too_although_its_connection_still_works(
    brokers: Brokers, pair: tuple[RedisServer, RedisServer]
) -> None:
    """Publishing and reading on two servers is how others delivered nothing for ever while all looked well."""
    first, second = pair
    async with CuttableLine(first.port) as line:
        broker, listener = await brokers.open(f"redis://127.0.0.1:{line.port}", "one")
        await broker.publish(numbered(1))
        second.caught_up(first)
        second.command("REPLICAOF", "NO", "ONE")
        line.leads_to(second.port)
        assert broker._commits._session is not None
        await broker._commits._session.close()  # this connection broke, that of the reader did not

        async def publish() -> None:
            while True:
                try:
                    await broker.publish(numbered(2))
                except BrokerUnavailable:
                    continue
                return

        async with asyncio.timeout(SECONDS):
            await publish()
        await comes(lambda: 2 in listener.numbers)
        assert listener.numbers == [1, 2]
