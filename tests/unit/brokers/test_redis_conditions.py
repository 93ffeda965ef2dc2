"""What a server may be: loading, a replica, full, without a disk, without rights. Each is told, none loses events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.brokers import Listener, broker_settings, numbered
from support.mounts import NoMount, mounted, tmpfs
from support.redis_server import RedisServer, redis_server, server_program
from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.redis_stream.broker import RedisBroker
from swim_server.brokers.redis_stream.errors import ServerRefused
from swim_server.brokers.redis_stream.server import ServerAddress

SECONDS = 60.0
PASSWORD = "geheim-7"
FILLING = "for i = 1, 3000 do redis.call('SET', 'x' .. i, i) end"
SLOWLY = ("--key-load-delay", "400")
"""Microseconds for each command of the append-only file; a server looks at its connections after each 1,024."""


@pytest.fixture(
    params=[None, pytest.param("Redis 6.2", marks=pytest.mark.long), pytest.param("Valkey 9.1", marks=pytest.mark.long)]
)
def servers(request: pytest.FixtureRequest) -> Iterator[Callable[..., RedisServer]]:
    """Start servers of one kind that end with the test."""
    program = server_program(request.param)
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(redis_server(program=program, **settings))


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Open brokers of nodes on an address; they are closed at the end."""
    brokers: list[RedisBroker] = []

    async def open_broker(url: str, node: str = "one", **login: str) -> tuple[RedisBroker, Listener]:
        settings = broker_settings({"boot_id": None, "tick_seconds": 0.25})
        broker = RedisBroker(tmp_path / f"{node}.db", ServerAddress(url, **login), prefix="swim", node=node, **settings)
        brokers.append(broker)
        listener = Listener()
        await broker.open(listener)
        return broker, listener

    yield open_broker
    await asyncio.gather(*(broker.close() for broker in brokers))


async def comes(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.02)


class Publisher:
    """Publishes numbers; knows which were acknowledged and what was said of the others."""

    def __init__(self, broker: RedisBroker) -> None:
        self.acknowledged: list[int] = []
        self.said: list[str] = []
        self._broker = broker
        self._number = 0

    async def try_once(self) -> bool:
        self._number += 1
        try:
            await self._broker.publish(numbered(self._number, named=True))
        except BrokerUnavailable as error:
            self.said.append(error.reason)
            return False
        self.acknowledged.append(self._number)
        return True

    async def until_acknowledged(self) -> None:
        async with asyncio.timeout(SECONDS):
            while not await self.try_once():
                await asyncio.sleep(0.05)

    async def is_told(self, said: str) -> None:
        """Publish once, in vain."""
        assert not await self.try_once()
        assert said in self.said[-1]


async def nothing_is_lost(publisher: Publisher, *listeners: Listener) -> None:
    """What was acknowledged arrives in order, and nothing of what was refused."""
    for listener in listeners:
        await comes(partial(has_newest, publisher, listener))
        assert listener.numbers == publisher.acknowledged


def has_newest(publisher: Publisher, listener: Listener) -> bool:
    return listener.numbers[-1:] == publisher.acknowledged[-1:]


async def test_a_server_that_loads_its_data_is_waited_for_by_new_nodes_and_by_those_that_run(
    servers: Callable[..., RedisServer], opened: Callable[..., Any]
) -> None:
    server = servers(appendfsync="always")
    one, listener = await opened(server.url)
    publisher = Publisher(one)
    await publisher.try_once()
    server.command("EVAL", FILLING, "0")
    server.kill()
    server.options = SLOWLY
    starting = asyncio.create_task(asyncio.to_thread(server.start))
    await comes(lambda: one.tail.trouble is not None and "loading its data" in one.tail.trouble)
    opening = asyncio.create_task(opened(server.url, "new"))
    await publisher.until_acknowledged()
    await asyncio.gather(starting, opening)
    new, hearing = opening.result()
    await comes(lambda: new.newest_id == one.newest_id)
    assert not await new.has_gap((await new.read_last(2))[0].id)
    assert [event.data["number"] for event in await new.read_last(2)] == publisher.acknowledged[-2:]
    await publisher.try_once()
    await nothing_is_lost(publisher, listener)
    await comes(lambda: has_newest(publisher, hearing))


async def test_the_address_of_a_replica_is_refused_with_the_advice_to_give_the_other(
    servers: Callable[..., RedisServer], opened: Callable[..., Any]
) -> None:
    first, second = servers(), servers()
    second.follow(first)
    with pytest.raises(ServerRefused, match="is a replica, which takes no events: give the address of the server"):
        await opened(second.url)


async def test_a_server_whose_snapshots_fail_refuses_events_and_loses_none(
    servers: Callable[..., RedisServer], opened: Callable[..., Any]
) -> None:
    server = servers(options=("--dbfilename", "taken"))
    (server.folder / "taken").mkdir()
    broker, listener = await opened(server.url)
    publisher = Publisher(broker)
    await publisher.try_once()
    server.command("CONFIG", "SET", "save", "3600 1")
    server.command("BGSAVE")
    await comes(lambda: b"rdb_last_bgsave_status:err" in server.command("INFO", "persistence"))
    await publisher.is_told("free its disk")
    assert broker.tail.trouble is None, "what is stored can be read"
    again, _ = await opened(server.url, "new")
    assert [event.data["number"] for event in await again.read_last(5)] == [1]
    server.command("CONFIG", "SET", "save", "")
    await publisher.until_acknowledged()
    await nothing_is_lost(publisher, listener)


async def test_a_server_whose_disk_is_full_refuses_events_until_there_is_room_and_loses_none(
    servers: Callable[..., RedisServer], opened: Callable[..., Any], tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        with mounted(disk, *tmpfs("2m")):
            server = servers(options=("--dir", str(disk)))
            broker, listener = await opened(server.url)
            publisher = Publisher(broker)
            await publisher.try_once()
            filler = disk / "filler"
            with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
                while True:
                    file.write(bytes(4096))
            await comes_to_be_told(publisher, "free its disk")
            filler.unlink()
            await publisher.until_acknowledged()
            await nothing_is_lost(publisher, listener)
            await broker.close()
            server.kill()
    except NoMount as error:
        pytest.skip(str(error))


async def comes_to_be_told(publisher: Publisher, said: str) -> None:
    """Publish until that is refused: a server notices a full disk when it next writes."""
    async with asyncio.timeout(SECONDS):
        while await publisher.try_once():
            await asyncio.sleep(0.05)
    assert said in publisher.said[-1]


@pytest.mark.parametrize("lacks", ["xadd", "evalsha", "info", "hincrby", "xread"])
async def test_a_user_without_a_right_is_refused_at_the_start_and_the_right_is_named(
    servers: Callable[..., RedisServer], opened: Callable[..., Any], lacks: str
) -> None:
    server = servers()
    server.command("ACL", "SETUSER", "swim", "on", f">{PASSWORD}", "~{swim}:*", "+@all", f"-{lacks}")
    with pytest.raises(ServerRefused, match=f"(?i)does not let its user .*{lacks}.*it needs INFO") as caught:
        await opened(server.url, username="swim", password=PASSWORD)
    assert PASSWORD not in str(caught.value)


async def test_a_user_who_may_use_other_keys_only_is_refused_at_the_start(
    servers: Callable[..., RedisServer], opened: Callable[..., Any]
) -> None:
    server = servers()
    server.command("ACL", "SETUSER", "swim", "on", f">{PASSWORD}", "~other:*", "+@all")
    with pytest.raises(ServerRefused, match="does not let its user"):
        await opened(server.url, username="swim", password=PASSWORD)


async def test_a_right_or_password_that_is_taken_away_is_told_and_what_follows_goes_on(
    servers: Callable[..., RedisServer], opened: Callable[..., Any]
) -> None:
    server = servers()
    server.command("ACL", "SETUSER", "swim", "on", f">{PASSWORD}", "~{swim}:*", "+@all")
    broker, listener = await opened(server.url, username="swim", password=PASSWORD)
    publisher = Publisher(broker)
    await publisher.try_once()
    server.command("ACL", "SETUSER", "swim", "-xadd")
    assert not await publisher.try_once()
    server.command("ACL", "SETUSER", "swim", "+xadd")
    await publisher.until_acknowledged()
    server.command("ACL", "SETUSER", "swim", "resetpass", ">another")
    server.command("CLIENT", "KILL", "USER", "swim")
    await comes(lambda: broker.tail.trouble is not None and "turns us away" in broker.tail.trouble)
    await publisher.is_told("turns us away")
    server.command("ACL", "SETUSER", "swim", f">{PASSWORD}")
    await publisher.until_acknowledged()
    await nothing_is_lost(publisher, listener)
    assert not any(PASSWORD in said for said in publisher.said)


async def test_a_cluster_that_does_not_serve_our_keys_is_told_at_the_start(
    servers: Callable[..., RedisServer], opened: Callable[..., Any]
) -> None:
    server = servers(options=("--cluster-enabled", "yes"))
    with pytest.raises(ServerRefused, match="CLUSTERDOWN"):
        await opened(server.url)
