"""Doctor beside a healthy daemon in a busy world, again and again: whatever it tells is a false alarm.

    python tests/load/healthy.py [--runs 1000] [--clients 200] [--life 15] [--pause 0] [--keep FILE] [--resume]

The daemon stands behind nginx with the shipped file and TLS, and reads a feed, an event file and a drop folder. Clients
come and go, events come in bursts, and the daemon is restarted and reloaded in turns (every --life seconds). Each run
is the whole of ``swimctl doctor`` from its words to its exit code, with its own time limits, in a fork of a process
that has imported it; --timeout is not given. --keep writes each run as it comes, and the facts of those that were not
clean beside it; with --resume those that stand there count. Exits 1 if a run was not clean or an event was lost.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.healthy_world import HealthyWorld, Run, healthy_world
from support.load_rig import median, table


def run_again_and_again(world: HealthyWorld, runs: list[Run], options: argparse.Namespace) -> None:
    """Run doctor until there are enough; SIGINT and SIGTERM end it, and what was seen until then is told."""
    with contextlib.suppress(KeyboardInterrupt):
        while len(runs) < options.runs:
            found = world.examine()
            runs.append(found)
            if options.keep is not None:
                with options.keep.open("ab") as file:
                    file.write(msgspec.json.encode(found) + b"\n")
            if not found.is_clean:
                print(
                    f"{len(runs)}: exit {found.exit_code} beside {found.beside or 'nothing'}: {found.told}", flush=True
                )
                if options.keep is not None:
                    shutil.copy(world.patient.facts, f"{options.keep}.{len(runs)}.json")
            time.sleep(options.pause)


def tell(runs: list[Run]) -> None:
    """Print how many runs were clean, which checks were not, and how long they took."""
    alarms = [each for each in runs if not each.is_clean]
    seconds = [each.seconds for each in runs] or [0.0]
    columns = ["runs", "beside a restart", "beside a reload", "not clean", "seconds p50", "max"]
    beside = Counter(each.beside for each in runs)
    row = [len(runs), beside["restart"], beside["reload"], len(alarms), median(seconds), max(seconds)]
    table("Doctor beside a healthy daemon", columns, [row])
    checks = Counter(check for each in alarms for check in each.told)
    if alarms:
        table("False alarms", ["check", "runs"], checks.most_common() or [["none, but the exit code", len(alarms)]])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--life", type=float, default=15.0)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    if options.resume and options.keep is None:
        parser.error("--resume reads what --keep FILE wrote: name it too")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    runs: list[Run] = []
    if options.resume and options.keep.exists():
        runs = [msgspec.json.decode(line, type=Run) for line in options.keep.read_bytes().splitlines()]
    with tempfile.TemporaryDirectory(prefix="swim-healthy-") as name:
        with healthy_world(Path(name), clients=options.clients, life_seconds=options.life) as world:
            run_again_and_again(world, runs, options)
        tell(runs)
        table("Around it", ["what", "how often"], sorted(world.done.items()))
    sys.exit(0 if all(each.is_clean for each in runs) else 1)


if __name__ == "__main__":
    main()
