"""Chaos: publishers and resuming subscribers run while seeded faults kill, restart, freeze and starve the daemon.

    python tests/load/chaos.py --rounds 50 --seed 1
    python tests/load/chaos.py --rounds 500 --only kill,kill-at-commit,restart
    python tests/load/chaos.py --nodes 3 --engine redis --rounds 6        # faults between nodes instead

Prints a scoreboard; exit 1 when an acknowledged event was lost, repeated or out of order. The slow disk, the small
disk (root) and the clock (libfaketime) take part where this machine lets them; what doesn't is said.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.chaos_daemon import FAKETIME, ChaosDaemon
from support.chaos_faults import Faults
from support.chaos_traffic import (
    Ledger,
    Pace,
    Subscriber,
    publish_by_control,
    publish_by_key,
    write_event_file,
)
from support.mounts import NoMount, mounted, tmpfs
from support.nodes_chaos.links import enter_namespace
from support.nodes_chaos.report import nodes_scoreboard
from support.nodes_chaos.run import memory_folder, run_nodes_chaos

SETTLE_SECONDS = 60.0
"""How long subscribers may take at the end until they have everything."""
DISK_BYTES = 96 * 1024 * 1024


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="faults in all")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's choices; random when not given")
    parser.add_argument("--subscribers", type=int, default=4)
    parser.add_argument("--only", default="", help="comma-separated faults")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--nodes", type=int, default=1, help="faults between so many nodes on one server")
    parser.add_argument("--workers", type=int, default=1, help="with --nodes: worker processes of each")
    parser.add_argument("--engine", choices=("redis",), default="redis", help="with --nodes: what they share")
    parser.add_argument("--seconds", type=float, default=None, help="with --nodes: begin no round after so many")
    arguments = parser.parse_args()
    logging.getLogger("swim_client").setLevel(logging.CRITICAL)  # it reconnects all the time here
    for number in (signal.SIGTERM, signal.SIGHUP):  # the disk is unmounted and the daemon ended then, too
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1_000_000)
    if arguments.nodes > 1:
        return chaos_over_nodes(arguments, seed)
    with (
        tempfile.TemporaryDirectory(prefix="swim-chaos-") as folder,
        small_disk(Path(folder) / "home") as has_small_disk,
    ):
        report = asyncio.run(
            run(
                Path(folder),
                rounds=arguments.rounds,
                seed=seed,
                subscribers=arguments.subscribers,
                only=[name for name in arguments.only.split(",") if name],
                has_small_disk=has_small_disk,
            )
        )
    print(json.dumps(report) if arguments.json else scoreboard(report))
    return 0 if report["ok"] else 1


def chaos_over_nodes(arguments: argparse.Namespace, seed: int) -> int:
    """Run the faults between nodes; report how each promise fared."""
    enter_namespace()
    with tempfile.TemporaryDirectory(prefix="swim-chaos-nodes-", dir=memory_folder()) as folder:
        report = asyncio.run(
            run_nodes_chaos(
                Path(folder),
                nodes=arguments.nodes,
                workers=arguments.workers,
                rounds=arguments.rounds,
                seed=seed,
                subscribers=arguments.subscribers,
                only=[name for name in arguments.only.split(",") if name],
                seconds=arguments.seconds,
            )
        )
    print(json.dumps(report) if arguments.json else nodes_scoreboard(report))
    return 0 if report["ok"] else 1


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[bool]:
    """Provide a home on a small disk of its own that can be filled; an ordinary folder if mounting is not allowed."""
    path.mkdir(mode=0o700)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(mounted(path, *tmpfs(f"{DISK_BYTES},mode=700")))
        except NoMount:
            yield False
        else:
            yield True


async def run(
    folder: Path, *, rounds: int, seed: int, subscribers: int, only: list[str], has_small_disk: bool
) -> dict[str, Any]:
    """Run everything once; return the report."""
    rng = random.Random(seed)
    has_clock = FAKETIME.exists()
    (folder / "feed").mkdir()
    daemon = ChaosDaemon(folder / "home", folder / "feed" / "swim_ws_events.json", with_clock=has_clock)
    pace, ledger = Pace(), Ledger()
    faults = Faults(daemon, pace, rng, has_small_disk=has_small_disk, has_clock=has_clock)
    names = [name for name in faults.by_name if not only or name in only]
    if unknown := set(only) - faults.by_name.keys():
        raise SystemExit(f"not possible here: {', '.join(sorted(unknown))}; there are {', '.join(faults.by_name)}")
    tally: Counter[str] = Counter()
    try:
        await asyncio.to_thread(daemon.start)
        keys = [await asyncio.to_thread(daemon.create_key, tier) for tier in ("system", "system")]
        listeners = [
            Subscriber(f"subscriber-{number}", daemon.url, keys[0], pause_seconds=0.3 if number == 0 else 0)
            for number in range(subscribers)
        ]
        listening = [asyncio.create_task(each.run()) for each in listeners]
        await asyncio.wait_for(asyncio.gather(*(each.has_subscribed.wait() for each in listeners)), SETTLE_SECONDS)
        started = time.monotonic()
        publishing = [
            asyncio.create_task(
                publish_by_control(daemon.home.control_socket, ledger, pace, random.Random(rng.random()))
            ),
            asyncio.create_task(publish_by_key(daemon.url, keys[1], ledger, pace, random.Random(rng.random()))),
            asyncio.create_task(write_event_file(daemon.event_file, ledger, pace, random.Random(rng.random()))),
        ]
        for _ in range(rounds):
            name = rng.choice(names)
            tally[name] += 1
            await faults.by_name[name]()
            await asyncio.sleep(rng.uniform(0.05, 0.8))
        pace.is_over = True
        await asyncio.wait_for(asyncio.gather(*publishing), SETTLE_SECONDS)
        seconds = time.monotonic() - started
        await _settle(listeners, ledger)
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
    finally:
        pace.is_over = True
        faults.close()
        await asyncio.to_thread(daemon.close)
    return _report(listeners, ledger, faults, tally, seed, rounds, seconds)


async def _settle(listeners: list[Subscriber], ledger: Ledger) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline and any(each.lost(ledger.expected) for each in listeners):
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)  # a repetition would come now


def _report(
    listeners: list[Subscriber],
    ledger: Ledger,
    faults: Faults,
    tally: Counter[str],
    seed: int,
    rounds: int,
    seconds: float,
) -> dict[str, Any]:
    expected = ledger.expected
    strangers = sum(len(each.counts.keys() - expected) for each in listeners)
    wrong_ids = sum(
        each.ids.get(name, event_id) != event_id for each in listeners for name, event_id in ledger.acknowledged.items()
    )
    report: dict[str, Any] = {
        "seed": seed,
        "rounds": rounds,
        "seconds": round(seconds, 1),
        "faults": dict(sorted(tally.items())),
        "kills": faults.kills,
        "restarts": faults.restarts,
        "failed_restarts": faults.failed_restarts,
        "acknowledged": len(ledger.acknowledged),
        "written_to_file": len(ledger.written),
        "publications_repeated_by_publishers": ledger.retries,
        "subscribers": len(listeners),
        "lost": sum(len(each.lost(expected)) for each in listeners),
        "lost_examples": sorted({name for each in listeners for name in each.lost(expected)})[:10],
        "repeated": sum(each.repeated for each in listeners) + len(ledger.conflicts),
        "out_of_order": sum(each.out_of_order for each in listeners),
        "wrong_ids": wrong_ids,
        "never_published": strangers,
        "gaps_told": sum(each.gaps for each in listeners),
        "longest_silence_seconds": round(max(each.longest_silence_seconds for each in listeners[1:] or listeners), 2),
    }
    report["ok"] = not any(
        report[name] for name in ("lost", "repeated", "out_of_order", "wrong_ids", "never_published")
    )
    return report


def scoreboard(report: dict[str, Any]) -> str:
    """Format the report for people."""
    lines = [f"chaos: {report['rounds']} rounds, seed {report['seed']}, {report['seconds']} s"]
    lines += [f"  {name:<18} {count:>5}" for name, count in report["faults"].items()]
    for name in (
        "kills", "restarts", "failed_restarts", "acknowledged", "written_to_file",
        "publications_repeated_by_publishers", "subscribers", "lost", "repeated", "out_of_order", "wrong_ids",
        "never_published", "gaps_told", "longest_silence_seconds",
    ):  # fmt: skip
        lines.append(f"{name.replace('_', ' '):<38} {report[name]:>8}")
    if report["lost_examples"]:
        lines.append(f"lost: {', '.join(report['lost_examples'])}")
    lines.append("nothing lost, nothing repeated, nothing out of order" if report["ok"] else "NOT OK")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
