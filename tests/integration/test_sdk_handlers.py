"""Slow handlers, handlers that ask, ``async for``, and how a run ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.scripted_server import ScriptedServer
from support.sdk import KEY, Listener, run, until
from swim_client import AuthenticationError, RequestRefused, SWIMClient


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server


async def in_thread(function: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, function)


async def test_a_slow_handler_slows_the_server_down_and_loses_nothing(server: ScriptedServer) -> None:
    listener = Listener(server.url, ["flight.departed"], max_queued_events=10, ping_interval=0.05, ping_timeout=0.1)
    goes_on = asyncio.Event()
    taken = 0

    @listener.client.on("flight.departed")
    async def slow(event: Any, timestamp: str) -> None:
        nonlocal taken
        taken += 1
        await goes_on.wait()

    async with run(listener.client):
        connection = await server.connection(0)
        await connection.sent("subscribe")
        text = "x" * 30_000
        sending = asyncio.ensure_future(send_all(server, 800, text))
        await asyncio.sleep(1.0)
        assert not sending.done(), "24 MB did not fit into what may wait: TCP holds the server up"
        assert taken == 1
        goes_on.set()
        await sending
        await listener.got(800)
    assert listener.numbers == list(range(800))
    assert len(server.connections) == 1, "held up for long, and yet not taken for dead"


async def send_all(server: ScriptedServer, count: int, text: str) -> None:
    for number in range(count):
        await server.publish(n=number, text=text)


async def test_pings_are_answered_while_a_plain_programs_handler_blocks(server: ScriptedServer) -> None:
    client = SWIMClient(KEY, server.url)
    began = threading.Event()
    handler_threads = set()

    @client.on("flight.departed")
    def blocks(event: Any, timestamp: str) -> None:
        handler_threads.add(threading.current_thread().name)
        began.set()
        time.sleep(1.0)

    client.subscribe("flight.departed")
    done = threading.Event()

    def run() -> None:
        client.run()
        done.set()

    thread = threading.Thread(target=run, name="the program's own")
    thread.start()
    connection = await server.connection(0)
    await connection.sent("subscribe")
    await server.publish(n=0)
    await in_thread(began.wait)
    for _ in range(5):
        pong = await connection.socket.ping()
        await asyncio.wait_for(pong, 0.5)
    client.stop()
    await in_thread(done.wait)
    await in_thread(thread.join)
    assert handler_threads == {"the program's own"}


async def test_a_handler_may_wait_for_an_answer_behind_many_events(server: ScriptedServer) -> None:
    listener = Listener(server.url, max_queued_events=5)
    answers = []

    @listener.client.on("flight.departed")
    async def asks(event: Any, timestamp: str) -> None:
        if event.n == 0:
            await asyncio.sleep(0.1)
            answers.append(await listener.client.status())

    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        for number in range(30):
            await server.publish(n=number)
        await asyncio.wait_for(listener.got(30), 10)
    assert len(answers) == 1
    assert listener.numbers == list(range(30))


async def test_a_handler_may_wait_for_a_task_that_asks(server: ScriptedServer) -> None:
    listener = Listener(server.url, max_queued_events=5)
    answers = []

    async def ask() -> None:
        answers.append(await listener.client.status())

    @listener.client.on("flight.departed")
    async def asks(event: Any, timestamp: str) -> None:
        if event.n == 0:
            await asyncio.sleep(0.1)
            await asyncio.ensure_future(ask())

    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        for number in range(30):
            await server.publish(n=number)
        await asyncio.wait_for(listener.got(30), 15)
    assert len(answers) == 1


async def test_a_plain_handler_may_block_for_an_answer(server: ScriptedServer) -> None:
    client = SWIMClient(KEY, server.url)
    answers = []

    @client.on("connected")
    def on_connected(info: Any, timestamp: str) -> None:
        answers.append(client.subscribe(["flight.departed"]).result(5).type)
        answers.append(client.status().result(5)["client_id"])
        client.stop()

    await in_thread(client.run)
    assert answers == ["subscribed", "me"]


async def test_blocking_for_an_answer_in_the_loop_that_brings_it_is_an_error_not_a_deadlock(
    server: ScriptedServer,
) -> None:
    listener = Listener(server.url)
    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        with pytest.raises(RuntimeError, match="await it instead"):
            listener.client.status().result(5)


async def test_a_handler_that_raises_does_not_end_the_stream(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener(server.url)

    @listener.client.on("flight.departed")
    def broken(event: Any, timestamp: str) -> None:
        raise RuntimeError(f"no good: {event.n}")

    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        for number in range(3):
            await server.publish(n=number)
        await listener.got(3)
        await until(lambda: "no good: 2" in caplog.text)


async def test_a_handler_may_stop_the_client_and_nothing_more_is_handed_over(server: ScriptedServer) -> None:
    listener = Listener(server.url)

    @listener.client.on("flight.departed")
    async def stops(event: Any, timestamp: str) -> None:
        if event.n == 2:
            await listener.client.disconnect()

    running = asyncio.ensure_future(listener.client.run_async())
    connection = await server.connection(0)
    await connection.sent("subscribe")
    for number in range(10):
        await server.publish(n=number)
    await asyncio.wait_for(running, 10)
    assert listener.numbers == [0, 1, 2]
    assert listener.client.last_event_id == server.history[2]["id"]
    await asyncio.wait_for(connection.closed.wait(), 5)
    assert connection.socket.protocol.close_rcvd is not None
    assert connection.socket.protocol.close_rcvd.code == 1000
    assert listener.order[-1] == "disconnected"


async def test_the_loop_over_events_gets_them_in_order(server: ScriptedServer) -> None:
    got = []
    async with SWIMClient(KEY, server.url, reconnect_interval=0.01) as client:
        publishing = asyncio.ensure_future(publish_when_subscribed(server, 20))
        async for event in client.events(["flight.*"], airports=["KJFK"]):
            got.append(event.n)
            if event.n == 10:
                server.connections[-1].cut()
            if event.n == 19:
                break
        await publishing
    assert got == list(range(20))
    assert server.connections[0].received[0]["filters"] == {"airports": ["KJFK"]}
    assert not client.connected


async def publish_when_subscribed(server: ScriptedServer, count: int) -> None:
    await (await server.connection(0)).sent("subscribe")
    for number in range(count):
        await server.publish(n=number)


async def test_two_loops_and_handlers_get_what_they_asked_for(server: ScriptedServer) -> None:
    listener = Listener(server.url, [])
    flights: list[int] = []
    initiatives: list[int] = []

    async def collect(pattern: str, into: list[int]) -> None:
        async for event in listener.client.events([pattern]):
            into.append(event.n)
            if len(into) == 3:
                return

    async with listener.client:
        collectors = [
            asyncio.ensure_future(collect("flight.*", flights)),
            asyncio.ensure_future(collect("tmi.*", initiatives)),
        ]
        await until(lambda: server.connections[0].channels == {"flight.*", "tmi.*"})
        for number in range(6):
            await server.publish("tmi.issued" if number % 2 else "flight.created", n=number)
        await asyncio.wait_for(asyncio.gather(*collectors), 10)
        await listener.got(6)
    assert (flights, initiatives) == ([0, 2, 4], [1, 3, 5])


async def test_a_refused_subscription_ends_the_loop_with_the_reason(server: ScriptedServer) -> None:
    server.unknown_channels = {"no.such"}
    async with SWIMClient(KEY, server.url) as client:
        with pytest.raises(RequestRefused, match="no such channel"):
            async for _ in client.events(["no.such"]):
                pass


async def test_stopping_ends_the_loop(server: ScriptedServer) -> None:
    async with SWIMClient(KEY, server.url) as client:
        asyncio.get_running_loop().call_later(0.1, client.stop)
        events = [event async for event in client.events(["flight.*"])]
    assert events == []


async def test_a_key_revoked_meanwhile_ends_the_loop_with_the_error(server: ScriptedServer) -> None:
    with pytest.raises(AuthenticationError, match="revoked"):
        async with SWIMClient(KEY, server.url) as client:
            revoking = asyncio.ensure_future(revoke_when_subscribed(server))
            async for _ in client.events(["flight.*"]):
                pass
    await revoking


async def revoke_when_subscribed(server: ScriptedServer) -> None:
    connection = await server.connection(0)
    await connection.sent("subscribe")
    await connection.close(4001, "revoked")


async def test_entering_with_a_refused_key_raises(server: ScriptedServer) -> None:
    server.refusals.append(("AUTH_FAILED", 4001, "expired"))
    with pytest.raises(AuthenticationError):
        async with SWIMClient(KEY, server.url):
            raise AssertionError("never entered")


async def test_cancelling_while_entering_leaves_nothing_behind(server: ScriptedServer) -> None:
    server.greets = False
    client = SWIMClient(KEY, server.url)
    entering = asyncio.ensure_future(client.connect())
    connection = await server.connection(0)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    await asyncio.wait_for(connection.closed.wait(), 5)


async def test_an_error_in_the_block_closes_the_client_and_comes_out(server: ScriptedServer) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with SWIMClient(KEY, server.url):
            raise KeyError("mine")
    await asyncio.wait_for(server.connections[0].closed.wait(), 5)


async def test_cancelling_the_run_closes_the_connection_cleanly(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    running = asyncio.ensure_future(listener.client.run_async())
    connection = await server.connection(0)
    await connection.sent("subscribe")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(connection.closed.wait(), 5)
    assert connection.socket.protocol.close_rcvd is not None
    assert connection.socket.protocol.close_rcvd.code == 1000
    await listener.client.disconnect()


async def test_connect_then_run_async_then_disconnect_as_the_former_client_had_it(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    assert await listener.client.connect() is True
    assert listener.client.connected
    assert listener.client.client_id == "client_0000000000000001"
    running = asyncio.ensure_future(listener.client.run_async())
    await asyncio.sleep(0.05)
    await listener.client.disconnect()
    await asyncio.wait_for(running, 5)
    assert not listener.client.connected
    assert len(server.connections) == 1


async def test_a_run_with_a_time_limit_as_the_former_examples_have_it(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    with pytest.raises((TimeoutError, asyncio.TimeoutError)):  # two classes before Python 3.11
        await asyncio.wait_for(listener.client.run_async(), timeout=0.2)
    await listener.client.disconnect()
    assert server.connections[0].closed.is_set()


async def test_stopping_a_flooded_client_takes_no_time(server: ScriptedServer) -> None:
    listener = Listener(server.url, max_queued_events=5)

    @listener.client.on("flight.departed")
    async def stuck(event: Any, timestamp: str) -> None:
        await asyncio.sleep(60)

    running = asyncio.ensure_future(listener.client.run_async())
    await (await server.connection(0)).sent("subscribe")
    flood = asyncio.ensure_future(send_all(server, 2000, "x" * 20_000))
    await asyncio.sleep(0.3)
    began = time.monotonic()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert time.monotonic() - began < 8
    flood.cancel()
    await asyncio.gather(flood, return_exceptions=True)
