"""The SDK's client resumes: each event once and in order, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.scripted_server import ScriptedServer
from support.sdk import KEY, Listener, run, until
from swim_client import ResumeFileError, SWIMClient


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server


async def test_the_first_subscribe_asks_for_nothing_and_the_next_for_what_was_missed(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    async with run(listener.client):
        first = await server.connection(0)
        assert "after" not in await first.sent("subscribe")
        last = [await server.publish(n=number) for number in range(3)][-1]
        await listener.got(3)
        first.cut()
        await first.closed.wait()
        for number in range(3, 6):
            server.make_event(n=number)
        second = await server.connection(1)
        assert (await second.sent("subscribe"))["after"] == last["id"]
        await listener.got(6)
        await server.publish(n=6)
        await listener.got(7)
    assert listener.numbers == list(range(7))
    (reconnected,) = listener.reconnections
    assert (reconnected.recovered, reconnected.after) == (3, last["id"])
    assert listener.order.index("reconnected") == len(listener.order) - 3, "after the third, before the seventh event"
    assert not listener.gaps


async def test_what_comes_between_the_subscription_and_the_first_event_is_not_lost(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        await until(lambda: "subscribed" in listener.order or listener.client._running)
        await listener.client.status()
        first.cut()
        server.make_event(n=0)
        await listener.got(1)
    assert listener.numbers == [0]


async def test_what_comes_between_the_greeting_and_the_answer_is_not_lost(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    server.unknown_channels = {"flight.departed"}
    server.answers.discard("subscribe")
    async with run(listener.client):
        first = await server.connection(0)
        server.unknown_channels = set()
        await first.sent("subscribe")
        first.cut()
        server.make_event(n=0)
        await listener.got(1)
    assert listener.numbers == [0]


async def test_a_storm_of_breaks_loses_repeats_and_reorders_nothing(server: ScriptedServer) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    listener = Listener(server.url, ["*"])
    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        for number in range(400):
            await server.publish(chance.choice(["flight.departed", "tmi.issued"]), n=number)
            if chance.random() < 0.1:
                connection = server.connections[-1]
                if chance.random() < 0.5:
                    connection.cut()
                else:
                    await connection.close(chance.choice([1000, 1012, 4008]), "retry_ms=1")
            if chance.random() < 0.2:
                await asyncio.sleep(0.002)
        await listener.got(400)
    assert listener.numbers == list(range(400))
    assert len(server.connections) > 5
    assert not listener.gaps


async def test_a_server_that_sends_again_what_was_sent_is_put_right(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        for number in range(3):
            await server.publish(n=number)
        for event in server.history:
            await first.send(event)
        await server.publish(n=3)
        await listener.got(4)
    assert listener.numbers == [0, 1, 2, 3]


async def test_a_gap_is_told_before_what_follows_it(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        seen = await server.publish(n=0)
        await listener.got(1)
        first.cut()
        for number in range(1, 4):
            server.make_event(n=number)
        server.forgets_before = server.history[-2]["id"]
        await listener.got(2)
    assert listener.numbers == [0, 3]
    (gap,) = listener.gaps
    assert gap.after == seen["id"]
    assert gap.reason == "history no longer reaches back"
    assert listener.order.index("gap") < listener.order.index("flight.departed", 2)


async def test_an_id_that_the_server_does_not_know_is_a_gap_and_live_events_follow(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        server._next = 5000
        server.unknown_ids.add((await server.publish(n=0))["id"])
        await listener.got(1)
        first.cut()
        server._next = 2000  # another history, whose ids are lower
        server.history = []
        await (await server.connection(1)).sent("subscribe")
        await server.publish(n=1)
        await listener.got(2)
    assert listener.numbers == [0, 1]
    assert len(listener.gaps) == 1
    assert [error.code for error in listener.errors] == ["HISTORY_UNAVAILABLE"]


async def test_the_former_server_without_ids_and_resume_works(server: ScriptedServer) -> None:
    server.resumes = False
    listener = Listener(server.url)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        await server.publish(n=0)
        await server.publish(n=0)
        await listener.got(2)
        await first.close(1001)
        second = await server.connection(1)
        assert "after" not in await second.sent("subscribe")
        await server.publish(n=1)
        await listener.got(3)
        await until(lambda: listener.reconnections)
    assert listener.numbers == [0, 0, 1]
    assert listener.reconnections[0].recovered is None
    assert not listener.gaps
    assert listener.connections[0].timestamp == ""


async def test_a_server_that_lost_the_ability_to_resume_is_a_gap(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        await server.publish(n=0)
        await listener.got(1)
        server.resumes = False
        first.cut()
        assert "after" not in await (await server.connection(1)).sent("subscribe")
        await until(lambda: listener.gaps)
    assert listener.gaps[0].reason == "this server can't send what was missed"


async def test_a_server_that_never_answers_a_subscribe_still_streams(server: ScriptedServer) -> None:
    server.answers.clear()
    listener = Listener(server.url)
    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        await server.publish(n=0)
        await listener.got(1)
        server.connections[0].cut()
        server.make_event(n=1)
        await listener.got(2)
    assert listener.numbers == [0, 1]


async def test_resuming_can_be_switched_off(server: ScriptedServer) -> None:
    listener = Listener(server.url, resume=False)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        await server.publish(n=0)
        await listener.got(1)
        first.cut()
        server.make_event(n=1)
        assert "after" not in await (await server.connection(1)).sent("subscribe")
        await server.publish(n=2)
        await listener.got(2)
    assert listener.numbers == [0, 2]
    assert not listener.gaps


async def test_a_quiet_recovery_is_told_as_over_soon(server: ScriptedServer) -> None:
    listener = Listener(server.url, ["tmi.*"])
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        await server.publish("tmi.issued", n=0)
        await listener.got(1)
        first.cut()
        server.make_event("tmi.released", n=1)
        server.make_event("flight.departed", n=2)
        await until(lambda: listener.reconnections)
    assert listener.reconnections[0].recovered == 1


async def test_a_restarted_program_goes_on_where_its_file_says(server: ScriptedServer, tmp_path: Path) -> None:
    path = tmp_path / "resume.json"
    handed = []
    for start in range(0, 30, 10):
        listener = Listener(server.url, resume_file=path)
        async with run(listener.client):
            for number in range(start, start + 5):
                server.make_event(n=number)
            connection = await server.connection(start // 10)
            await connection.sent("subscribe")
            if start:
                await listener.got(5)
            for number in range(start + 5, start + 10):
                await server.publish(n=number)
            await listener.got(10 if start else 5)
        handed += listener.numbers
        newest = server.history[-1]["id"]
        assert json.loads(path.read_text())["last_event_id"] == newest
        assert listener.client.last_event_id == newest
    assert handed == list(range(5, 30)), "the first five were before the first subscription"


async def test_the_file_is_written_while_it_runs_and_not_for_every_event(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[str] = []
    monkeypatch.setattr("swim_client.resume.ResumeFile.save", lambda self, event_id, epoch: saved.append(str(event_id)))
    listener = Listener(server.url, resume_file=tmp_path / "resume.json")
    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        for number in range(200):
            await server.publish(n=number)
        await listener.got(200)
        await until(lambda: saved)
        assert len(saved) < 5
    assert saved[-1] == server.history[-1]["id"]


async def test_the_file_holds_only_what_the_handlers_have_finished(server: ScriptedServer, tmp_path: Path) -> None:
    path = tmp_path / "resume.json"
    client = SWIMClient(KEY, server.url, resume_file=path)
    reached = asyncio.Event()

    @client.on("flight.departed")
    async def handler(event: Any, timestamp: str) -> None:
        if event.n == 1:
            reached.set()
            await asyncio.sleep(60)

    client.subscribe(["flight.departed"])
    running = asyncio.ensure_future(client.run_async())
    await (await server.connection(0)).sent("subscribe")
    events = [await server.publish(n=number) for number in range(4)]
    await asyncio.wait_for(reached.wait(), 10)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert json.loads(path.read_text())["last_event_id"] == events[0]["id"]


async def test_a_file_that_can_not_be_used_ends_it_before_it_begins(server: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "resume.json").write_text("torn {")
    with pytest.raises(ResumeFileError, match="no last_event_id"):
        await SWIMClient(KEY, server.url, resume_file=tmp_path / "resume.json").run_async()
    assert server.attempts == []


async def test_a_file_that_can_not_be_written_is_told_and_the_stream_goes_on(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: Any, event_id: Any, epoch: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("swim_client.resume.ResumeFile.save", full)
    listener = Listener(server.url, resume_file=tmp_path / "resume.json")
    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        await server.publish(n=0)
        await until(lambda: "can't be written" in caplog.text)
        await server.publish(n=1)
        await listener.got(2)


async def test_history_can_be_asked_for_at_first_and_is_not_asked_for_again(server: ScriptedServer) -> None:
    for number in range(5):
        server.make_event(n=number)
    listener = Listener(server.url, [])
    listener.client.subscribe("flight.departed", last=2)
    async with run(listener.client):
        first = await server.connection(0)
        assert (await first.sent("subscribe"))["last"] == 2
        await listener.got(2)
        with pytest.raises(ValueError, match="only with the first subscription"):
            listener.client.subscribe("flight.departed", last=2)
        first.cut()
        again = await (await server.connection(1)).sent("subscribe")
        assert again["after"] == server.history[-1]["id"]
        assert "last" not in again
    assert listener.numbers == [3, 4]


async def test_first_events_of_a_connected_client_may_begin_with_history(server: ScriptedServer) -> None:
    for number in range(5):
        server.make_event(n=number)
    listener = Listener(server.url, [])
    numbers: list[Any] = []
    async with listener.client as client:
        async for event in client.events(["flight.departed"], last=2):
            numbers.append(event["n"])
            if len(numbers) == 2:
                break
    assert numbers == [3, 4]


async def test_the_program_can_name_the_event_after_which_to_begin(server: ScriptedServer) -> None:
    for number in range(5):
        server.make_event(n=number)
    listener = Listener(server.url, [])
    listener.client.subscribe("flight.departed", after=server.history[1]["id"])
    async with run(listener.client):
        await listener.got(3)
    assert listener.numbers == [2, 3, 4]


async def test_a_quiet_client_resumes_from_the_heartbeats(server: ScriptedServer) -> None:
    listener = Listener(server.url, ["tmi.*"])
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        for last in ("2000-0", "3000-0", "4000-0"):
            await first.send({"type": "system.heartbeat", "timestamp": "t", "data": {"last_event_id": last}})
        await until(lambda: listener.order.count("system.heartbeat") == 3)
        assert listener.client.last_event_id == "3000-0"
        first.cut()
        assert (await (await server.connection(1)).sent("subscribe"))["after"] == "3000-0"


async def test_events_and_their_order_are_in_the_debug_log_of_nobody(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "swim_client")
    listener = Listener(server.url)
    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        await server.publish(n=0, callsign="SECRET1")
        await listener.got(1)
    assert "SECRET1" not in caplog.text
