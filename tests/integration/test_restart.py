"""A restart that nobody notices: the new process takes over while all clients continue."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import swim_server
from support.live_daemon import LiveDaemon, await_true, comes_true, live_daemon
from support.wire_client import dial, open_client, try_to_connect
from websockets.exceptions import ConnectionClosed

import swimctl
from swimctl.client.session import RpcFailed

pytestmark = pytest.mark.unmeasured

RESTARTS = 3
PACKAGES = (swimctl, swim_server)


CONFIG = "[tiers.system]\nmessages_per_second = 1000\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("restart") / "home", config=CONFIG) as daemon:
        yield daemon


@pytest.fixture
def daemon(shared: LiveDaemon) -> Iterator[LiveDaemon]:
    """One that goes from test to test, as one goes from restart to restart."""
    yield shared
    shared.config_path.write_text(CONFIG)
    await_true(lambda: not any(shared.counted().values()), what="the end of the test's connections", seconds=20)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[LiveDaemon]:
    """One that a test may end."""
    with live_daemon(tmp_path / "home") as daemon:
        yield daemon


@pytest.fixture
def copied(tmp_path: Path) -> Iterator[LiveDaemon]:
    """A daemon that runs a copy of the sources, which a test may break."""
    code = tmp_path / "code"
    for package in PACKAGES:
        source = Path(package.__path__[0])
        shutil.copytree(source, code / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    environ = {"PYTHONPATH": str(code), "PYTHONSAFEPATH": "1"}
    with live_daemon(tmp_path / "home", environ=environ) as daemon:
        yield daemon


async def _restart(daemon: LiveDaemon) -> Any:
    return await asyncio.to_thread(daemon.call, "restart")


class Resumer:
    """A client as the SDK is one: reconnects after every close and resumes with the last id it saw."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key
        self.numbers: list[int] = []
        self.connects = 0
        self._after: str | None = None

    async def run(self) -> None:
        while True:
            with suppress(ConnectionClosed):
                await self._listen()

    async def _listen(self) -> None:
        async with dial(self.url, self.key) as client:
            answer = await client.subscribe("tmi.*", **({"after": self._after} if self._after else {"last": 0}))
            assert not answer["gap"]
            self._after = self._after or answer["last_event_id"]
            self.connects += 1
            while True:
                event = await client.next()
                if "id" in event:
                    self.numbers.append(event["data"]["number"])
                    self._after = event["id"]


async def test_restart_under_load_loses_nothing_and_turns_nobody_away(daemon: LiveDaemon) -> None:
    """Publishers, resuming subscribers, a connect attempt every 5 ms and a poll of the lock; three restarts."""
    daemon.put(("tmi.issued", {"number": 0}))
    url, pids = daemon.url, {daemon.info.pid}
    resumers = [Resumer(url, daemon.api_key("partner")) for _ in range(20)]
    attempts, published, lock_was_free = 0, 0, 0
    is_over = asyncio.Event()

    async def attempt() -> None:
        nonlocal attempts
        key = daemon.api_key("system")

        async def one() -> None:
            """Who is on its way in when the process hands over may be asked to come again, and is let in then."""
            for _ in range(3):
                with suppress(ConnectionClosed):
                    assert await try_to_connect(url, key) == (["connected"], None)
                    return
            raise AssertionError("asked to come again three times in a row")

        async with asyncio.TaskGroup() as tries:
            running: set[asyncio.Task[None]] = set()
            while not is_over.is_set():
                if len(running) < 100:  # a busy machine does not get them done as fast as they would come
                    running.add(trying := tries.create_task(one()))
                    trying.add_done_callback(running.discard)
                    attempts += 1
                await asyncio.sleep(0.005)

    async def publish() -> None:
        """Publish until it is over, and what was sent until it is acknowledged: it may be stored already."""
        nonlocal published
        key, unique = daemon.api_key("system"), uuid4()
        is_sent = False
        while is_sent or not is_over.is_set():
            with suppress(ConnectionClosed):
                async with dial(url, key) as client:
                    while is_sent or not is_over.is_set():
                        is_sent = True
                        name = f"{unique} {published + 1}"  # of its own, should the test be run again on this daemon
                        answer = await client.ask(
                            "publish", channel="tmi.issued", data={"number": published + 1}, event_id=name
                        )
                        assert answer["type"] == "publish_ack", answer
                        published, is_sent = published + 1, False
                        await asyncio.sleep(0.015)  # a client may publish a hundred a second

    async def poll_lock() -> None:
        nonlocal lock_was_free
        while not is_over.is_set():
            lock_was_free += not daemon.is_serving
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as tasks:
        listening = [tasks.create_task(resumer.run()) for resumer in resumers]
        await _until(lambda: all(resumer.connects for resumer in resumers))
        tasks.create_task(attempt())
        publishing = tasks.create_task(publish())
        tasks.create_task(poll_lock())
        for _ in range(RESTARTS):
            pids.add((await _restart(daemon))["pid"])
            await asyncio.sleep(0.3)
        is_over.set()
        await publishing
        await _until(lambda: all(resumer.numbers[-1:] == [published] for resumer in resumers))
        for task in listening:
            task.cancel()
    assert len(pids) == RESTARTS + 1
    assert lock_was_free == 0
    assert attempts > 100
    assert published > 50
    for resumer in resumers:
        assert resumer.numbers == list(range(1, published + 1))
        assert resumer.connects > 1
    assert daemon.url == url
    assert "Traceback" not in daemon.everything_logged


async def _until(condition: Any) -> None:
    await comes_true(condition, seconds=120)


async def test_clients_are_asked_to_move_each_at_a_moment_of_its_own(daemon: LiveDaemon) -> None:
    key = daemon.api_key("partner")
    clients = [await open_client(daemon.url, key) for _ in range(30)]
    await _restart(daemon)
    closes = await asyncio.gather(*(client.closed() for client in clients))
    assert {code for code, _ in closes} == {1012}
    moments = [int(reason.partition("retry_ms=")[2]) for _, reason in closes]
    assert len(set(moments)) == 30
    assert all(0 < moment <= 2000 for moment in moments)


async def test_limits_are_exact_over_both_processes(daemon: LiveDaemon) -> None:
    """Racing clients never hold more than five places, counted from the clients' side, whoever admitted them."""
    key, url = daemon.api_key("public"), daemon.url
    held = most = admitted = 0
    is_over = asyncio.Event()
    noise = random.Random(1)

    async def race() -> None:
        nonlocal held, most, admitted
        while not is_over.is_set():
            client = await open_client(url, key)
            try:
                if (await client.next())["type"] != "connected":
                    continue
                held += 1
                admitted += 1
                most = max(most, held)
                try:
                    async with asyncio.timeout(noise.uniform(0.01, 0.3)):
                        await client.closed()
                except TimeoutError:
                    pass
                finally:
                    held -= 1
            except ConnectionClosed as closed:
                assert closed.rcvd is not None and closed.rcvd.code == 1012, closed
            finally:
                await client.connection.close()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(15):
            tasks.create_task(race())
        for _ in range(RESTARTS):
            await asyncio.sleep(0.3)
            await _restart(daemon)
        await asyncio.sleep(0.3)
        is_over.set()
    assert most <= 5
    assert admitted > 50
    await _until(lambda: daemon.counted()["public"] == 0)


async def test_places_held_in_the_old_process_count_in_the_new_one(daemon: LiveDaemon) -> None:
    key = daemon.api_key("public")
    lingering = []
    for _ in range(5):
        client = await open_client(daemon.url, key)
        await client.next()
        client.connection.transport.pause_reading()
        lingering.append(client)
    await _restart(daemon)
    assert await try_to_connect(daemon.url, key) == (["CONNECTION_LIMIT"], 4002)
    for client in lingering:
        client.connection.transport.abort()
    await _until(lambda: daemon.counted()["public"] == 0)
    assert await try_to_connect(daemon.url, key) == (["connected"], None)


# A new process that does not come to serve.


def _break(daemon: LiveDaemon, module: str) -> Path:
    path = Path(daemon.environ["PYTHONPATH"]) / module
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, "this is no Python\n"]))
    return path


@pytest.mark.parametrize(
    "module", ["swim_server/streaming/hub.py", "swimctl/app.py", "swim_server/sources/adl/source.py"]
)
async def test_syntax_error_on_disk_leaves_the_old_process_serving_and_tells_the_line(
    copied: LiveDaemon, module: str
) -> None:
    async with dial(copied.url, copied.api_key()) as client:
        await client.subscribe("tmi.*")
        before = copied.info
        path = _break(copied, module)
        line = len(path.read_text().splitlines())
        with pytest.raises(RpcFailed) as failed:
            await _restart(copied)
        assert f"line {line}" in str(failed.value)
        assert path.name in str(failed.value)
        assert "keeps serving" in str(failed.value)
        copied.put(("tmi.issued", {"number": 1}))
        assert [event["data"] for event in await client.events(1)] == [{"number": 1}]
        assert copied.info == before


LATER_SCHEMA = "; ".join(
    f"__import__('sqlite3').connect(self.home.{file}, timeout=20).executescript("
    f"'ALTER TABLE {table} ADD COLUMN later; CREATE TABLE later_version (x)')"
    for file, table in (("history", "events"), ("history", "event_ids"), ("database", "swim_api_keys"))
).replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")
"""What a later version may do to the files before it turns out that it can't serve."""


async def test_process_that_dies_while_it_starts_leaves_the_old_one_serving(copied: LiveDaemon) -> None:
    """And files that it can go on with."""
    path = Path(copied.environ["PYTHONPATH"]) / "swim_server/daemon/service.py"
    text = path.read_text()
    moments = (
        "    async def _start(self) -> None:\n",
        "    async def _listen(self) -> int:\n",
        "        self.lockfile.write(self.info)\n        if self.inherited is not None:\n",
    )
    for moment in moments:
        assert text.count(moment) == 1
        indent = " " * (4 + len(moment.splitlines()[-1]) - len(moment.splitlines()[-1].lstrip()))
        change = f"{LATER_SCHEMA}; " if moment is moments[-1] else ""
        path.write_text(text.replace(moment, f"{moment}{indent}{change}__import__('os')._exit(7)\n"))
        with pytest.raises(RpcFailed, match="ended with code 7"):
            await _restart(copied)
        (event,) = copied.put(("tmi.issued", {"number": 1}))
        assert copied.put(("tmi.issued", {"number": 2}))[0] > event
        assert await try_to_connect(copied.url, copied.api_key()) == (["connected"], None)
    path.write_text(text)
    before = copied.info.pid
    assert (await _restart(copied))["pid"] != before
    assert await try_to_connect(copied.url, copied.api_key()) == (["connected"], None)


async def test_invalid_configuration_leaves_the_old_process_serving(daemon: LiveDaemon) -> None:
    before = daemon.info.pid
    daemon.config_path.write_text("[server]\nprot = 1\n")
    with pytest.raises(RpcFailed, match="port"):
        await _restart(daemon)
    assert daemon.info.pid == before
    assert await try_to_connect(daemon.url, daemon.api_key()) == (["connected"], None)


async def test_second_restart_at_the_same_time_is_refused(daemon: LiveDaemon) -> None:
    first = asyncio.create_task(_restart(daemon))
    await asyncio.sleep(0.1)
    with pytest.raises(RpcFailed, match="under way"):
        await _restart(daemon)
    assert (await first)["pid"] == daemon.info.pid


async def test_stop_in_the_middle_of_a_restart_stops_both(own: LiveDaemon) -> None:
    restarting = asyncio.create_task(_restart(own))
    await asyncio.sleep(0.3)
    pid = own.info.pid
    own.signal(signal.SIGTERM)
    await asyncio.gather(restarting, return_exceptions=True)
    await _until(lambda: not own.is_serving or own.info.pid != pid)
    if own.is_serving:  # it had taken over just before
        own.signal(signal.SIGTERM)
    await _until(lambda: not own.is_serving)


async def test_kill_of_the_old_process_after_the_handover_frees_its_places(daemon: LiveDaemon) -> None:
    key = daemon.api_key("public")
    old = daemon.info.pid
    client = await open_client(daemon.url, key)
    await client.next()
    client.connection.transport.pause_reading()
    await _restart(daemon)
    assert daemon.counted()["public"] == 1
    os.kill(old, signal.SIGKILL)
    await _until(lambda: daemon.counted()["public"] == 0)
    client.connection.transport.abort()


# Other ways to ask for it.


async def test_hangup_restarts_and_usr1_reloads(daemon: LiveDaemon) -> None:
    before = daemon.info.pid
    daemon.signal(signal.SIGHUP)
    await _until(lambda: daemon.info.pid != before)
    assert await try_to_connect(daemon.url, daemon.api_key()) == (["connected"], None)
    daemon.config_path.write_text("[tiers.public]\nconnections = 7\n")
    daemon.signal(signal.SIGUSR1)
    await _until(lambda: daemon.call("status")["connections"]["by_tier"]["public"]["limit"] == 7)
    daemon.config_path.write_text("[tiers.public]\nconnections = 0\n")
    daemon.signal(signal.SIGUSR1)
    await _until(lambda: "nothing has changed" in daemon.everything_logged)
    assert daemon.call("status")["connections"]["by_tier"]["public"]["limit"] == 7


async def test_stop_right_after_a_restart_frees_the_lock_soon(own: LiveDaemon) -> None:
    key = own.api_key("partner")
    clients = [await open_client(own.url, key) for _ in range(200)]
    await _restart(own)
    began = time.monotonic()
    done = await asyncio.to_thread(own.swimctl, "stop")
    assert done.returncode == 0, done.stderr
    assert not own.is_serving
    assert time.monotonic() - began < 8
    for client in clients:
        client.connection.transport.abort()


async def test_revoked_key_closes_its_connections_in_the_process_that_leaves_too(daemon: LiveDaemon) -> None:
    issued = daemon.make_key("system")
    others = [await open_client(daemon.url, daemon.api_key("partner")) for _ in range(300)]
    client = await open_client(daemon.url, issued.api_key)
    await client.next()
    await _restart(daemon)
    await asyncio.to_thread(daemon.call, "key_changed", {"key_id": issued.record.id})
    code, _ = await client.closed()
    assert code in {1012, 4001}
    for other in others:
        other.connection.transport.abort()
