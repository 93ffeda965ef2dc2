"""What a program requests while its client runs: subscriptions, publishing, status."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.scripted_server import ScriptedConnection, ScriptedServer
from support.sdk import Listener, run, until
from swim_client import ClientStopped, ConnectionLost, RequestRefused


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server


async def test_several_subscribes_before_the_connection_are_one_message(server: ScriptedServer) -> None:
    listener = Listener(server.url, ["flight.departed"])
    listener.client.subscribe(["tmi.*"], airports=["KJFK"])
    listener.client.subscribe("flight.arrived", artccs="ZNY")
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        await listener.client.status()
    assert [message["action"] for message in first.received] == ["subscribe", "status"]
    assert first.received[0]["channels"] == ["flight.departed", "tmi.*", "flight.arrived"]
    assert first.received[0]["filters"] == {"airports": ["KJFK"], "artccs": ["ZNY"]}


async def test_what_is_added_while_connected_is_sent_alone_and_remembered(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        answer = await listener.client.subscribe("tmi.*", airports=["KJFK"])
        assert answer["channels"] == ["tmi.*"]
        assert (await first.sent("subscribe", 2)) == {
            "action": "subscribe",
            "channels": ["tmi.*"],
            "filters": {"airports": ["KJFK"]},
        }
        assert await listener.client.subscribe("tmi.*") is None, "nothing new: nothing is sent"
        first.cut()
        again = await (await server.connection(1)).sent("subscribe")
        assert (again["channels"], again["filters"]) == (["flight.departed", "tmi.*"], {"airports": ["KJFK"]})


async def test_unsubscribing_is_remembered_too(server: ScriptedServer) -> None:
    listener = Listener(server.url, ["flight.departed", "tmi.*"])
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        await listener.client.unsubscribe(["tmi.*"])
        first.cut()
        second = await server.connection(1)
        assert (await second.sent("subscribe"))["channels"] == ["flight.departed"]
        await listener.client.unsubscribe()
        assert (await second.sent("unsubscribe")) == {"action": "unsubscribe"}
        second.cut()
        third = await server.connection(2)
        await until(lambda: listener.client.connected)
        await listener.client.subscribe("flight.created")
        assert [message for message in third.received if message["action"] == "subscribe"] == [
            {"action": "subscribe", "channels": ["flight.created"], "notices": True}
        ]


async def test_changes_while_there_is_no_connection_are_told_as_a_whole(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        server.http_refusals.extend([(503, {})] * 3)
        first.cut()
        await until(lambda: not listener.client.connected)
        listener.client.unsubscribe()
        granted = listener.client.subscribe("tmi.*")
        second = await server.connection(1)
        await granted
        await listener.client.status()
    assert [message["action"] for message in second.received] == ["subscribe", "status"]
    assert second.received[0]["channels"] == ["tmi.*"]


async def test_handlers_of_connected_may_subscribe_and_all_of_it_is_resumed(server: ScriptedServer) -> None:
    server.make_event("flight.departed", n=0)
    start = server.make_event("flight.departed", n=1)
    server.make_event("tmi.issued", n=2)
    server.make_event("flight.departed", n=3)
    listener = Listener(server.url, [])
    listener.client.subscribe("flight.arrived", after=start["id"])

    @listener.client.on("connected")
    async def on_connected(info: Any, timestamp: str) -> None:
        listener.client.subscribe(["flight.departed"])
        listener.client.subscribe(["tmi.*"])

    async with run(listener.client):
        await listener.got(2)
        await listener.client.status()
    assert [message["action"] for message in server.connections[0].received] == ["subscribe", "status"]
    assert listener.numbers == [2, 3]


async def test_a_handler_of_connected_may_await_its_subscription(server: ScriptedServer) -> None:
    listener = Listener(server.url, [])
    answers = []

    @listener.client.on("connected")
    async def on_connected(info: Any, timestamp: str) -> None:
        answers.append(await listener.client.subscribe(["flight.departed"]))

    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        await until(lambda: answers)
        await server.publish(n=0)
        await listener.got(1)
    assert answers[0].type == "subscribed"


async def test_one_refused_channel_does_not_spoil_the_others(server: ScriptedServer) -> None:
    server.unknown_channels = {"flihgt.departed"}
    listener = Listener(server.url, ["flight.departed"])
    listener.client.subscribe(["tmi.*"])
    refused = listener.client.subscribe(["flihgt.departed"])
    async with run(listener.client):
        with pytest.raises(RequestRefused, match=r"INVALID_CHANNEL: no such channel: flihgt\.departed"):
            await refused
        await until(lambda: "tmi.*" in server.connections[0].channels)
        await listener.client.status()
        await server.publish(n=0)
        await server.publish("tmi.issued", n=1)
        await listener.got(2)
        server.connections[0].cut()
        again = await (await server.connection(1)).sent("subscribe")
    assert again["channels"] == ["flight.departed", "tmi.*"]
    assert [error.code for error in listener.errors] == ["INVALID_CHANNEL"]


async def test_a_refused_channel_loses_nothing_of_what_is_resumed(server: ScriptedServer) -> None:
    server.unknown_channels = {"no.such"}
    start = server.make_event(n=0)
    for number in range(1, 6):
        server.make_event(n=number)
    listener = Listener(server.url, [])
    listener.client.subscribe("flight.departed", after=start["id"])
    listener.client.subscribe("no.such")
    async with run(listener.client):
        await listener.got(5)
        await server.publish(n=6)
        await listener.got(6)
    assert listener.numbers == [1, 2, 3, 4, 5, 6]


async def test_a_subscription_refused_while_connected_leaves_the_rest_alone(server: ScriptedServer) -> None:
    server.unknown_channels = {"no.such"}
    listener = Listener(server.url)
    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        with pytest.raises(RequestRefused, match="no such channel"):
            await listener.client.subscribe("no.such")
        await server.publish(n=0)
        await listener.got(1)


async def test_any_thread_may_subscribe(server: ScriptedServer) -> None:
    listener = Listener(server.url, [])
    async with run(listener.client):
        first = await server.connection(0)
        await until(lambda: listener.client.connected)
        threads = [threading.Thread(target=listener.client.subscribe, args=(f"made.up{n}",)) for n in range(6)]
        for thread in threads:
            thread.start()
        await until(lambda: len(first.channels) == 6)
        answer = await asyncio.get_running_loop().run_in_executor(None, lambda: listener.client.status().result(10))
        assert answer["messages_sent"] == 3
        for thread in threads:
            thread.join()


async def test_requests_stay_below_the_limit_and_repeat_what_was_limited(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        began = time.monotonic()
        await asyncio.gather(*(_wait(listener.client.ping()) for _ in range(10)))
        assert time.monotonic() - began >= 1
        server.rate_limited = 1
        assert (await listener.client.status())["client_id"] == "me"
    assert listener.errors == []


async def _wait(answer: Any) -> Any:
    return await answer


async def test_publishing_is_answered_with_the_id(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        ack = await listener.client.publish("flight.departed", {"n": 1}, event_id="mine-1")
        assert (ack.accepted, ack["event_id"], ack["id"]) == (1, "mine-1", server.history[-1]["id"])
        assert (await listener.client.publish("flight.departed", {"n": 1}, event_id="mine-1")).duplicates == 1
        with pytest.raises(ValueError, match="JSON"):
            listener.client.publish("flight.departed", {"n": float("nan")})
        with pytest.raises(TypeError):
            listener.client.publish("flight.departed", {"n": object()})


async def test_a_publication_survives_a_break_and_happens_once(server: ScriptedServer) -> None:
    listener = Listener(server.url, [])

    def cut_once(connection: ScriptedConnection) -> None:
        server.before_ack = None
        connection.cut()

    server.before_ack = cut_once
    async with run(listener.client):
        await server.connection(0)
        await until(lambda: listener.client.connected)
        ack = await listener.client.publish("flight.departed", {"n": 1})
    assert len(server.connections) == 2
    assert ack["duplicates"] == 1
    assert len(server.history) == 1


async def test_a_status_that_a_break_interrupts_fails(server: ScriptedServer) -> None:
    server.answers.discard("status")
    listener = Listener(server.url)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        answer = listener.client.status()
        await first.sent("status")
        first.cut()
        with pytest.raises(ConnectionLost, match="before status was answered"):
            await answer


async def test_what_still_waits_when_it_is_stopped_fails(server: ScriptedServer) -> None:
    server.answers.discard("publish")
    listener = Listener(server.url)
    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        waiting = [listener.client.publish("flight.departed", {"n": n}) for n in range(3)]
        await server.connections[0].sent("publish")
    for answer in waiting:
        with pytest.raises(ClientStopped):
            await answer


async def test_answers_go_to_handlers_as_well(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    heard: list[tuple[str, Any]] = []
    for name in ("subscribed", "pong", "status", "unsubscribed"):
        listener.client.add_handler(name, lambda news, timestamp, kind: heard.append((kind, dict(news))))
    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        listener.client.ping()
        listener.client.status()
        listener.client.unsubscribe(["flight.departed"])
        await until(lambda: len(heard) == 4)
    assert [kind for kind, _ in heard] == ["subscribed", "pong", "status", "unsubscribed"]
    assert heard[0][1]["channels"] == ["flight.departed"]
    assert heard[2][1]["messages_sent"] == 3
