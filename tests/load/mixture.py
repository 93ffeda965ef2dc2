"""Everything at once, for ten minutes: floods, storms of connects, bad files, full disks; and well-behaved clients.

    python tests/load/mixture.py [--seconds 600] [--seed 1] [--realtime]

Four clients ask something forty times a second each, one client receives every event, a publisher and a provider with a
drop folder send some. Floods of all kinds follow each other, from one to ten clients, for five seconds each. Every
twenty seconds 200 clients connect at once; between good files the provider drops broken ones, links, FIFOs and folders;
once a minute the disk of the home (a file system of its own, which only root can mount) is full for three seconds.
Exits 1 when an acknowledged or dropped event was lost, repeated or out of order, or a good client was cut.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flood import OTHERS, Other, Target, all_answered
from support.daemon import NotAnswering
from support.floods import FLOODS
from support.live_daemon import LiveDaemon
from support.load_rig import pinned, table
from support.mounts import NoMount, mounted, tmpfs
from support.resuming_client import ResumingClient
from support.tunnels import UPGRADE, TunnelPool

from swimctl.client.control import RpcFailed

HOME_BYTES, HOME_BYTES_PER_SECOND = 96 * 1024 * 1024, 64 * 1024
"""How large the home's disk is: history keeps a day of what is sent."""
FLOOD_SECONDS, STORM_SECONDS, FULL_EVERY_SECONDS, FULL_SECONDS = 5.0, 20.0, 60.0, 3.0
PUBLISH_SECONDS, DROP_SECONDS = 0.05, 1.0
STORM = 200
LATEST_SECONDS = 90.0
"""For what was sent last to come."""
CONFIG = """
[tiers.system]
connections = 2000
messages_per_second = 1000
[tiers.public]
connections = 2000
"""
_NUMBER = re.compile(rb'"number":"([a-z]+-\d+)"')


class Mixture:
    """What is sent, and what of it has arrived."""

    def __init__(self, daemon: LiveDaemon, drop: Path, rng: random.Random) -> None:
        self.daemon = daemon
        self.drop = drop
        self.rng = rng
        self.sent: set[str] = set()
        """Numbers of events that were acknowledged, or handed over in a file."""
        self.came: list[str] = []
        self.ids: list[tuple[int, int]] = []
        self.not_taken = 0
        self.floods = self.storms = self.bad_files = self.full = 0
        self.memory: list[tuple[float, int]] = []

    def on_event(self, wire: bytes) -> None:
        """Note an event that the receiving client got."""
        found, event_id = _NUMBER.search(wire), re.search(rb'"id":"(\d+)-(\d+)"', wire)
        if found is not None and event_id is not None:
            self.came.append(found[1].decode())
            self.ids.append((int(event_id[1]), int(event_id[2])))

    async def publish(self) -> None:
        number = 0
        while True:
            number += 1
            name = f"published-{number}"
            try:
                await asyncio.to_thread(self.daemon.put, ("flight.created", {"number": name, "route": "x" * 200}))
            except (RpcFailed, NotAnswering):
                self.not_taken += 1
            else:
                self.sent.add(name)
            await asyncio.sleep(PUBLISH_SECONDS)

    async def provide(self) -> None:
        """Drop good files, and bad ones in between."""
        number = 0
        while True:
            names = [f"dropped-{number * 10 + each}" for each in range(5)]
            lines = [json.dumps({"type": "flight.created", "data": {"number": name}}) for name in names]
            self._put_in_place(f"good-{number}.jsonl", "".join(f"{line}\n" for line in lines).encode())
            self.sent.update(names)
            self._drop_bad_one(number)
            number += 1
            await asyncio.sleep(DROP_SECONDS)

    def _put_in_place(self, name: str, data: bytes) -> None:
        hidden = self.drop.parent / name
        hidden.write_bytes(data)
        hidden.rename(self.drop / name)

    def _drop_bad_one(self, number: int) -> None:
        path = self.drop / f"bad-{number}.jsonl"
        kind = self.rng.choice(["garbage", "long-line", "link", "fifo", "folder", "nothing"])
        if kind == "garbage":
            self._put_in_place(path.name, self.rng.randbytes(20_000))
        elif kind == "long-line":
            self._put_in_place(path.name, b"{" * 2_000_000 + b"\n")
        elif kind == "link":
            path.symlink_to("/etc/hostname")
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        self.bad_files += kind != "nothing"

    async def flood(self, key: str) -> None:
        """Send one kind of flood after the other."""
        while True:
            for kind in self.rng.sample(list(FLOODS), len(FLOODS)):
                clients = str(self.rng.randint(1, 10))
                words = [*pinned(1), "nice", "-n", "10", sys.executable, "-m", "support.floods", kind]
                process = await asyncio.create_subprocess_exec(
                    *words, str(self.daemon.port), clients, f"{FLOOD_SECONDS:g}",
                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[1],
                )  # fmt: skip
                try:
                    await process.communicate(key.encode() + b"\n")
                finally:
                    with suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()
                self.floods += 1

    async def storm(self, key: str) -> None:
        while True:
            await asyncio.sleep(STORM_SECONDS)
            async with TunnelPool(self.daemon.port, key, tls=None, host="swim.example.org") as pool:
                await pool.open(STORM, seconds=STORM_SECONDS)
            self.storms += 1

    async def fill_disk(self) -> None:
        """Fill the home's disk completely, and free it again."""
        filler = self.daemon.home / "filler"
        while True:
            await asyncio.sleep(FULL_EVERY_SECONDS)
            try:
                await asyncio.to_thread(_fill, filler)
                await asyncio.sleep(FULL_SECONDS)
            finally:
                filler.unlink(missing_ok=True)
            self.full += 1

    async def watch_memory(self, target: Target) -> None:
        began = time.monotonic()
        while True:
            self.memory.append((time.monotonic() - began, int(target.rss())))
            await asyncio.sleep(1)

    def memory_of(self, first: float, last: float) -> float:
        """Return the median memory during a part of the run, in MiB."""
        end = self.memory[-1][0]
        found = sorted(rss for at, rss in self.memory if first * end <= at <= last * end)
        return float(found[len(found) // 2])


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        size = 1024 * 1024
        while size:
            try:
                file.write(b"\0" * size)
            except OSError:
                size //= 4


@contextmanager
def small_disk(folder: Path, seconds: float) -> Iterator[bool]:
    """Provide a separate file system for a run of so many seconds, if possible."""
    folder.mkdir()
    size = HOME_BYTES + int(seconds) * HOME_BYTES_PER_SECOND
    with ExitStack() as stack:
        try:
            stack.enter_context(mounted(folder, *tmpfs(f"{size},mode=0700")))
        except NoMount:
            yield False
        else:
            yield True


async def run(mixture: Mixture, target: Target, seconds: float, *, has_disk: bool) -> dict[str, Any]:
    daemon, loop = mixture.daemon, asyncio.get_running_loop()
    good, bad = daemon.api_key("system"), daemon.api_key("public")
    receiver = await ResumingClient.open(daemon.url, good, mixture.on_event)
    receiver.subscribe()
    head = UPGRADE.format(path="/api/swim/v1/ws", host="swim.example.org", key=good).encode()
    others = [Other(head, loop) for _ in range(OTHERS)]
    for other in others:
        await loop.create_connection(lambda each=other: each, "127.0.0.1", daemon.port)  # type: ignore[misc]  # mypy takes a default of a lambda for no type
    assert all(await asyncio.gather(*(other.opened for other in others))), "the others are let in"
    work: list[Callable[[], Coroutine[Any, Any, None]]] = [
        mixture.publish, mixture.provide, lambda: mixture.flood(bad), lambda: mixture.storm(good),
        lambda: mixture.watch_memory(target), *([mixture.fill_disk] if has_disk else []),
    ]  # fmt: skip
    tasks = [asyncio.create_task(each()) for each in work]
    await asyncio.gather(*(other.ask_for(seconds) for other in others))
    failed = ["cancelled" if task.cancelled() else task.exception() for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await all_answered(others)
    deadline = time.monotonic() + LATEST_SECONDS
    while mixture.sent - set(mixture.came) and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
    found = [sorted(other.take()) for other in others]
    cut = sum(other.ended.done() for other in others) + receiver.closed.done()
    for other in others:
        other.transport.abort()
    receiver.hang_up()
    return {
        "p50": 1e3 * max(each[len(each) // 2] for each in found),
        "p99": 1e3 * max(each[int(len(each) * 0.99)] for each in found),
        "max": 1e3 * max(each[-1] for each in found),
        "cut": cut,
        "failed": failed,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--realtime", action="store_true", help="let other work of the machine wait (root)")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="swim-mixture-") as name,
        small_disk(Path(name) / "home", options.seconds) as has_disk,
    ):
        drop = Path(name) / "drop"
        drop.mkdir()
        daemon = LiveDaemon(Path(name) / "home", config=CONFIG, sources=(f"drop:{drop}",))
        try:
            daemon.start()
            assert daemon.process is not None
            target = Target("swim", daemon.process.pid, daemon.port)
            if options.realtime:
                target.run_before_all()
            mixture = Mixture(daemon, drop, random.Random(options.seed))
            found = asyncio.run(run(mixture, target, options.seconds, has_disk=has_disk))
        finally:
            daemon.kill()
            daemon.finish()
    came = set(mixture.came)
    lost = len(mixture.sent - came)
    repeated, disordered = len(mixture.came) - len(came), mixture.ids != sorted(mixture.ids)
    tenths = ", ".join(f"{mixture.memory_of(part / 10, (part + 1) / 10):.0f}" for part in range(10))
    most = max(rss for _, rss in mixture.memory)
    rows = [
        ["floods, storms", f"{mixture.floods}, {mixture.storms}"],
        ["bad files, full disks", f"{mixture.bad_files}, {mixture.full}"],
        ["worst client: p50, p99, longest, ms", f"{found['p50']:.1f}, {found['p99']:.1f}, {found['max']:.0f}"],
        ["good clients cut", found["cut"]],
        ["events acknowledged or dropped; not taken", f"{len(mixture.sent)}; {mixture.not_taken}"],
        ["lost, repeated, out of order", f"{lost}, {repeated}, {'yes' if disordered else 'no'}"],
        ["memory, MiB: median of each tenth", tenths],
        ["memory, MiB: most", f"{most:.0f}"],
    ]
    table(
        f"{shlex.join(['python', 'tests/load/mixture.py', *sys.argv[1:]])}, {date.today()}", ("what", "measured"), rows
    )
    if found["failed"]:
        print("ended early:", *found["failed"])
    sys.exit(1 if lost or repeated or disordered or found["cut"] or found["failed"] else 0)


if __name__ == "__main__":
    main()
