"""Chaos with one client of each SDK at once, against the real daemon: nothing lost, nothing twice, the same in all.

    python tests/load/sdk_chaos.py --rounds 200 --seed 1
    python tests/load/sdk_chaos.py --rounds 20 --clients python,java

Each round kills, restarts, stops or freezes the daemon while two publishers work. At the end every client has reported
the same events, by id and data, and all that was acknowledged is among them. Exit 1 when not. Progress goes to standard
error; SIGTERM ends the run after the round in hand, with the report of what was done.
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
from swim_conformance.adapter import Adapter
from swim_conformance.catalogue import SDKS

FAULTS = ("kill", "restart", "stop-start", "freeze", "kill-at-commit", "kill-at-handover")
SETTLE_SECONDS = 300.0
PAUSE_SECONDS = 0.3
"""Between two batches: some 50 events a second, so that the reports of hours fit into memory."""
OPTIONS = {"reconnect_ms": 100, "max_reconnect_ms": 2000, "ping_ms": 2000, "ping_timeout_ms": 8000}


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--clients", default=",".join(SDKS))
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1_000_000)
    with tempfile.TemporaryDirectory(prefix="swim-sdk-chaos-") as folder:
        report = asyncio.run(run(Path(folder), arguments.clients.split(","), arguments.rounds, seed))
    print(json.dumps(report, indent=2))
    return 0 if report["ok"] else 1


async def run(folder: Path, clients: list[str], rounds: int, seed: int) -> dict[str, Any]:
    """Run all rounds; return the report."""
    rng = random.Random(seed)
    (folder / "home").mkdir(mode=0o700)
    (folder / "feed").mkdir()
    daemon = ChaosDaemon(folder / "home", folder / "feed" / "swim_ws_events.json", with_clock=False)
    pace, ledger, tally = Pace(), Ledger(), Counter[str]()
    pace.pause_seconds = PAUSE_SECONDS
    faults = Faults(daemon, pace, rng, has_small_disk=False, has_clock=False)
    is_enough = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, is_enough.set)
    async with AsyncExitStack() as stack:
        stack.callback(daemon.close)
        stack.callback(faults.close)
        await asyncio.to_thread(daemon.start)
        keys = [await asyncio.to_thread(daemon.create_key, "system") for _ in range(2)]
        adapters = {name: await stack.enter_async_context(Adapter(SDKS[name]())) for name in clients}
        for adapter in adapters.values():
            await begin(adapter, daemon.url, keys[0])
        publishing = [
            asyncio.create_task(publish_by_control(daemon.home.control_socket, ledger, pace, random.Random(seed + 1))),
            asyncio.create_task(publish_by_key(daemon.url, keys[1], ledger, pace, random.Random(seed + 2))),
        ]
        started = time.monotonic()
        while sum(tally.values()) < rounds and not is_enough.is_set():
            name = rng.choice(FAULTS)
            tally[name] += 1
            await faults.by_name[name]()
            await asyncio.sleep(rng.uniform(0.1, 0.8))
            await tell_progress(tally, ledger, adapters, time.monotonic() - started)
        pace.is_over = True
        await asyncio.wait_for(asyncio.gather(*publishing), SETTLE_SECONDS)
        await settle(list(adapters.values()))
        seconds = time.monotonic() - started
        seen = {name: summary(adapter, ledger) for name, adapter in adapters.items()}
    digests = {one["digest"] for one in seen.values()}
    ok = len(digests) == 1 and all(not one["lost"] and not one["repeated"] for one in seen.values())
    told = {"ok": ok, "seed": seed, "rounds": sum(tally.values()), "faults": dict(tally), "seconds": round(seconds)}
    return {**told, "acknowledged": len(ledger.expected), "clients": seen}


async def tell_progress(tally: Counter[str], ledger: Ledger, adapters: dict[str, Adapter], seconds: float) -> None:
    """Write a line about each tenth round."""
    rounds = sum(tally.values())
    if rounds % 10 == 0:
        counts = {name: len(events(adapter)) for name, adapter in adapters.items()}
        print(f"{rounds} rounds, {seconds:.0f} s, {len(ledger.acknowledged)} acknowledged; {counts}", file=sys.stderr)


async def begin(adapter: Adapter, url: str, key: str) -> None:
    """Let a client listen, and wait until it does."""
    await adapter.tell("c", {"do": "create", "url": url, "key": key, "options": OPTIONS})
    await adapter.tell("c", {"do": "subscribe", "channels": ["*"]})
    await adapter.tell("c", {"do": "connect"})
    await adapter.seen("c", {"saw": "subscribed"}, seconds=60)


async def settle(adapters: list[Adapter]) -> None:
    """Wait until every client has as many events as the one with the most, and no more come."""
    deadline, before = time.monotonic() + SETTLE_SECONDS, [-1]
    while time.monotonic() < deadline:
        counts = [len(events(adapter)) for adapter in adapters]
        if len(set(counts)) == 1 and counts == before:
            return
        before = counts
        await asyncio.sleep(3)


def events(adapter: Adapter) -> list[dict[str, Any]]:
    """Give what a client was handed, without heartbeats."""
    return [one for one in adapter.reports("c") if one["saw"] == "event" and one["type"] != "system.heartbeat"]


def summary(adapter: Adapter, ledger: Ledger) -> dict[str, Any]:
    """Say what one client has seen."""
    seen = events(adapter)
    ids = [one["id"] for one in seen]
    names = {value for one in seen for value in one["data"].values() if isinstance(value, str)}
    digest = hashlib.sha256()
    for one in seen:
        digest.update(json.dumps([one["id"], one["type"], one["data"]], sort_keys=True).encode())
    reports = Counter(one["saw"] for one in adapter.reports("c"))
    return {
        "events": len(seen),
        "lost": len(ledger.expected - names),
        "repeated": len(ids) - len(set(ids)),
        "gaps": reports["gap"],
        "connections": reports["connected"],
        "digest": digest.hexdigest()[:16],
    }


if __name__ == "__main__":
    sys.exit(main())
