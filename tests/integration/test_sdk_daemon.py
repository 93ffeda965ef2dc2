"""The SDK against the real daemon: the programs of a newcomer, kills, restarts, revoked keys."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.daemon import NotAnswering
from support.live_daemon import LiveDaemon, live_daemon
from support.sdk import Listener, until
from swim_client import AuthenticationError, RequestRefused, SWIMClient

LISTENS = """\
from swim_client import SWIMClient
client = SWIMClient('<a valid key>', debug=True)
@client.on('connected')
def on_conn(info, ts): print(f'SUCCESS: {info.client_id}')
client.subscribe(['flight.departed'])
client.run()
"""
IS_REFUSED = """\
from swim_client import SWIMClient
client = SWIMClient('invalid_key', debug=True)
client.subscribe(['flight.departed'])
client.run()          # ends by itself, non-zero, and says: the key was refused
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    """One for all tests that do nothing to it."""
    with live_daemon(tmp_path_factory.mktemp("sdk")) as daemon:
        yield daemon


@pytest.fixture
def own_daemon(tmp_path: Path) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path / "home") as daemon:
        yield daemon


@asynccontextmanager
async def listening(daemon: LiveDaemon, channels: list[str], key: str, **settings: object) -> AsyncIterator[Listener]:
    """A listener that is subscribed, and stopped at the end."""
    listener = Listener(daemon.url, [], api_key=key, **settings)
    running = asyncio.ensure_future(listener.client.run_async())
    try:
        await asyncio.wait_for(_subscribed(listener, channels), 20)
        yield listener
    finally:
        listener.client.stop()
        await asyncio.wait_for(running, 10)


async def _subscribed(listener: Listener, channels: list[str]) -> None:
    await listener.client.subscribe(channels)


async def work(function: Callable[..., object], *arguments: object) -> object:
    """Do blocking work off the loop."""
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


def python(daemon: LiveDaemon, script: str, url: str) -> subprocess.Popen[str]:
    environ = {**daemon.environ, "SWIM_URL": url, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", script], env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_the_first_program_as_it_stands_succeeds(daemon: LiveDaemon) -> None:
    process = python(daemon, LISTENS.replace("<a valid key>", daemon.api_key()), daemon.url)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("SUCCESS: client_")
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_the_second_program_as_it_stands_is_refused_and_says_so(daemon: LiveDaemon) -> None:
    process = python(daemon, IS_REFUSED, daemon.url)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert output == ""
    assert "the key was refused (4001)" in errors.splitlines()[-1]
    assert "invalid_key" not in errors.replace("SWIMClient('invalid_key', debug=True)", "")


async def test_a_revoked_key_ends_the_client_with_the_reason(daemon: LiveDaemon) -> None:
    issued = daemon.issue()
    listener = Listener(daemon.url, api_key=issued["api_key"])
    running = asyncio.ensure_future(listener.client.run_async())
    await until(lambda: listener.client.connected)
    await work(lambda: daemon.swimctl("keys", "revoke", str(issued["id"]), "--yes", check=True))
    with pytest.raises(AuthenticationError, match="the key was refused"):
        await asyncio.wait_for(running, 10)


async def test_kills_lose_repeat_and_reorder_nothing(own_daemon: LiveDaemon) -> None:
    port = int(own_daemon.url.rpartition(":")[2].partition("/")[0])
    published = 0
    async with listening(own_daemon, ["flight.*"], own_daemon.api_key(), max_reconnect_interval=0.5) as listener:
        for _ in range(3):
            for _ in range(10):
                batch = [{"type": "flight.departed", "data": {"n": published + n}} for n in range(20)]
                await work(own_daemon.publish_many, batch)
                published += 20
            own_daemon.kill()
            await work(lambda: own_daemon.start(port=port))
        await listener.got(published)
        await until(lambda: listener.reconnections)
    assert listener.numbers == list(range(published))
    assert not listener.gaps
    assert {one.code for one in listener.disconnections[:-1]} == {1006}


async def test_a_restart_is_noticed_by_nobody(own_daemon: LiveDaemon) -> None:
    async with listening(own_daemon, ["flight.*"], own_daemon.api_key()) as listener:
        done = asyncio.ensure_future(work(lambda: own_daemon.swimctl("restart", check=True)))
        published = 0
        while not done.done() or published < 50:
            await publish_surely(own_daemon, published)
            published += 1
        await done
        await until(lambda: listener.reconnections)
        await listener.got(published)
    assert listener.numbers == list(range(published))
    assert not listener.gaps
    first = listener.disconnections[0]
    assert first.code == 1012
    assert first.will_reconnect
    assert "retry_ms=" in first.reason
    assert listener.errors == [], "the notice of the restart is no error of the program's"


async def publish_surely(daemon: LiveDaemon, number: int) -> None:
    """Publish under a name of our own, again where the control socket just changes hands: it happens once."""
    event = {"type": "flight.departed", "data": {"n": number}, "event_id": f"number-{number}"}
    while True:
        try:
            await work(daemon.publish_many, [event])
            return
        except NotAnswering:
            await asyncio.sleep(0.05)


async def test_a_program_that_was_not_running_gets_what_it_missed(daemon: LiveDaemon, tmp_path: Path) -> None:
    key, path = daemon.api_key(), tmp_path / "resume.json"
    handed = []
    for start in (0, 10, 20):
        listener = Listener(daemon.url, ["flight.departed"], api_key=key, resume_file=path)
        running = asyncio.ensure_future(listener.client.run_async())
        await until(lambda client=listener.client: client.connected)
        await listener.client.status()
        for number in range(start, start + 5):
            await work(lambda number=number: daemon.publish("flight.departed", n=number))
        await listener.got(10 if start else 5)
        listener.client.stop()
        await running
        handed += listener.numbers
        for number in range(start + 5, start + 10):
            await work(lambda number=number: daemon.publish("flight.departed", n=number))
    assert handed == list(range(25))


async def test_a_history_that_is_another_one_is_a_gap(daemon: LiveDaemon) -> None:
    await work(lambda: daemon.publish("flight.departed", n=0))
    listener = Listener(daemon.url, [], api_key=daemon.api_key())
    listener.client.subscribe("flight.departed", after="99999999999999-0")
    running = asyncio.ensure_future(listener.client.run_async())
    await until(lambda: listener.gaps)
    await work(lambda: daemon.publish("flight.departed", n=1))
    await listener.got(1)
    listener.client.stop()
    await running
    assert listener.numbers == [1]
    assert len(listener.gaps) == 1


async def test_publishing_needs_the_system_tier_and_happens_once(daemon: LiveDaemon) -> None:
    async with SWIMClient(daemon.api_key("system"), daemon.url) as system:
        ack = await system.publish("flight.departed", {"n": 1}, event_id="once")
        again = await system.publish("flight.departed", {"n": 1}, event_id="once")
    assert (ack.accepted, again.duplicates) == (1, 1)
    assert ack["id"] == again["id"]
    async with SWIMClient(daemon.api_key(), daemon.url) as developer:
        with pytest.raises(RequestRefused, match="FORBIDDEN"):
            await developer.publish("flight.departed", {"n": 1})


async def test_a_misspelled_channel_is_refused_and_the_others_stream(daemon: LiveDaemon) -> None:
    listener = Listener(daemon.url, ["flight.departed"], api_key=daemon.api_key())
    refused = listener.client.subscribe("flight.departd")
    running = asyncio.ensure_future(listener.client.run_async())
    with pytest.raises(RequestRefused, match=r"flight\.departed"):
        await refused
    await listener.client.status()
    await work(lambda: daemon.publish("flight.departed", n=7))
    await listener.got(1)
    listener.client.stop()
    await running


async def test_the_loop_over_events_is_filtered_by_the_server(daemon: LiveDaemon) -> None:
    async with SWIMClient(daemon.api_key(), daemon.url) as client:
        events = client.events(["flight.*"], airports=["KJFK"])
        first = asyncio.ensure_future(events.__anext__())
        while not (await client.status())["subscriptions"]["channels"]:
            await asyncio.sleep(0.01)
        await work(lambda: daemon.publish("flight.departed", callsign="NO", dep="KLAX", arr="KSFO"))
        await work(lambda: daemon.publish("flight.departed", callsign="YES", dep="KJFK", arr="KSFO"))
        assert (await asyncio.wait_for(first, 20)).callsign == "YES"
        await events.aclose()


async def test_the_control_socket_needs_no_key(daemon: LiveDaemon) -> None:
    listener = Listener("ws://swim/api/swim/v1/ws", ["flight.*"], api_key=None, unix_path=daemon.home / "control.sock")
    running = asyncio.ensure_future(listener.client.run_async())
    await until(lambda: listener.connections)
    await listener.client.status()
    await work(lambda: daemon.publish("flight.departed", n=1))
    await listener.got(1)
    assert listener.connections[0].tier == "local"
    listener.client.stop()
    await running
