"""Figures of resuming: replay to one client, many at once beside a live one, memory, a restart under many clients.

    python tests/load/resume.py [--backlog 1000000] [--resuming 100] [--each 20000] [--clients 2000]

Prints a table; asserts that nothing is lost or repeated, and no times. Daemon, clients and publisher share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil
from support.daemon import Daemon, running_daemon
from support.load_rig import table, workshop
from support.resuming_client import ResumingClient, event_id, retry_seconds
from swim_server.daemon.home import Home

from swimctl.client.control import ControlClient
from swimctl.errors import CommandError

AT_ONCE = 100
"""So many connect at the same time."""
TIERS = "[tiers.system]\nconnections = 20000\n"
_NUMBER = re.compile(rb'"n":(\d+)')
_AT = re.compile(rb'"at":(\d+)')


def event(number: int) -> dict[str, Any]:
    """Return an event of some 300 bytes on the wire."""
    data = {"callsign": f"SWA{number % 1000}", "dep": "KJFK", "arr": "KBOS", "n": number, "at": time.monotonic_ns()}
    return {"type": "flight.created", "data": data | {"route": "x" * 80}, "event_id": f"load-{number}"}


class Publisher:
    """Publishes numbered events, each until it is acknowledged, whatever happens to the daemon."""

    def __init__(self, home: Path) -> None:
        self._home = Home(home)
        self._control: ControlClient | None = None
        self.number = 0
        """How many are stored."""

    def publish(self, count: int) -> str:
        """Store the next events; return the id of the last."""
        events = [event(self.number + place) for place in range(count)]
        while True:
            try:
                if self._control is None:
                    self._control = ControlClient.connect(self._home)
                published = self._control.call("publish", {"events": events})["published"]
            except (CommandError, OSError):
                self._control = None
                time.sleep(0.01)
            else:
                self.number += count
                return str(published[-1]["id"])

    @contextmanager
    def steadily(self, per_second: float) -> Iterator[None]:
        """Publish one event after the other, in a thread, during the block."""
        ended = threading.Event()

        def run() -> None:
            while not ended.wait(1 / per_second):
                self.publish(1)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


class Actor:
    """This program again, as many clients: a separate process, so that measurements here are not delayed."""

    def __init__(self, role: str, daemon: Daemon, key: str, **settings: object) -> None:
        words = [f"--{name}={value}" for name, value in settings.items()]
        self._process = subprocess.Popen(
            [sys.executable, __file__, f"--act-as={role}", f"--url={daemon.url}", *words],
            env=os.environ | {"SWIM_API_KEY": key}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._line()

    def say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._line())
        self._process.wait(30)
        return found

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args!r} ended without a word")
        return line


# The clients of other processes.


async def act_as_resuming(options: argparse.Namespace) -> None:
    """Request the events after an id with all clients at once; each is done when it has this many."""
    loop = asyncio.get_running_loop()
    done = [loop.create_future() for _ in range(options.clients)]
    clients = []
    for waiter in done:
        clients.append(
            await ResumingClient.open(options.url, os.environ["SWIM_API_KEY"], counting(options.each, waiter))
        )
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    began = time.monotonic()
    for client in clients:
        client.subscribe(after=options.after)
    await asyncio.gather(*done)
    print(json.dumps({"seconds": time.monotonic() - began, "events": sum(client.events for client in clients)}))


def counting(wanted: int, done: asyncio.Future[None]) -> Callable[[bytes], None]:
    """Return a handler for events whose numbers must be consecutive, until there are enough."""
    seen, last = 0, -1

    def take(message: bytes) -> None:
        nonlocal seen, last
        match = _NUMBER.search(message)
        assert match is not None, message[:200]
        number = int(match[1])
        assert last in (-1, number - 1), f"event {number} came after {last}"
        seen, last = seen + 1, number
        if seen == wanted:
            done.set_result(None)

    return take


class Mover:
    """A client that reconnects whenever asked to, and resumes."""

    def __init__(self, url: str, key: str, tally: Tally) -> None:
        self._url = url
        self._key = key
        self._tally = tally
        self._last_id: str | None = None
        self._last_number: int | None = None

    async def run(self, gate: asyncio.Semaphore, ready: Callable[[], None]) -> None:
        async with gate:
            client = await self._open()
        ready()
        while True:
            _, reason = await client.closed
            await asyncio.sleep(retry_seconds(reason))
            client = await self._open()
            self._tally.reconnects[int(time.monotonic())] += 1

    async def _open(self) -> ResumingClient:
        while True:
            try:
                client = await ResumingClient.open(self._url, self._key, self._take)
            except OSError:
                self._tally.refused += 1
                await asyncio.sleep(0.1)
                continue
            client.subscribe(**({"after": self._last_id} if self._last_id else {}))
            return client

    def _take(self, message: bytes) -> None:
        match = _NUMBER.search(message)
        assert match is not None, message[:200]
        number, last = int(match[1]), self._last_number
        self._last_number, self._last_id = number, event_id(message)
        self._tally.take(number, last)


class Tally:
    """What all movers together received."""

    def __init__(self) -> None:
        self.reconnects: Counter[int] = Counter()
        self.refused = self.lost = self.repeated = self.events = 0
        self.longest_silence = 0.0
        """Between two events, whoever got them."""
        self._last = 0.0

    def take(self, number: int, last: int | None) -> None:
        now = time.monotonic()
        if self._last:
            self.longest_silence = max(self.longest_silence, now - self._last)
        self._last = now
        self.events += 1
        if last is not None:
            self.lost += max(0, number - last - 1)
            self.repeated += number <= last


async def act_as_moving(options: argparse.Namespace) -> None:
    """Stay connected through everything, until told to end."""
    tally, gate = Tally(), asyncio.Semaphore(AT_ONCE)
    waiting = options.clients
    all_ready = asyncio.Event()

    def ready() -> None:
        nonlocal waiting
        waiting -= 1
        if not waiting:
            all_ready.set()

    movers = [Mover(options.url, os.environ["SWIM_API_KEY"], tally) for _ in range(options.clients)]
    tasks = [asyncio.create_task(mover.run(gate, ready)) for mover in movers]
    await all_ready.wait()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    found = {
        "reconnects": sum(tally.reconnects.values()), "peak": max(tally.reconnects.values(), default=0),
        "lost": tally.lost, "repeated": tally.repeated, "refused": tally.refused, "events": tally.events,
        "longest_silence": tally.longest_silence,
    }  # fmt: skip
    print(json.dumps(found), flush=True)
    for task in tasks:
        task.cancel()


# What is measured.


def rss_mib(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 2**20


async def measure_replay(daemon: Daemon, key: str, after: str, events: int) -> list[list[object]]:
    """Read the whole backlog with one client, sampling the daemon's memory."""
    pid = daemon.status()["pid"]
    before, peak = rss_mib(pid), 0.0
    usage = psutil.Process(pid).cpu_times()
    done = asyncio.get_running_loop().create_future()
    client = await ResumingClient.open(daemon.url, key, counting(events, done))
    began = time.monotonic()
    client.subscribe(after=after)
    while not done.done():
        await asyncio.wait([done], timeout=0.2)
        peak = max(peak, rss_mib(pid))
    seconds = time.monotonic() - began
    used = psutil.Process(pid).cpu_times()
    cpu = used.user + used.system - usage.user - usage.system
    client.hang_up()
    return [
        [f"replay of {events:,} events to one client", f"{events / seconds:,.0f} events/s ({cpu:.1f} s of CPU)"],
        ["the daemon's memory before it, and at most during it", f"{before:.0f} MiB, {peak:.0f} MiB"],
    ]


async def measure_live(
    daemon: Daemon, key: str, publisher: Publisher, options: argparse.Namespace
) -> list[list[object]]:
    """Measure the latency of a live client, alone and while many others resume."""
    latencies: list[float] = []

    def take(message: bytes) -> None:
        match = _AT.search(message)
        assert match is not None, message[:200]
        latencies.append((time.monotonic_ns() - int(match[1])) / 1e6)

    live = await ResumingClient.open(daemon.url, key, take)
    live.subscribe()
    after = await asyncio.to_thread(publisher.publish, 1)
    for _ in range(options.each // 1000):
        await asyncio.to_thread(publisher.publish, 1000)
    crowd = await asyncio.to_thread(
        Actor, "resuming", daemon, key, clients=options.resuming, each=options.each, after=after
    )
    with publisher.steadily(50):
        await asyncio.sleep(1)
        latencies.clear()
        await asyncio.sleep(options.seconds)
        alone = list(latencies)
        latencies.clear()
        crowd.say("go")
        result = await asyncio.to_thread(crowd.result)
        beside = list(latencies)
    live.hang_up()
    rate = result["events"] / result["seconds"]
    return [
        [f"{options.resuming} clients resuming {options.each:,} events each, at once", f"{rate:,.0f} events/s in all"],
        ["latency of a live client before, 50 events/s, p50 / p99", shown(alone)],
        ["the same during it", shown(beside)],
    ]


def shown(latencies: list[float]) -> str:
    marks = statistics.quantiles(latencies, n=100)
    return f"{marks[49]:.1f} / {marks[98]:.1f} ms ({len(latencies):,} events)"


def measure_restart(daemon: Daemon, key: str, publisher: Publisher, clients: int) -> list[list[object]]:
    """Run ``swimctl restart`` under many clients, with a connection attempt every 5 ms and 20 events/s."""
    crowd = Actor("moving", daemon, key, clients=clients)
    port = int(daemon.url.split(":")[2].split("/")[0])
    failed: list[str] = []
    ended = threading.Event()
    tried = 0

    def knock() -> None:
        import socket

        nonlocal tried
        while not ended.wait(0.005):
            tried += 1
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            except OSError as error:
                failed.append(str(error))

    with publisher.steadily(20):
        time.sleep(2)
        knocker = threading.Thread(target=knock)
        knocker.start()
        began = time.monotonic()
        daemon.swimctl("restart")
        seconds = time.monotonic() - began
        time.sleep(8)
        ended.set()
        knocker.join()
    time.sleep(2)
    crowd.say("end")
    found = crowd.result()
    assert (found["lost"], found["repeated"]) == (0, 0), found
    return [
        [f"swimctl restart under {clients:,} clients, until it returns", f"{seconds:.1f} s"],
        ["connections tried every 5 ms that failed", f"{len(failed)} of {tried:,}"],
        ["reconnects: in all, and in the busiest second", f"{found['reconnects']:,}, {found['peak']:,}"],
        ["events lost / repeated, of those delivered", f"{found['lost']} / {found['repeated']} of {found['events']:,}"],
        ["longest time in which nobody got an event, of 20/s", f"{found['longest_silence'] * 1000:.0f} ms"],
    ]


def measure(folder: Path, options: argparse.Namespace) -> None:
    with running_daemon(folder / "home", config=TIERS) as daemon:
        key = daemon.key("system", "load")
        publisher = Publisher(daemon.home)
        after = publisher.publish(1)
        for _ in range(options.backlog // 1000):
            publisher.publish(1000)
        rows = asyncio.run(measure_replay(daemon, key, after, options.backlog // 1000 * 1000))
        rows += asyncio.run(measure_live(daemon, key, publisher, options))
        rows += measure_restart(daemon, key, publisher, options.clients)
        table("Resuming", ["what", "measured"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backlog", type=int, default=1_000_000, help="events stored before one client resumes")
    parser.add_argument("--resuming", type=int, default=100, help="clients that resume at once")
    parser.add_argument("--each", type=int, default=20_000, help="events that each of them resumes")
    parser.add_argument("--clients", type=int, default=2_000, help="clients that a restart moves")
    parser.add_argument("--seconds", type=float, default=10, help="how long the live client is watched alone")
    parser.add_argument("--act-as", choices=["resuming", "moving"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--after", help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.act_as == "resuming":
        asyncio.run(act_as_resuming(options))
    elif options.act_as == "moving":
        asyncio.run(act_as_moving(options))
    else:
        with workshop() as folder:
            measure(folder, options)


if __name__ == "__main__":
    main()
