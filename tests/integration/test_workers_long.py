"""Worker processes under load: killed, restarted, stopped dead; nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import ssl
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.live_daemon import LiveDaemon, await_true, comes_true, live_daemon
from support.packages import require_program
from support.resuming_client import ResumingClient, event_id, retry_seconds
from support.wire_client import dial, open_client
from swim_server.daemon.upkeep.state_keeper import CHECKPOINT_EVENTS

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

CONFIG = """
[server]
workers = 2
"""
CLIENTS = 300


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path / "home", config=CONFIG) as daemon:
        yield daemon


def workers(daemon: LiveDaemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.call("status")["workers"]
    return found


def is_replaced(daemon: LiveDaemon, number: int, pid: int) -> bool:
    """Tell whether another process serves as this worker."""
    now = workers(daemon)[number]
    return bool(now["state"] == "ready" and now["pid"] != pid)


class Follower:
    """A client that resumes until it has seen the last event."""

    def __init__(self, url: str, key: str) -> None:
        self.ids: list[str] = []
        self.drops = 0
        self._url = url
        self._key = key

    async def run(self, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            try:
                client = await ResumingClient.open(self._url, self._key, lambda told: self.ids.append(event_id(told)))
            except (OSError, ConnectionError):
                await asyncio.sleep(0.1)
                continue
            client.subscribe(**({"after": self.ids[-1]} if self.ids else {}))
            over = asyncio.create_task(is_over.wait())
            either: list[asyncio.Future[Any]] = [client.closed, over]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
            if not client.closed.done():
                client.hang_up()
                return
            self.drops += 1
            code, reason = client.closed.result()
            await asyncio.sleep(retry_seconds(reason) if code == 1012 else 0.05)


async def follow(daemon: LiveDaemon, trouble: Any) -> list[Follower]:
    """Publish to clients that resume while ``trouble`` runs; each must have every event once, in order."""
    key = await asyncio.to_thread(daemon.api_key, "system")
    followers, is_over = [Follower(daemon.url, key) for _ in range(CLIENTS)], asyncio.Event()
    running = [asyncio.create_task(each.run(is_over)) for each in followers]
    await comes_true(lambda: daemon.counted()["system"] == CLIENTS, what="all clients")
    marker = ""
    while not all(each.ids[-1:] == [marker] for each in followers):  # each has something to resume from
        (marker,) = await asyncio.to_thread(daemon.put, ("flight.created", {"number": 0}))
        await asyncio.sleep(0.5)
    published = [marker]
    for each in followers:
        each.ids = [marker]
    causing = asyncio.create_task(trouble())
    number = 0
    while not causing.done() or number < 200:
        number += 1
        published += await asyncio.to_thread(daemon.put, *[("flight.created", {"number": number})] * 2)
        await asyncio.sleep(0.02)
    await causing
    await comes_true(lambda: all(len(each.ids) >= len(published) for each in followers), what="the last event")
    is_over.set()
    await asyncio.gather(*running)
    wrong = [each for each in followers if each.ids != published]
    assert not wrong, f"{len(wrong)} of {CLIENTS} clients have lost, doubled or misplaced events"
    return followers


async def test_killed_worker_costs_nobody_an_event_and_the_others_nothing(daemon: LiveDaemon) -> None:
    async def kill() -> None:
        for number in (0, 1, 0):
            before = workers(daemon)[number]["pid"]
            os.kill(before, signal.SIGKILL)
            await comes_true(partial(is_replaced, daemon, number, before), what="the next worker")

    async def kill_once() -> None:
        os.kill(workers(daemon)[0]["pid"], signal.SIGKILL)

    followers = await follow(daemon, kill_once)
    assert sum(each.drops for each in followers) == CLIENTS // 2
    assert max(each.drops for each in followers) == 1
    await comes_true(lambda: workers(daemon)[0]["state"] == "ready", what="the next worker")
    await follow(daemon, kill)


async def test_stopped_worker_holds_nobody_up_and_is_killed(daemon: LiveDaemon) -> None:
    async def stop() -> None:
        pid = workers(daemon)[1]["pid"]
        os.kill(pid, signal.SIGSTOP)
        await comes_true(lambda: workers(daemon)[1]["pid"] not in (pid, None), seconds=90, what="the next worker")

    await follow(daemon, stop)
    assert "nothing was heard of it" in workers(daemon)[1]["last_end"]


async def test_workers_serve_on_after_more_events_than_between_two_checkpoints(daemon: LiveDaemon) -> None:
    key = await asyncio.to_thread(daemon.api_key, "system")
    before = [worker["pid"] for worker in workers(daemon)]
    clients = [await open_client(daemon.url, key) for _ in range(2)]
    for client in clients:
        await client.next()
        await client.subscribe("tmi.issued")
    for _ in range(CHECKPOINT_EVENTS // 1000 + 20):
        await asyncio.to_thread(daemon.put, *[("flight.created", {"number": 0})] * 1000)
    (last,) = await asyncio.to_thread(daemon.put, ("tmi.issued", {"program_id": 1}))
    for client in clients:
        assert [event["id"] for event in await client.events(1)] == [last]
        await client.connection.close()
    assert [worker["pid"] for worker in workers(daemon)] == before


async def test_restart_under_load_loses_nothing(daemon: LiveDaemon) -> None:
    async def restart() -> None:
        for _ in range(2):
            done = await asyncio.to_thread(daemon.swimctl, "restart", timeout=120)
            assert done.returncode == 0, done.stderr

    await follow(daemon, restart)


def test_bench_with_5000_clients_loses_nothing_though_one_of_the_workers_that_share_them_is_killed(
    daemon: LiveDaemon,
) -> None:
    words = ("--running", "--clients", "5000", "--rate", "10", "--duration", "20", "--yes", "--json")
    bench = daemon.spawn("bench", *words)
    await_true(lambda: daemon.counted()["system"] == 5000, seconds=300, what="5,000 clients")
    shares = [worker["connections"] for worker in workers(daemon)]
    assert max(shares) <= 1.2 * min(shares), shares
    before = daemon.call("status")["events_published"]
    await_true(lambda: daemon.call("status")["events_published"] >= before + 20, seconds=60, what="the first events")
    os.kill(workers(daemon)[0]["pid"], signal.SIGKILL)
    output, errors = bench.communicate(timeout=300)
    found = json.loads(output)
    assert (found["lost"], found["repeated"], found["gaps"], found["ok"]) == (0, 0, 0, True), (found, errors)
    assert found["deliveries"] == 5000 * found["events"]
    assert found["closed"] == {"1006": shares[0]} and found["resumed"] >= shares[0], found


def test_tls_is_done_in_the_workers(tmp_path: Path) -> None:
    subprocess.run(
        [require_program("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    arguments = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))

    async def receive(daemon: LiveDaemon, key: str) -> None:
        options: dict[str, Any] = {"ssl": context, "server_hostname": "localhost"}
        async with dial(daemon.url, key, **options) as one, dial(daemon.url, key, **options) as two:
            for client in (one, two):
                await client.subscribe("tmi.issued")
            assert [worker["connections"] for worker in workers(daemon)] == [1, 1]
            (published,) = await asyncio.to_thread(daemon.put, ("tmi.issued", {"number": 1}))
            assert [(await client.events(1))[0]["id"] for client in (one, two)] == [published] * 2

    with live_daemon(tmp_path / "home", config=CONFIG, arguments=arguments) as daemon:
        key = daemon.api_key()
        asyncio.run(receive(daemon, key))
        for _ in range(2):
            connection = http.client.HTTPSConnection("localhost", daemon.port, context=context, timeout=30)
            for path in ("/readyz", "/flights"):  # the second on the same connection
                connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
                answer = connection.getresponse()
                assert answer.status == 200, answer.read()
                answer.read()
            connection.close()
