"""Several nodes on one real Redis server, each with its own broker: what goes wrong between them is reported."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.brokers import (
    KEEP_MS,
    KEEP_POSITIONS_MS,
    Listener,
    LocalRig,
    broker_settings,
    ids,
    numbered,
    numbers,
    read_all,
    shared_server,
)
from support.redis_server import RedisServer, redis_server
from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.redis_stream.broker import RedisBroker
from swim_server.brokers.redis_stream.commits import Fence
from swim_server.brokers.redis_stream.entries import merge, read_id
from swim_server.brokers.redis_stream.errors import Fenced, ServerRefused
from swim_server.brokers.redis_stream.server import ServerAddress
from swim_server.protocol.events import NewEvent

SECONDS = 30.0


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    return f"{random.Random(request.node.nodeid).getrandbits(48):x}{id(request):x}"


class Node:
    """One node: its broker, and what it has delivered."""

    def __init__(self, folder: Path, server: RedisServer, prefix: str, name: str, **settings: Any) -> None:
        self.listener = Listener()
        self.broker = RedisBroker(
            folder / f"{name}.db",
            ServerAddress(server.url),
            prefix=prefix,
            node=name,
            **broker_settings({"boot_id": None, "tick_seconds": 0.25} | settings),
        )

    async def start(self) -> Node:
        await self.broker.open(self.listener)
        return self

    async def has(self, *wanted: Any) -> None:
        """Wait until exactly this was delivered."""
        async with asyncio.timeout(SECONDS):
            while self.listener.numbers != list(wanted):
                await asyncio.sleep(0.01)


@pytest.fixture
async def started() -> AsyncIterator[list[Node]]:
    """Nodes that are closed at the end."""
    nodes: list[Node] = []
    yield nodes
    await asyncio.gather(*(node.broker.close() for node in nodes))


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server that this test may kill."""
    with redis_server(appendfsync="always") as server:
        yield server


async def two(started: list[Node], folder: Path, server: RedisServer, prefix: str) -> tuple[Node, Node]:
    for name in ("one", "two"):
        started.append(await Node(folder, server, prefix, name).start())
    return started[-2], started[-1]


async def test_two_nodes_deliver_and_keep_the_same_events_in_one_order(
    started: list[Node], tmp_path: Path, prefix: str
) -> None:
    one, two_ = await two(started, tmp_path, shared_server(), prefix)
    events = [NewEvent(type="flight.position" if n % 3 else "tmi.issued", data={"number": n}) for n in range(60)]
    await asyncio.gather(
        *(node.broker.publish(events[at : at + 10]) for at in range(0, 60, 10) for node in (one, two_))
    )
    async with asyncio.timeout(SECONDS):
        while len(one.listener.events) < 120 or len(two_.listener.events) < 120:
            await asyncio.sleep(0.01)
    assert [event.wire for event in one.listener.events] == [event.wire for event in two_.listener.events]
    assert [event.id for event in one.listener.events] == sorted({event.id for event in one.listener.events})
    stored = [[event.wire for event in await read_all(node.broker)] for node in (one, two_)]
    assert stored[0] == stored[1] == [event.wire for event in one.listener.events]


async def test_a_node_that_was_away_has_what_it_missed_and_delivers_none_of_it(
    started: list[Node], tmp_path: Path, prefix: str
) -> None:
    one, two_ = await two(started, tmp_path, shared_server(), prefix)
    (first,) = ids(await one.broker.publish(numbered(1)))
    await two_.has(1)
    await two_.broker.close()
    await one.broker.publish(numbered(2, 3))
    again = await Node(tmp_path, shared_server(), prefix, "two").start()
    started.append(again)
    assert numbers(await read_all(again.broker)) == [1, 2, 3, 4]
    assert not await again.broker.has_gap(first)
    await one.broker.publish(numbered(5))
    await again.has(5)


async def test_a_new_node_knows_that_what_was_let_go_of_is_missing(
    started: list[Node], tmp_path: Path, prefix: str
) -> None:
    clock = LocalRig(tmp_path).clock
    one = await Node(tmp_path, shared_server(), prefix, "one", clock=clock, now_ms=clock.now_ms).start()
    started.append(one)
    positions = numbered(1, type="flight.position")
    first, old = ids(await one.broker.publish([*numbered(0), *positions]))
    clock.wall_ms += KEEP_POSITIONS_MS + 2000
    await one.broker.publish(numbered(2))
    two_ = await Node(tmp_path, shared_server(), prefix, "two", clock=clock, now_ms=clock.now_ms).start()
    started.append(two_)
    assert numbers(await read_all(two_.broker)) == [0, 2]
    assert await two_.broker.has_gap(first, types=["flight.position"])
    assert not await two_.broker.has_gap(first, types=["flight.created"])
    assert not await two_.broker.has_gap(old)
    clock.wall_ms += KEEP_MS + 2000
    await one.broker.publish(numbered(3))
    three = await Node(tmp_path, shared_server(), prefix, "three", clock=clock, now_ms=clock.now_ms).start()
    started.append(three)
    assert await three.broker.has_gap(first, types=["flight.created"])


async def test_a_server_that_lost_everything_begins_a_new_order_and_every_node_tells_of_the_gap(
    started: list[Node], tmp_path: Path, prefix: str, own_server: RedisServer
) -> None:
    one, two_ = await two(started, tmp_path, own_server, prefix)
    (before,) = ids(await one.broker.publish(numbered(1)))
    await two_.has(1)
    own_server.command("FLUSHALL")
    (after,) = ids(await one.broker.publish(numbered(2)))
    await two_.has(1, 2)
    assert after > before
    for node in (one, two_):
        assert await node.broker.has_gap(before)
        assert not await node.broker.has_gap(after)


async def test_events_that_a_server_lost_while_others_went_on_are_a_gap_on_every_node(
    started: list[Node], tmp_path: Path, prefix: str, own_server: RedisServer
) -> None:
    """As after a failover to a replica that lagged: the end of the stream is gone, the rest is there."""
    one, two_ = await two(started, tmp_path, own_server, prefix)
    (kept,) = ids(await one.broker.publish(numbered(1)))
    state = one.broker.names.state
    last = own_server.command("HGET", state, "last").split(b"\r\n")[1].decode()
    (lost,) = ids(await one.broker.publish(numbered(2)))
    await two_.has(1, 2)
    own_server.command("XDEL", one.broker.names.events, str(lost))
    own_server.command("HSET", state, "last", last, "run", "another")
    own_server.kill()
    own_server.start()
    (after,) = ids(await two_.broker.publish(numbered(3)))
    await one.has(1, 2, 3)
    assert after > lost
    for node in (one, two_):
        async with asyncio.timeout(SECONDS):
            while not await node.broker.has_gap(kept):
                await asyncio.sleep(0.01)
        assert not await node.broker.has_gap(after)


async def test_a_killed_server_that_comes_back_with_all_is_no_gap(
    started: list[Node], tmp_path: Path, prefix: str, own_server: RedisServer
) -> None:
    one, two_ = await two(started, tmp_path, own_server, prefix)
    (before,) = ids(await one.broker.publish(numbered(1)))
    await two_.has(1)
    own_server.kill()
    with pytest.raises(BrokerUnavailable, match="can't be reached"):
        await one.broker.publish(numbered(2))
    assert numbers(await read_all(two_.broker)) == [1]
    assert (await two_.broker.state()).writing_problem is not None
    own_server.start()
    async with asyncio.timeout(SECONDS):
        while (await two_.broker.state()).writing_problem is not None:
            await asyncio.sleep(0.01)
    (after,) = ids(await two_.broker.publish(numbered(3)))
    await one.has(1, 3)
    assert after > before
    assert not await one.broker.has_gap(before)
    assert not await two_.broker.has_gap(before)


async def test_calls_under_way_when_the_server_is_killed_are_stored_once_or_refused(
    started: list[Node], tmp_path: Path, prefix: str, own_server: RedisServer
) -> None:
    one, two_ = await two(started, tmp_path, own_server, prefix)
    answers: dict[int, object] = {}

    async def publish() -> None:
        for number in range(400):
            try:
                answers[number] = (await one.broker.publish(numbered(number)))[0].id
            except BrokerUnavailable as error:
                answers[number] = error

    publishing = asyncio.create_task(publish())
    for _ in range(2):
        await asyncio.sleep(0.1)
        own_server.kill()
        own_server.start()
    async with asyncio.timeout(3 * SECONDS):
        await publishing
    await one.broker.publish(numbered(1000))
    async with asyncio.timeout(SECONDS):
        while not two_.listener.numbers or two_.listener.numbers[-1] != 1000:
            await asyncio.sleep(0.01)
    delivered = two_.listener.numbers
    assert len(delivered) == len(set(delivered)), "an event was repeated"
    acknowledged = {number for number, answer in answers.items() if isinstance(answer, str)}
    assert acknowledged <= set(delivered)
    assert delivered == sorted(delivered) == one.listener.numbers


async def test_who_lost_the_lease_of_a_source_publishes_nothing(
    started: list[Node], tmp_path: Path, prefix: str
) -> None:
    (one,) = [await Node(tmp_path, shared_server(), prefix, "one").start()]
    started.append(one)
    shared_server().command("HSET", one.broker.names.state, "fence:vatsim", "7")
    await one.broker.publish_fenced(Fence("vatsim", 7), numbered(1))
    shared_server().command("HINCRBY", one.broker.names.state, "fence:vatsim", "1")
    with pytest.raises(Fenced):
        await one.broker.publish_fenced(Fence("vatsim", 7), numbered(2))
    await one.broker.publish(numbered(3))
    await one.has(1, 3)


async def test_a_history_of_another_installation_is_refused(started: list[Node], tmp_path: Path, prefix: str) -> None:
    (tmp_path / "a").mkdir()
    first = await Node(tmp_path / "a", shared_server(), prefix, "one").start()
    await first.broker.publish(numbered(1))
    await first.broker.close()
    other = await Node(tmp_path, shared_server(), f"{prefix}-other", "one").start()
    await other.broker.publish(numbered(2))
    await other.broker.close()
    with pytest.raises(ServerRefused, match="belongs to installation"):
        await Node(tmp_path, shared_server(), prefix, "one").start()


async def test_a_stream_of_another_form_is_refused(started: list[Node], tmp_path: Path, prefix: str) -> None:
    """As from a later version, which other nodes already run."""
    one = await Node(tmp_path, shared_server(), prefix, "one").start()
    await one.broker.close()
    shared_server().command("HSET", one.broker.names.state, "version", "2")
    with pytest.raises(ServerRefused, match=r"has form 2, .* run the same version on every node"):
        await Node(tmp_path, shared_server(), prefix, "one").start()


async def test_a_local_history_goes_on_as_that_of_the_nodes(started: list[Node], tmp_path: Path, prefix: str) -> None:
    rig = LocalRig(tmp_path)
    local = rig.broker()
    await local.open(Listener())
    old = ids(await local.publish(numbered(1, 2)))
    await local.close()
    rig.path.rename(tmp_path / "one.db")
    for name in ("mark", "witness"):
        (tmp_path / f"history.{name}").rename(tmp_path / f"one.{name}")
    node = await Node(tmp_path, shared_server(), prefix, "one").start()
    started.append(node)
    new = ids(await node.broker.publish(numbered(3)))
    assert numbers(await read_all(node.broker)) == [1, 2, 3]
    assert new[0] > old[1]
    assert not await node.broker.has_gap(old[0])
    other = await Node(tmp_path, shared_server(), prefix, "two").start()
    started.append(other)
    assert numbers(await read_all(other.broker)) == [3]
    assert await other.broker.has_gap(old[0])
    assert not await other.broker.has_gap(old[1])


async def test_a_damaged_copy_is_read_again_from_the_server(started: list[Node], tmp_path: Path, prefix: str) -> None:
    one = await Node(tmp_path, shared_server(), prefix, "one").start()
    published = ids(await one.broker.publish(numbered(1, 50)))
    await one.broker.close()
    path = tmp_path / "one.db"
    path.write_bytes(b"no database at all" * 1000)
    again = await Node(tmp_path, shared_server(), prefix, "one").start()
    started.append(again)
    assert numbers(await read_all(again.broker)) == list(range(1, 51))
    assert again.listener.events == []
    assert not await again.broker.has_gap(published[0])


async def test_a_node_with_a_copy_starts_without_the_server_and_one_without_does_not(
    started: list[Node], tmp_path: Path, prefix: str, own_server: RedisServer
) -> None:
    one = await Node(tmp_path, own_server, prefix, "one").start()
    await one.broker.publish(numbered(1))
    await one.broker.close()
    own_server.kill()
    with pytest.raises(ServerRefused, match="has no history yet"):
        await Node(tmp_path, own_server, prefix, "new").start()
    again = await Node(tmp_path, own_server, prefix, "one").start()
    started.append(again)
    late: list[Any] = []
    again.broker.on_opened_late = late.append
    assert numbers(await read_all(again.broker)) == [1]
    own_server.start()
    async with asyncio.timeout(SECONDS):
        while not late:
            await asyncio.sleep(0.01)
    await again.broker.publish(numbered(2))
    await again.has(2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--requirepass", "geheim"), "turns us away"),
        (("--maxmemory", "100kb"), "maxmemory"),
    ],
)
async def test_a_server_that_refuses_says_why(
    tmp_path: Path, prefix: str, started: list[Node], options: tuple[str, ...], said: str
) -> None:
    folder = tmp_path / "redis"
    server = RedisServer(folder, options=options)
    server.start()
    try:
        with pytest.raises(BrokerUnavailable, match=said) as caught:
            node = await Node(tmp_path, server, prefix, "one").start()
            started.append(node)
            await node.broker.publish(numbered(1))
        assert "geheim" not in str(caught.value)
    finally:
        server.kill()


@pytest.mark.parametrize("seed", range(20))
def test_merging_two_streams_never_passes_over_what_a_limit_cut_off(seed: int) -> None:
    """Read page by page with a limit, two streams give every entry once and in order."""
    chance = random.Random(seed)
    numbers_ = sorted(chance.sample(range(1, 500), chance.randrange(1, 80)))
    streams: tuple[list[Any], list[Any]] = ([], [])
    for number in numbers_:
        streams[chance.random() < 0.3].append((f"{number}-0".encode(), []))
    cursor, found, limit = 0, [], chance.randrange(1, 6)
    while True:
        pages = [[entry for entry in stream if read_id(entry[0]).milliseconds > cursor][:limit] for stream in streams]
        merged = merge(pages[0], pages[1], limit)
        if not merged:
            break
        found += [read_id(entry[0]).milliseconds for entry in merged]
        cursor = found[-1]
    assert found == numbers_
