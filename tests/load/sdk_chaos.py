"""Chaos with one client of each SDK at once, against the real daemon: nothing lost, nothing twice, the same in all.

    python tests/load/sdk_chaos.py --rounds 200 --seed 1
    python tests/load/sdk_chaos.py --rounds 20 --clients python,java

Each round kills, restarts, stops or freezes the daemon, or cuts or silences the lines of the clients, while two
publishers work. At the end every client has reported the same events, by id and data, and all that was acknowledged is
among them. Exit 1 when not. Progress goes to standard error, every ten rounds with what is the same in all so far.
SIGTERM ends the run after the round in hand; whatever ends it, the report says what was done.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.chaos_daemon import ChaosDaemon
from support.chaos_faults import Faults
from support.chaos_traffic import Ledger, Pace, publish_by_control, publish_by_key
from support.cuttable_line import CuttableLine
from swim_conformance.adapter import Adapter
from swim_conformance.catalogue import CLIENTS, SDKS

FAULTS = ("kill", "restart", "stop-start", "freeze", "kill-at-commit", "kill-at-handover", "cut", "silence")
LONGEST_SILENCE_SECONDS = 12.0
"""A client with these options gives up after 10 s."""
MARK_EVENTS = 500
SETTLE_SECONDS = 300.0
PAUSE_SECONDS = 0.3
"""Between two batches: some 50 events a second."""
OPTIONS = {"reconnect_ms": 100, "max_reconnect_ms": 2000, "ping_ms": 2000, "ping_timeout_ms": 8000}


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--clients", default=",".join(SDKS))
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="swim-sdk-chaos-") as folder:
        report = asyncio.run(run(Path(folder), arguments.clients.split(","), arguments.rounds, seed))
    print(json.dumps(report, indent=2))
    return 0 if report["ok"] else 1


class Seen:
    """What one client received, counted as it arrives, so that long reports need no memory."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.events = 0
        self.repeated = 0
        self.names: set[str] = set()
        self.reports: Counter[str] = Counter()
        self.marks: dict[int, str] = {}
        """After so many events: the digest of all up to then."""
        self._digest = hashlib.sha256()
        self._ids: set[str] = set()

    def take(self) -> None:
        """Count what has arrived since."""
        reports = self.adapter.reports("c")
        for report in reports:
            self.reports[report["saw"]] += 1
            if report["saw"] == "event" and report["type"] != "system.heartbeat":
                self._take_event(report)
        reports.clear()

    def _take_event(self, event: dict[str, Any]) -> None:
        self.events += 1
        self.repeated += event["id"] in self._ids
        self._ids.add(event["id"])
        self.names |= {value for value in event["data"].values() if isinstance(value, str)}
        self._digest.update(json.dumps([event["id"], event["type"], event["data"]], sort_keys=True).encode())
        if self.events % MARK_EVENTS == 0:
            self.marks[self.events] = self.digest

    @property
    def digest(self) -> str:
        """Return the digest of all events so far."""
        return self._digest.hexdigest()[:16]

    def summary(self, ledger: Ledger) -> dict[str, Any]:
        """Summarise what the client has received."""
        return {
            "events": self.events,
            "lost": len(ledger.expected - self.names),
            "repeated": self.repeated,
            "gaps": self.reports["gap"],
            "connections": self.reports["connected"],
            "ended": self.reports["ended"],
            "digest": self.digest,
        }


class Chaos:
    """One run: the daemon, the line in front of it, its clients, and the faults."""

    def __init__(self, folder: Path, rounds: int, seed: int) -> None:
        (folder / "home").mkdir(mode=0o700)
        (folder / "feed").mkdir()
        self.daemon = ChaosDaemon(folder / "home", folder / "feed" / "swim_ws_events.json", with_clock=False)
        self.seed = seed
        self.rng = random.Random(seed)
        self.pace, self.ledger, self.tally = Pace(), Ledger(), Counter[str]()
        self.pace.pause_seconds = PAUSE_SECONDS
        self.faults = Faults(self.daemon, self.pace, self.rng, has_small_disk=False, has_clock=False)
        self.line = CuttableLine(self.daemon.port)
        self.faults.by_name |= {"cut": self.cut, "silence": self.silence}
        self.seen: dict[str, Seen] = {}
        self.is_enough = asyncio.Event()
        self.broken_off: str | None = None
        self._rounds = rounds
        self._started = time.monotonic()

    async def cut(self) -> None:
        """Break the connections of all clients."""
        self.line.cut()

    async def silence(self) -> None:
        """Silence the connections of all clients, for longer or shorter than they tolerate."""
        await self.line.silence(self.rng.uniform(0.5, LONGEST_SILENCE_SECONDS))

    async def run(self, clients: list[str]) -> dict[str, Any]:
        """Run all rounds; return the report."""
        async with AsyncExitStack() as stack:
            stack.callback(self.daemon.close)
            stack.callback(self.faults.close)
            await asyncio.to_thread(self.daemon.start)
            keys = [await asyncio.to_thread(self.daemon.create_key, "system") for _ in range(2)]
            await stack.enter_async_context(self.line)
            url = self.daemon.url.replace(str(self.daemon.port), str(self.line.port))
            for name in clients:
                self.seen[name] = Seen(await stack.enter_async_context(Adapter(CLIENTS[name]())))
                await begin(self.seen[name].adapter, url, keys[0])
            publishing = [
                asyncio.create_task(work)
                for work in (
                    publish_by_control(
                        self.daemon.home.control_socket, self.ledger, self.pace, random.Random(self.seed + 1)
                    ),
                    publish_by_key(self.daemon.url, keys[1], self.ledger, self.pace, random.Random(self.seed + 2)),
                )
            ]
            try:
                await self.do_rounds()
                self.pace.is_over = True
                await asyncio.wait_for(asyncio.gather(*publishing), SETTLE_SECONDS)
                await self.settle()
            except Exception as error:  # noqa: BLE001  # the report says it, with what was done until then
                self.broken_off = repr(error)
            finally:
                for task in publishing:
                    task.cancel()
            return self.report()

    async def do_rounds(self) -> None:
        """Apply one fault after the other."""
        while self.tally.total() < self._rounds and not self.is_enough.is_set():
            name = self.rng.choice(FAULTS)
            await self.faults.by_name[name]()
            self.tally[name] += 1
            await asyncio.sleep(self.rng.uniform(0.1, 0.8))
            for one in self.seen.values():
                one.take()
            if self.tally.total() % 10 == 0:
                self.tell_progress()

    def same_so_far(self) -> tuple[int, bool]:
        """Return after how many events all clients can be compared, and whether they agree there."""
        count = min(one.events for one in self.seen.values()) // MARK_EVENTS * MARK_EVENTS
        return count, len({one.marks.get(count) for one in self.seen.values()}) == 1

    def tell_progress(self) -> None:
        """Print a line."""
        counts = {name: one.events for name, one in self.seen.items()}
        repeated = sum(one.repeated for one in self.seen.values())
        count, is_same = self.same_so_far()
        print(
            f"{self.tally.total()} rounds, {time.monotonic() - self._started:.0f} s, {len(self.ledger.acknowledged)} "
            f"acknowledged; {counts}; {repeated} repeated; the first {count} are {'' if is_same else 'NOT '}the same",
            file=sys.stderr, flush=True,
        )  # fmt: skip

    async def settle(self) -> None:
        """Wait until every client has as many events as the one with the most, and no more arrive."""
        deadline, before = time.monotonic() + SETTLE_SECONDS, [-1]
        while time.monotonic() < deadline:
            for one in self.seen.values():
                one.take()
            counts = [one.events for one in self.seen.values()]
            if len(set(counts)) == 1 and counts == before:
                return
            before = counts
            await asyncio.sleep(3)

    def report(self) -> dict[str, Any]:
        """Summarise what was done, and what each client has received."""
        for one in self.seen.values():
            one.take()
        clients = {name: one.summary(self.ledger) for name, one in self.seen.items()}
        is_same = len({one["digest"] for one in clients.values()}) == 1
        ok = self.broken_off is None and is_same
        ok = ok and all(not one["lost"] and not one["repeated"] for one in clients.values())
        return {
            "ok": ok, "seed": self.seed, "rounds": self.tally.total(), "faults": dict(self.tally),
            "broken_off": self.broken_off, "seconds": round(time.monotonic() - self._started),
            "connections": self.line.connections, "acknowledged": len(self.ledger.expected),
            "the_same_until": self.same_so_far(), "clients": clients,
        }  # fmt: skip


async def run(folder: Path, clients: list[str], rounds: int, seed: int) -> dict[str, Any]:
    """Run all rounds; return the report."""
    chaos = Chaos(folder, rounds, seed)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, chaos.is_enough.set)
    return await chaos.run(clients)


async def begin(adapter: Adapter, url: str, key: str) -> None:
    """Start a client, and wait until it listens."""
    await adapter.tell("c", {"do": "create", "url": url, "key": key, "options": OPTIONS})
    await adapter.tell("c", {"do": "subscribe", "channels": ["*"]})
    await adapter.tell("c", {"do": "connect"})
    await adapter.seen("c", {"saw": "subscribed"}, seconds=60)


if __name__ == "__main__":
    sys.exit(main())
