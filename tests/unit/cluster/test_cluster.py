"""One node among others on a real Redis server: slots, names, and keys that changed while the server was away."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from support.brokers import Listener, broker_settings, numbered, shared_server
from support.cuttable_line import CuttableLine
from support.redis_server import RedisServer, redis_server
from swim_server.brokers.redis_stream.broker import RedisBroker
from swim_server.brokers.redis_stream.server import Server, ServerAddress
from swim_server.brokers.redis_stream.tail import Message
from swim_server.cluster.admission import SharedAdmission
from swim_server.cluster.cluster import Cluster, NameTaken
from swim_server.cluster.scripts import BEAT, LEASE
from swim_server.concurrency.tasks import Tasks
from swim_server.streaming.admission import TierLimit

SECONDS = 30.0
HOUR_MS = 3_600_000


class Member:
    """A node without a daemon around it."""

    def __init__(self, folder: Path, server: RedisServer, prefix: str, name: str, home: str) -> None:
        self.failures: list[BaseException] = []
        self.tasks = Tasks(self.failures.append)
        self.broker = RedisBroker(
            folder / f"{home}.db", ServerAddress(server.url), prefix=prefix, node=name,
            **broker_settings({"boot_id": None, "tick_seconds": 0.25}),
        )  # fmt: skip
        self.admission = SharedAdmission({"public": TierLimit(2)})
        self.cluster = Cluster(self.broker, self.admission, self.tasks, configuration="the same")
        self.cluster.describe = lambda report: msgspec.structs.replace(report, home=home)
        self.checked: list[int | str] = []
        self.alone = 0
        self.cluster.keys.on_changed, self.cluster.keys.on_unknown = self._changed, self._unknown
        self.cluster.keys.on_alone = self._look_alone
        self._running: asyncio.Task[None] | None = None

    async def _changed(self, key_id: int, ending: str | None, ended: str | None) -> int:
        self.checked.append(key_id if ended is None else f"{key_id} {ended}")
        return 3

    async def _unknown(self) -> None:
        self.checked.append("all")

    async def _look_alone(self) -> None:
        self.alone += 1

    async def start(self, *, is_running: bool = True) -> Member:
        await self.broker.open(Listener())
        await self.cluster.join(is_successor=False)
        if is_running:
            self._running = asyncio.create_task(self.cluster.run())
        return self

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
        await self.tasks.close()
        await self.cluster.close(is_leaving=True)
        await self.broker.close()

    async def connects(self) -> bool:
        async with asyncio.timeout(SECONDS):
            await self.admission.claim("public", 1)
        return self.admission.admit("public", 1) is None


class Members:
    """Members of one installation, closed at the end."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self.prefix = prefix
        self.all: list[Member] = []

    def make(self, name: str, *, server: RedisServer | None = None, home: str | None = None) -> Member:
        self.all.append(Member(self._folder, server or shared_server(), self.prefix, name, home or name))
        return self.all[-1]

    async def start(self, name: str, server: RedisServer | None = None) -> Member:
        return await self.make(name, server=server).start()


@pytest.fixture
async def members(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Members]:
    found = Members(tmp_path, f"c{id(request):x}")
    yield found
    await asyncio.gather(*(member.close() for member in found.all))


async def comes(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


async def hset(member: Member, key: str, *words: str) -> None:
    await member.cluster.line.call("HSET", key, *words)


async def test_no_slot_is_given_on_a_restarted_server_before_every_node_has_reported_to_it(members: Members) -> None:
    """The entries of nodes that have not reported yet look expired: their connections would not be counted."""
    one = await members.start("one")
    await comes(lambda: one.admission.takes == [])
    await hset(one, one.broker.names.state, "run", "the run before", "opened_at", "1000")
    claiming = asyncio.create_task(one.admission.claim("public", 1))
    await asyncio.sleep(0.5)
    assert not claiming.done()
    run = one.broker.tail.run_id
    assert run is not None
    await hset(one, one.broker.names.state, "run", run)
    async with asyncio.timeout(SECONDS):
        await claiming
    assert one.admission.admit("public", 1) is None


async def test_a_report_that_arrives_after_a_newer_one_does_not_change_what_is_counted(members: Members) -> None:
    one = await members.start("one")
    two = await members.start("two")
    assert await one.connects()
    assert await one.connects()
    await comes(lambda: two.admission.totals.get("public") == 2)
    names, cluster = one.broker.names, one.cluster
    keys = (names.nodes, names.places, names.state, names.control, names.beats)
    empty = msgspec.json.encode({})
    report = msgspec.json.encode(cluster.report)
    late = (cluster.node, 10_000, 2500, report, empty, 0, cluster._writer, 1, 0)
    await two.cluster.line.report(BEAT, keys, *late)
    assert not await two.connects()


async def test_a_node_that_was_away_gives_up_what_others_got_although_an_old_report_of_it_came_first(
    members: Members,
) -> None:
    """As after a partition: its last report is delivered late, and the answer that it was gone reaches nobody."""
    one, two = await members.start("one"), await members.start("two")
    given_up: list[tuple[str, int]] = []
    one.cluster.on_excess = lambda tier, number: given_up.append((tier, number))
    assert await one.connects()
    assert await one.connects()
    await comes(lambda: two.admission.totals.get("public") == 2)
    one.cluster.pause()
    names = one.broker.names
    row = await one.cluster.line.call("HGET", names.nodes, "one")
    text = row.partition(b" ")[2].decode()
    await hset(one, names.nodes, "one", f"{int(time.time() * 1000) - 20_000} {text}")
    assert await two.connects()
    await hset(one, names.nodes, "one", f"{int(time.time() * 1000)} {text}")
    assert one.cluster._beaten_at is not None
    one.cluster._beaten_at -= 20
    one.cluster.resume()
    await comes(lambda: given_up)
    assert given_up == [("public", 1)]


async def test_what_a_server_with_a_faster_clock_stored_expires_all_the_same(members: Members) -> None:
    """After a failover to a server whose clock is behind, entries would be fresh until it has caught up."""
    one = await members.start("one")
    ahead = int(time.time() * 1000) + HOUR_MS
    names = one.broker.names
    await hset(one, names.nodes, "gone", f"{ahead} {{}}")
    await hset(one, names.source("vatsim"), "holder", "gone", "until", str(ahead), "token", "1")
    await one.cluster.beat()
    (gone,) = [node for node in await one.cluster.nodes() if node.name == "gone"]
    row = await one.cluster.line.call("HGET", names.nodes, "gone")
    assert int(row.split(b" ")[0]) < ahead - HOUR_MS / 2, gone
    answer = await one.cluster.line.script(LEASE, (names.source("vatsim"), names.state), "vatsim", "one", 10_000)
    assert answer == [0, b"gone"]
    until = int(await one.cluster.line.call("HGET", names.source("vatsim"), "until"))
    assert until < ahead - HOUR_MS / 2


async def test_a_name_that_another_process_uses_is_refused_at_the_start(members: Members) -> None:
    await members.start("one")
    with pytest.raises(NameTaken, match=r"is node 'one' on .*: give \[cluster\] node another name here"):
        await members.make("one", home="another").start()


async def test_a_home_that_is_started_again_after_a_kill_has_its_name(members: Members) -> None:
    one = members.make("one")
    await one.start(is_running=False)
    await one.broker.close()
    await members.make("one", home="one").start()


async def test_two_processes_with_one_name_notice_each_other(members: Members) -> None:
    """As two copies of one machine, which even have the same home."""
    one = await members.start("one")
    other = members.make("one", home="another")
    other.cluster.describe = one.cluster.describe
    await other.start()
    await comes(lambda: one.cluster.has_namesake and other.cluster.has_namesake)
    assert one.cluster.readiness_problem == "another process has this node's name"


async def test_a_key_that_changed_while_the_server_was_away_is_announced_as_soon_as_it_is_back(
    members: Members,
) -> None:
    with redis_server() as server:
        one, two = await members.start("one", server), await members.start("two", server)
        server.kill()
        assert (await one.cluster.keys.tell(7)).silent == ["all others"]
        two.checked.clear()
        server.start()
        await comes(lambda: 7 in two.checked)
        await comes(lambda: "all" in two.checked)
        await asyncio.gather(*(member.close() for member in members.all))
        members.all.clear()


async def test_an_announcement_that_never_arrived_is_missed_within_seconds(members: Members) -> None:
    one, two = await members.start("one"), await members.start("two")
    await one.cluster.keys.tell(7)
    await comes(lambda: 7 in two.checked)
    two.checked.clear()
    await one.cluster.line.call("HINCRBY", one.broker.names.state, "revision", 1)
    await comes(lambda: two.checked == ["all"])
    await asyncio.sleep(0)
    assert one.checked.count("all") <= 1


async def test_a_changed_key_is_heard_of_while_an_event_waits_for_the_disk(members: Members, tmp_path: Path) -> None:
    """Key changes once waited in one line with events, behind the write of this node's copy."""
    one, two = await members.start("one"), await members.start("two")
    with sqlite3.connect(tmp_path / "two.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        before = two.broker.newest_id
        await one.broker.publish(numbered(1))
        await one.cluster.keys.tell(7)
        await comes(lambda: 7 in two.checked)
        assert two.broker.newest_id == before
        other.execute("COMMIT")
    await comes(lambda: two.broker.newest_id != before)


async def test_a_node_whose_connection_for_announcements_is_stuck_hears_by_its_reports_and_looks_by_itself(
    members: Members,
) -> None:
    one, two = await members.start("one"), members.make("two")
    async with CuttableLine(shared_server().port) as line:
        two.cluster.messages._server = Server(ServerAddress(f"redis://127.0.0.1:{line.port}"))
        await two.start()
        await one.cluster.keys.tell(7)
        await comes(lambda: two.checked == [7])
        two.alone = 0
        line.hold()
        assert (await one.cluster.keys.tell(8)).silent == ["two"]
        await comes(lambda: "all" in two.checked)
        await comes(lambda: two.alone > 1)
        assert 8 not in two.checked
        line.release()
        await comes(lambda: 8 in two.checked or two.checked.count("all") > 1)
        alone = two.alone
        await comes(lambda: not two.cluster.messages.is_deaf)
        assert two.alone <= alone + 1


async def test_a_node_closes_what_another_has_read_as_ended_unless_it_was_away_meanwhile(members: Members) -> None:
    """The database may be slow on one node; but a key may have been accepted again since an old message."""
    one, two = await members.start("one"), await members.start("two")
    told = await one.cluster.keys.tell(7, ended="revoked")
    assert (told.closed, told.silent) == (3, [])
    assert two.checked == ["7 revoked"]
    await comes(lambda: one.broker.tail.last_read_at is not None)
    late = Message("1-0", {"node": "one", "key": "8", "ended": "revoked", "revision": "1"})
    two.cluster.keys.receive(late, is_fresh=False)
    await comes(lambda: two.checked == ["7 revoked", 8])


async def test_messages_go_on_where_a_server_has_lost_those_before(members: Members) -> None:
    """Ids of messages begin lower on a server whose clock is behind: a reader that waits above them is deaf."""
    one, two = await members.start("one"), await members.start("two")
    await comes(lambda: two.cluster.probe_age_seconds is not None)
    ahead = f"{int(time.time() * 1000) + HOUR_MS}-0"
    two.broker.tail._message_id = two.cluster.messages._position = ahead.encode()
    two.broker.tail.is_outdated()
    await hset(one, one.broker.names.state, "epoch", "another")
    await comes(lambda: ahead.encode() not in (two.broker.tail._message_id, two.cluster.messages._position))
    two.checked.clear()
    assert (await one.cluster.keys.tell(8)).silent == []
    assert 8 in two.checked


async def test_a_node_that_another_process_reports_for_waits_quietly_and_ends_when_it_is_asked_to(
    members: Members,
) -> None:
    """Its clients leave one after the other meanwhile: it used to spin, and never to hear that it was cancelled."""
    one = await members.start("one")
    assert await one.connects()
    one.cluster.pause()
    one.admission.release("public", 1)
    await comes(lambda: not one.admission.wake.is_set())
    one.admission.wake.set()
    assert one._running is not None
    one._running.cancel()
    done, _ = await asyncio.wait([one._running], timeout=SECONDS)
    assert done


async def test_keys_are_looked_at_while_a_full_server_takes_no_announcement_and_announced_as_soon_as_it_does(
    members: Members,
) -> None:
    with redis_server() as server:
        one, two = await members.start("one", server), await members.start("two", server)
        await comes(lambda: two.cluster.alive == 2)
        server.command("CONFIG", "SET", "maxmemory", "1")
        assert (await one.cluster.keys.tell(7)).silent == ["all others"]
        await comes(lambda: two.alone > 0)
        assert 7 not in two.checked
        server.command("CONFIG", "SET", "maxmemory", "0")
        await comes(lambda: 7 in two.checked)
        await asyncio.gather(*(member.close() for member in members.all))
        members.all.clear()
