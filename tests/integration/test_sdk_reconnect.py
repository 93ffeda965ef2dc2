"""The SDK's client against a server that closes, refuses, disappears and comes back."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.scripted_server import ScriptedServer
from support.sdk import KEY, Listener, run, until
from swim_client import AuthenticationError, ConnectionLost, ProtocolError, SWIMClient


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 3000, 4000, 4002, 4008])
async def test_it_connects_again_after_every_other_close(server: ScriptedServer, code: int) -> None:
    listener = Listener(server.url)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        await first.close(code)
        second = await server.connection(1)
        await second.sent("subscribe")
        await server.publish(n=1)
        await listener.got(1)
    assert [one.code for one in listener.disconnections] == [code, 1000]
    assert [one.will_reconnect for one in listener.disconnections] == [True, False]


async def test_it_connects_again_after_a_break_without_a_word(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        first.cut()
        await (await server.connection(1)).sent("subscribe")
    assert listener.disconnections[0].code == 1006


async def test_4001_ends_it_for_good_and_says_why(server: ScriptedServer) -> None:
    server.refusals.append(("AUTH_FAILED", 4001, "Invalid API key"))
    listener = Listener(server.url)
    with pytest.raises(AuthenticationError, match="the key was refused") as raised:
        await asyncio.wait_for(listener.client.run_async(), 10)
    assert raised.value.code == 4001
    await asyncio.sleep(0.1)
    assert len(server.attempts) == 1
    assert listener.errors[0].code == "AUTH_FAILED"
    assert listener.disconnections[0].will_reconnect is False


async def test_a_key_revoked_while_connected_ends_it_after_what_came_before(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    running = asyncio.ensure_future(listener.client.run_async())
    first = await server.connection(0)
    await first.sent("subscribe")
    for number in range(50):
        await server.publish(n=number)
    await first.close(4001, "the key was revoked")
    with pytest.raises(AuthenticationError, match="the key was revoked"):
        await asyncio.wait_for(running, 10)
    assert listener.numbers == list(range(50))


async def test_4003_ends_it_as_a_bug(server: ScriptedServer) -> None:
    server.refusals.append(("INVALID_JSON", 4003, "not JSON"))
    with pytest.raises(ProtocolError, match="not JSON"):
        await asyncio.wait_for(SWIMClient(KEY, server.url).run_async(), 10)


async def test_a_full_tier_is_tried_again(server: ScriptedServer) -> None:
    server.refusals.extend([("CONNECTION_LIMIT", 4002, "")] * 2)
    listener = Listener(server.url)
    async with run(listener.client):
        await (await server.connection(2)).sent("subscribe")
    assert [error.code for error in listener.errors] == ["CONNECTION_LIMIT"] * 2


async def test_keys_that_can_not_be_checked_just_now_are_tried_again(server: ScriptedServer) -> None:
    server.refusals.append(("AUTH_UNAVAILABLE", 1013, ""))
    async with run(Listener(server.url).client):
        await (await server.connection(1)).sent("subscribe")


async def test_retry_ms_is_honoured(server: ScriptedServer) -> None:
    listener = Listener(server.url, reconnect_interval=30)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        closed_at = time.monotonic()
        await first.close(1012, "restarting; retry_ms=300")
        await server.connection(1)
    assert 0.3 <= time.monotonic() - closed_at < 3
    assert listener.disconnections[0].retry_in_seconds == 0.3


RESTARTING = {
    "type": "error", "timestamp": "2026-01-16T14:30:15.123Z", "code": "RESTARTING", "message": "the service restarts",
    "data": {"code": "RESTARTING", "message": "the service restarts", "retry_ms": 300},
}  # fmt: skip


@pytest.mark.parametrize("code", [1012, 1000, 1002, None])
async def test_notice_of_a_restart_is_followed_whatever_the_close_looks_like(
    server: ScriptedServer, code: int | None
) -> None:
    listener = Listener(server.url, reconnect_interval=3600)
    async with run(listener.client):
        first = await server.connection(0)
        assert (await first.sent("subscribe"))["notices"] is True
        await until(lambda: listener.client.connected)
        await first.send(RESTARTING)
        if code is None:
            await first.send({"type": "system.heartbeat", "data": {}})
            await until(lambda: "system.heartbeat" in listener.order)
            first.cut()
        else:
            await first.close(code)
        await server.connection(1)
    ending = listener.disconnections[0]
    assert (ending.retry_in_seconds, ending.reason) == (0.3, "the service restarts")
    assert listener.errors == [], "a restart is nothing that a program's error handlers need to hear of"


async def test_restart_is_no_answer_to_what_was_asked_just_then(server: ScriptedServer) -> None:
    """The request goes out again over the next connection, and the subscription is not given up."""
    listener = Listener(server.url)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        server.answers.discard("subscribe")
        answer = listener.client.subscribe("tmi.*")
        await first.sent("subscribe", 2)
        await first.send(RESTARTING)
        server.answers.add("subscribe")
        await first.close(1012, "the service restarts; retry_ms=10")
        second = await (await server.connection(1)).sent("subscribe")
        await answer
    assert second["channels"] == ["flight.departed", "tmi.*"]


async def test_retry_after_of_a_refused_upgrade_is_honoured(server: ScriptedServer) -> None:
    server.http_refusals.append((429, {"Retry-After": "1"}))
    async with run(Listener(server.url).client):
        await (await server.connection(0)).sent("subscribe")
    assert server.attempts[1] - server.attempts[0] >= 1


@pytest.mark.parametrize("status", [404, 429, 500, 502, 503])
async def test_a_refused_upgrade_is_tried_again(server: ScriptedServer, status: int) -> None:
    server.http_refusals.append((status, {}))
    async with run(Listener(server.url).client):
        await (await server.connection(0)).sent("subscribe")


async def test_an_upgrade_refused_with_401_ends_it(server: ScriptedServer) -> None:
    server.http_refusals.append((401, {}))
    with pytest.raises(AuthenticationError, match="the key was refused"):
        await asyncio.wait_for(SWIMClient(KEY, server.url).run_async(), 10)


async def test_a_redirect_is_not_followed_with_the_key(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with ScriptedServer() as elsewhere:
        server.http_refusals.append((302, {"Location": elsewhere.url}))
        async with run(Listener(server.url).client):
            await (await server.connection(0)).sent("subscribe")
        assert elsewhere.attempts == []
    assert f"a redirect to {elsewhere.url}: use that address" in caplog.text


async def test_a_server_that_is_not_there_yet_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    listener = Listener(f"ws://127.0.0.1:{port}/")
    server = ScriptedServer()
    async with run(listener.client):
        while "can't connect" not in caplog.text:
            await asyncio.sleep(0.01)
        await server.start(port)
        await (await server.connection(0)).sent("subscribe")
    await server.stop()


async def test_a_name_that_does_not_resolve_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async with run(Listener("ws://no-such-host.invalid/").client):
        while caplog.text.count("can't connect") < 2:
            await asyncio.sleep(0.01)


async def test_a_server_that_does_not_answer_the_upgrade_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        async with run(Listener(f"ws://127.0.0.1:{deaf.getsockname()[1]}/", open_timeout=0.1).client):
            while caplog.text.count("no answer within 0.1 s") < 2:
                await asyncio.sleep(0.01)


async def test_what_speaks_no_websocket_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        writer.close()

    babbler = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with run(Listener(f"ws://127.0.0.1:{babbler.sockets[0].getsockname()[1]}/").client):
        while caplog.text.count("can't connect") < 2:
            await asyncio.sleep(0.01)
    babbler.close()


async def test_a_server_that_vanished_without_a_word_is_noticed(server: ScriptedServer) -> None:
    listener = Listener(server.url, ping_interval=0.1, ping_timeout=0.1)
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        first.socket.transport.pause_reading()
        await server.connection(1)
    assert "nothing heard" in listener.disconnections[0].reason


async def test_without_reconnect_the_first_end_is_the_last(server: ScriptedServer) -> None:
    listener = Listener(server.url, reconnect=False)
    running = asyncio.ensure_future(listener.client.run_async())
    await (await server.connection(0)).close(1012)
    with pytest.raises(ConnectionLost, match="1012"):
        await asyncio.wait_for(running, 10)
    with pytest.raises(ConnectionLost, match="can't connect"):
        await asyncio.wait_for(SWIMClient(KEY, "ws://127.0.0.1:1/", reconnect=False).run_async(), 10)


async def test_the_key_goes_in_a_header_and_nowhere_else(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.refusals.append((f"{KEY} AUTH_FAILED", 4001, f"unknown key {KEY}"))
    with pytest.raises(AuthenticationError) as raised:
        await asyncio.wait_for(SWIMClient(KEY, server.url, debug=True).run_async(), 10)
    assert server.headers[0]["X-SWIM-API-Key"] == KEY
    assert server.headers[0]["User-Agent"].startswith("swim-client/")
    assert KEY not in server.paths[0]
    told = "".join(record.getMessage() for record in caplog.records if record.name != "websockets.server")
    assert KEY not in told
    assert "[key]" in told
    assert KEY not in f"{raised.value} {raised.value!r}"
    assert "connecting to ws://127.0.0.1" in told


async def test_stopping_while_it_waits_ends_at_once() -> None:
    client = SWIMClient(KEY, "ws://127.0.0.1:1/", reconnect_interval=1000, max_reconnect_interval=1000)
    running = asyncio.ensure_future(client.run_async())
    await asyncio.sleep(0.1)
    client.stop()
    await asyncio.wait_for(running, 5)


async def test_it_can_run_again_and_goes_on_where_it_was(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        await server.publish(n=0)
        await listener.got(1)
    await server.publish(n=1)
    async with run(listener.client):
        await listener.got(2)
    assert listener.numbers == [0, 1]


async def test_one_client_does_not_run_twice_at_once(server: ScriptedServer) -> None:
    listener = Listener(server.url)
    async with run(listener.client):
        await server.connection(0)
        with pytest.raises(RuntimeError, match="running already"):
            await listener.client.run_async()


async def test_noise_does_not_disturb_it(server: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener(server.url, ["*"])
    async with run(listener.client):
        first = await server.connection(0)
        await first.sent("subscribe")
        for noise in (
            "{",
            "[1]",
            "null",
            '"x"',
            "{}",
            '{"type": 5}',
            '{"type":"flight.created","data":7}',
            b"\x00\x01",
        ):
            await first.socket.send(noise)
        await first.socket.send("[" * 5000)
        await first.send({"type": "flight.created", "id": {"not": "an id"}, "data": {"n": 1}})
        await server.publish(n=2)
        await listener.got(3)
    assert len(server.connections) == 1
    assert listener.numbers == [None, 1, 2]


async def test_a_message_over_the_limit_of_the_library_default_still_comes(server: ScriptedServer) -> None:
    listener = Listener(server.url, ["flight.positions"])
    rows: list[dict[str, Any]] = [{"callsign": f"C{n}", "latitude": 1.0} for n in range(60_000)]
    async with run(listener.client):
        await (await server.connection(0)).sent("subscribe")
        await server.publish("flight.positions", count=len(rows), positions=rows)
        await listener.got(1)
    assert len(listener.events[0].positions) == 60_000
