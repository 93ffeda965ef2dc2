"""A daemon with two worker processes: to a client and to its operator it is one service."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from support.live_daemon import LiveDaemon, await_true, comes_true, live_daemon
from support.wire_client import WireClient, dial, open_client, try_to_connect

CONFIG = """
[server]
workers = 2
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("daemon"), config=CONFIG) as daemon:
        yield daemon


@pytest.fixture(autouse=True)
def _everybody_left(daemon: LiveDaemon) -> Iterator[None]:
    yield
    await_true(lambda: not any(daemon.counted().values()), what="the end of the test's connections")
    await_true(lambda: sum(shares(daemon)) == 0, what="the end of the workers' connections")


def workers(daemon: LiveDaemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.call("status")["workers"]
    return found


def is_replaced(daemon: LiveDaemon, number: int, pid: int) -> bool:
    """Tell whether another process serves as this worker."""
    now = workers(daemon)[number]
    return bool(now["state"] == "ready" and now["pid"] != pid)


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def shares(daemon: LiveDaemon) -> list[int]:
    """Return the number of connections of each worker."""
    return [worker["connections"] for worker in workers(daemon)]


@asynccontextmanager
async def clients(daemon: LiveDaemon, count: int, tier: str = "developer") -> AsyncIterator[list[WireClient]]:
    """Connect clients one after the other, so that each worker has half of them."""
    key = await asyncio.to_thread(daemon.api_key, tier)
    found: list[WireClient] = []
    try:
        for _ in range(count):
            found.append(await open_client(daemon.url, key))
            assert (await found[-1].next())["type"] == "connected"
        yield found
    finally:
        await asyncio.gather(*(client.connection.close() for client in found))


async def test_events_reach_the_clients_of_both_workers_in_one_order(daemon: LiveDaemon) -> None:
    async with clients(daemon, 4) as found:
        for client in found:
            await client.subscribe("flight.created")
        assert await asyncio.to_thread(shares, daemon) == [2, 2]
        published = []
        for number in range(20):
            published += await asyncio.to_thread(daemon.put, ("flight.created", {"number": number}))
        received = [await client.events(20) for client in found]
        assert all([event["id"] for event in events] == published for events in received)
        assert received[0] == received[1] == received[2] == received[3]


async def test_publisher_in_one_worker_is_answered_after_its_event_is_stored(daemon: LiveDaemon) -> None:
    async with clients(daemon, 2, "system") as (publisher, other):
        await other.subscribe("tmi.issued")
        answer = await publisher.ask("publish", channel="tmi.issued", data={"program_id": 1}, event_id="one")
        assert answer["type"] == "publish_ack" and answer["accepted"] == 1, answer
        (event,) = await other.events(1)
        assert event["id"] == answer["id"]
        again = await publisher.ask("publish", channel="tmi.issued", data={"program_id": 1}, event_id="one")
        assert (again["accepted"], again["duplicates"], again["id"]) == (0, 1, answer["id"])


async def test_a_client_resumes_in_whichever_worker_it_comes_to(daemon: LiveDaemon) -> None:
    first, second, third = (daemon.put(("tmi.issued", {"number": number}))[0] for number in range(3))
    async with clients(daemon, 2) as found:
        for client in found:
            answer = await client.subscribe("tmi.issued", after=first)
            assert answer["resumed"] and not answer["gap"], answer
            assert [event["id"] for event in await client.events(2)] == [second, third]


async def test_state_is_the_same_in_both_workers_and_stays_so(daemon: LiveDaemon) -> None:
    def flight(uid: int, altitude_ft: int) -> tuple[str, dict[str, Any]]:
        return "flight.updated", {"flight_uid": uid, "callsign": f"DAL{uid}", "altitude_ft": altitude_ft}

    await asyncio.to_thread(daemon.put, *(flight(uid, 1000) for uid in range(1, 4)))
    async with clients(daemon, 2) as found:
        for client in found:
            await client.subscribe("flight.*", state=True)
            part = await client.until("state")
            assert part["is_last"]
            assert {each["flight_uid"]: each["altitude_ft"] for each in part["data"]["flights"]}.items() >= {
                1: 1000, 2: 1000, 3: 1000,
            }.items()  # fmt: skip
        await asyncio.to_thread(daemon.put, flight(2, 2000))
        for client in found:
            (event,) = await client.events(1)
            assert (event["data"]["flight_uid"], event["data"]["altitude_ft"]) == (2, 2000)
    async with clients(daemon, 2) as later:
        states = []
        for client in later:
            await client.subscribe("flight.*", state=True)
            states.append((await client.until("state"))["data"]["flights"])
        assert states[0] == states[1]
        assert next(each for each in states[0] if each["flight_uid"] == 2)["altitude_ft"] == 2000


async def test_fifty_clients_race_for_five_places(daemon: LiveDaemon) -> None:
    key = daemon.api_key("public")
    for _ in range(3):
        racers = await asyncio.gather(*(open_client(daemon.url, key) for _ in range(50)))
        firsts = await asyncio.gather(*(racer.next() for racer in racers))
        assert Counter(first.get("code") or first["type"] for first in firsts) == {
            "connected": 5, "CONNECTION_LIMIT": 45,
        }  # fmt: skip
        assert {first["data"]["limit"] for first in firsts if first["type"] == "error"} == {5}
        await asyncio.gather(*(racer.connection.close() for racer in racers))
        await comes_true(lambda: daemon.counted()["public"] == 0, what="the end of the round")


async def test_revoked_key_is_closed_in_both_workers_before_the_command_returns(daemon: LiveDaemon) -> None:
    issued = await asyncio.to_thread(daemon.make_key)
    found = [await open_client(daemon.url, issued.api_key) for _ in range(4)]
    for client in found:
        assert (await client.next())["type"] == "connected"
    done = await asyncio.to_thread(daemon.swimctl, "keys", "revoke", str(issued.record.id), "--yes", check=True)
    assert "4" in done.stdout + done.stderr, done
    assert {(await client.closed())[0] for client in found} == {4001}
    assert await try_to_connect(daemon.url, issued.api_key) == (["AUTH_FAILED"], 4001)


async def test_worker_that_can_not_close_a_revoked_key_is_named_and_does_it_once_it_can(daemon: LiveDaemon) -> None:
    issued = await asyncio.to_thread(daemon.make_key)
    found = [await open_client(daemon.url, issued.api_key) for _ in range(2)]
    for client in found:
        assert (await client.next())["type"] == "connected"
    stopped = workers(daemon)[1]["pid"]
    os.kill(stopped, signal.SIGSTOP)
    try:
        done = await asyncio.to_thread(daemon.swimctl, "keys", "revoke", str(issued.record.id), "--yes")
        assert "not every worker process has said that it knows: worker 2" in done.stderr, done
        assert (await found[0].closed())[0] == 4001
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert (await found[1].closed())[0] == 4001


async def test_bad_keys_and_missing_keys_are_refused(daemon: LiveDaemon) -> None:
    assert await try_to_connect(daemon.url, "swim_dev_nonsense") == (["AUTH_FAILED"], 4001)
    assert await try_to_connect(daemon.url) == (["AUTH_FAILED"], 4001)


async def test_operator_sees_the_connections_of_all_workers(daemon: LiveDaemon) -> None:
    async with clients(daemon, 4) as found:
        for client in found:
            await client.subscribe("flight.*")
        listed = await asyncio.to_thread(lambda: daemon.connections)
        assert len(listed) == 4
        daemon.put(("flight.created", {"callsign": "BAW1"}))
        for client in found:
            await client.events(1)
        status = daemon.status()
        assert status["connections"]["total"] == 4
        assert status["deliveries"] >= 4
        assert [worker["state"] for worker in status["workers"]] == ["ready", "ready"]
        top = await asyncio.to_thread(daemon.call, "top", {"count": 5})
        assert {"channel": "flight.*", "connections": 4} in top["channels"]
        for one in listed:
            assert (await asyncio.to_thread(daemon.call, "connection_close", {"id": one["id"]}))["closed"]
        assert {(await client.closed())[0] for client in found} == {1012}


async def test_explain_knows_what_a_client_of_a_worker_was_sent(daemon: LiveDaemon) -> None:
    issued = await asyncio.to_thread(daemon.make_key)
    async with dial(daemon.url, issued.api_key) as one, dial(daemon.url, issued.api_key) as two:
        await one.subscribe("flight.created", filters={"airports": ["KJFK"]})
        await two.subscribe("flight.created", filters={"airports": ["EGLL"]})
        (event_id,) = daemon.put(("flight.created", {"callsign": "BAW1", "dep": "EGLL", "arr": "LFPG"}))
        await two.events(1)
        found = await asyncio.to_thread(daemon.call, "explain", {"about": event_id, "key_id": issued.record.id})
        assert found["outcome"] == "sent", found
        assert [each["outcome"] for each in found["consumers"]] == ["sent", "filtered"]
        assert found["key"]["connected_now"] == 2
        by_channel = await asyncio.to_thread(
            daemon.call, "explain", {"about": "flight.created", "key_id": issued.record.id}
        )
        assert sorted(each["passed"] > 0 for each in by_channel["subscriptions"]) == [False, True]


async def test_a_killed_worker_is_started_again_and_the_other_clients_notice_nothing(daemon: LiveDaemon) -> None:
    async with clients(daemon, 4) as found:
        for client in found:
            await client.subscribe("flight.created")
        victim = workers(daemon)[0]
        os.kill(victim["pid"], signal.SIGKILL)
        closed = [client for client in found if found.index(client) % 2 == 0]
        assert {(await client.closed())[0] for client in closed} == {None}
        await comes_true(lambda: daemon.counted()["developer"] == 2, what="the release of the places")
        (event_id,) = daemon.put(("flight.created", {"number": 1}))
        for client in found:
            if client not in closed:
                assert [event["id"] for event in await client.events(1)] == [event_id]

        def is_back() -> bool:
            return is_replaced(daemon, 0, victim["pid"]) and workers(daemon)[0]["restarts"] == 1

        await comes_true(is_back, what="the new worker")
        async with clients(daemon, 2) as more:
            assert (await asyncio.to_thread(shares, daemon))[0] == 2  # it has the fewest
            for client in more:
                assert (await client.subscribe("flight.created", after=event_id))["resumed"]


def test_killed_worker_in_the_middle_of_a_bench_costs_its_clients_nothing(daemon: LiveDaemon) -> None:
    words = ("--running", "--clients", "200", "--rate", "20", "--duration", "2", "--yes", "--json")
    bench = daemon.spawn("bench", *words)
    await_true(lambda: shares(daemon) == [100, 100], what="200 clients, half of them on each worker")
    before = daemon.call("status")["events_published"]
    await_true(lambda: daemon.call("status")["events_published"] >= before + 5, what="the first events")
    victim = workers(daemon)[1]["pid"]
    os.kill(victim, signal.SIGKILL)
    output, errors = bench.communicate(timeout=120)
    found = json.loads(output)
    assert (found["lost"], found["repeated"], found["gaps"], found["away"]) == (0, 0, 0, 0), (found, errors)
    assert (found["ok"], found["closed"], found["resumed"]) == (True, {"1006": 100}, 100), found
    await_true(partial(is_replaced, daemon, 1, victim), what="the next worker")


async def test_plain_http_of_a_worker_is_answered_by_the_primary(daemon: LiveDaemon) -> None:
    base, key = daemon.url.replace("ws://", "http://").removesuffix("/api/swim/v1/ws"), daemon.api_key()
    async with ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
        for _ in range(3):
            async with session.get(f"{base}/readyz") as ready:
                assert ready.status == 200, await ready.text()
        async with session.get(f"{base}/flights") as flights:
            assert flights.status == 200, await flights.text()
        async with ClientSession() as operator, operator.get(f"{base}/metrics") as metrics:
            text = await metrics.text()
            assert 'swim_worker_up{worker="1"} 1.0' in text
            assert 'swim_worker_up{worker="2"} 1.0' in text
        async with session.get(f"{base}/api/swim/v1/stream?channels=tmi.issued") as stream:
            assert (await stream.content.readuntil(b"\n\n")).startswith(b": stream")
            await stream.content.readuntil(b"\n\n")  # event: subscribed
            (event_id,) = await asyncio.to_thread(daemon.put, ("tmi.issued", {"number": 1}))
            assert event_id.encode() in await stream.content.readuntil(b"\n\n")
            assert (await asyncio.to_thread(daemon.counted))["developer"] == 1


async def test_operators_page_shows_the_clients_and_errors_of_all_workers(daemon: LiveDaemon) -> None:
    base, own = f"http://127.0.0.1:{daemon.port}/ops", {"X-SWIM-Ops": "1", "Sec-Fetch-Site": "same-origin"}
    before = (await asyncio.to_thread(daemon.call, "desk_overview"))["errors"].get("INVALID_CHANNEL", 0)
    async with clients(daemon, 2) as found, ClientSession(headers=own) as page:
        for client in found:
            await client.subscribe("flight.created")
            assert (await client.ask("subscribe", channels=["no.such"]))["code"] == "INVALID_CHANNEL"
        token = (await asyncio.to_thread(daemon.call, "dashboard_token"))["token"]
        async with page.post(f"{base}/session", json={"token": token}) as opened:
            assert opened.status == 204, await opened.text()
            cookie = {"Cookie": opened.headers["Set-Cookie"].partition(";")[0]}
        async with page.get(f"{base}/data/connections?sort=since", headers=cookie) as answer:
            table = await answer.json()
        assert (table["total"], sorted(row["worker"] for row in table["rows"])) == (2, [1, 2])
        async with page.get(f"{base}/data/overview", headers=cookie) as answer:
            overview = await answer.json()
        assert overview["status"]["connections"]["total"] == 2
        assert [each["connections"] for each in overview["status"]["workers"]] == [1, 1]
        assert overview["errors"]["INVALID_CHANNEL"] == before + 2


@pytest.mark.long
async def test_last_hour_on_the_operators_page_is_that_of_all_workers(daemon: LiveDaemon) -> None:
    rates = [("flight.created", {"number": number}) for number in range(20)]
    async with clients(daemon, 2) as found:
        for client in found:
            await client.subscribe("flight.created")

        def is_sampled() -> bool:
            """Tell whether a sample of the trends has what the clients of both workers were sent."""
            daemon.put(*rates)
            time.sleep(0.2)
            newest = daemon.call("desk_overview")["trends"][-1]
            return bool(newest[1] == 2 and newest[3] > 1.5 * newest[2] > 0)

        await comes_true(is_sampled, what="a sample of both workers' deliveries")


async def test_ticket_of_the_primary_opens_a_connection_to_a_worker_once(daemon: LiveDaemon) -> None:
    base, key = daemon.url.replace("ws://", "http://").removesuffix("/api/swim/v1/ws"), daemon.api_key()
    async with (
        ClientSession() as session,
        session.post(f"{base}/ticket", headers={"Authorization": f"Bearer {key}"}) as answer,
    ):
        ticket = (await answer.json())["ticket"]
    assert await try_to_connect(f"{daemon.url}?ticket={ticket}") == (["connected"], None)
    assert await try_to_connect(f"{daemon.url}?ticket={ticket}") == (["AUTH_FAILED"], 4001)


async def test_reload_reaches_the_workers(daemon: LiveDaemon) -> None:
    daemon.config_path.write_text(f"{CONFIG}\n[tiers.public]\nconnections = 2\n", "utf-8")
    try:
        await asyncio.to_thread(daemon.swimctl, "reload", check=True)
        async with clients(daemon, 2, "public"):
            assert await try_to_connect(daemon.url, daemon.api_key("public")) == (["CONNECTION_LIMIT"], 4002)
    finally:
        daemon.config_path.write_text(CONFIG, "utf-8")
        await asyncio.to_thread(daemon.swimctl, "reload", check=True)


async def test_restart_hands_over_to_new_workers(daemon: LiveDaemon) -> None:
    key, before = daemon.api_key(), workers(daemon)
    async with clients(daemon, 2) as found:
        for client in found:
            await client.subscribe("flight.created")
        (first,) = await asyncio.to_thread(daemon.put, ("flight.created", {"number": 1}))
        for client in found:
            await client.events(1)
        done = await asyncio.to_thread(daemon.swimctl, "restart")
        assert done.returncode == 0, done.stderr
        (second,) = await asyncio.to_thread(daemon.put, ("flight.created", {"number": 2}))
        for client in found:
            code, reason = await client.closed()
            assert code == 1012 and "retry_ms=" in reason
    async with dial(daemon.url, key) as client:
        assert not (await client.subscribe("flight.created", after=first))["gap"]
        assert [event["id"] for event in await client.events(1)] == [second]
    after = workers(daemon)
    assert {worker["pid"] for worker in after}.isdisjoint(worker["pid"] for worker in before)
    for worker in before:
        await comes_true(partial(is_gone, worker["pid"]), what="the end of the old workers")


def test_stop_closes_with_1012_and_ends_all_processes(tmp_path: Path) -> None:
    async def watch(daemon: LiveDaemon) -> list[tuple[int | None, str]]:
        async with clients(daemon, 2) as found:
            stopping = asyncio.to_thread(daemon.swimctl, "stop", check=True)
            closing = asyncio.gather(*(client.closed() for client in found))
            return (await asyncio.gather(closing, stopping))[0]

    with live_daemon(tmp_path / "home", config=CONFIG) as daemon:
        pids = [worker["pid"] for worker in workers(daemon)]
        assert {code for code, _ in asyncio.run(watch(daemon))} == {1012}
        await_true(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), what="the end of the workers")


@pytest.mark.long
def test_workers_end_with_a_killed_primary(tmp_path: Path) -> None:
    with live_daemon(tmp_path / "home", config=CONFIG) as daemon:
        pids = [worker["pid"] for worker in workers(daemon)]
        daemon.kill()
        await_true(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), what="the end of the workers")


@pytest.mark.long
async def test_workers_of_a_stuck_primary_ask_their_clients_to_reconnect(daemon: LiveDaemon) -> None:
    """Else these would wait for events in vain: heartbeats go on, and other nodes could serve them."""
    before = [worker["pid"] for worker in workers(daemon)]
    async with clients(daemon, 2) as found:
        daemon.signal(signal.SIGSTOP)
        try:
            async with asyncio.timeout(90):
                ended = [client.connection.wait_closed() for client in found]
                await asyncio.gather(*ended)
        finally:
            daemon.signal(signal.SIGCONT)
        assert {client.connection.close_code for client in found} == {1012}
    await comes_true(
        lambda: is_replaced(daemon, 0, before[0]) and is_replaced(daemon, 1, before[1]), what="new workers"
    )
    async with clients(daemon, 2) as found:
        (event_id,) = await asyncio.to_thread(daemon.put, ("flight.created", {"number": 1}))
        for client in found:
            await client.subscribe("flight.created", last=1)
            assert [event["id"] for event in await client.events(1)] == [event_id]


def doctor_says(daemon: LiveDaemon, *words: str) -> dict[str, dict[str, Any]]:
    """Return doctor's checks by id."""
    done = daemon.swimctl("doctor", "--json", *words, timeout=120)
    return {each["id"]: each for each in json.loads(done.stdout)["checks"]}


def test_doctor_tells_of_a_worker_that_died_again_and_again(daemon: LiveDaemon) -> None:
    before = doctor_says(daemon, "--only", "process")["process.workers"]
    assert before["status"] == "ok", before
    for _ in range(2):
        victim = workers(daemon)[1]["pid"]
        os.kill(victim, signal.SIGKILL)
        await_true(partial(is_replaced, daemon, 1, victim), what="the next worker")
    after = doctor_says(daemon, "--only", "process")["process.workers"]
    assert after["status"] in ("warn", "fail"), after
    assert "killed by signal 9" in after["observed"], after


@pytest.mark.long
def test_doctor_finds_nothing_wrong(tmp_path: Path) -> None:
    with live_daemon(tmp_path / "home", config=CONFIG) as daemon:
        wrong = [each for each in doctor_says(daemon).values() if each["status"] in ("fail", "unknown")]
        assert [
            each for each in wrong if each["id"].startswith(("process.", "connections.", "front.", "stream."))
        ] == []


async def test_spread_evens_out_after_uneven_leaving(daemon: LiveDaemon) -> None:
    async with clients(daemon, 8) as found:
        for client in found[::2][:3]:  # all of one worker
            await client.connection.close()
        await comes_true(lambda: sorted(shares(daemon)) == [1, 4], what="the end of three")
        async with clients(daemon, 3):
            assert await asyncio.to_thread(shares, daemon) == [4, 4]
