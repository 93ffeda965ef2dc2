"""Faults by search: drawn at random, alone and in pairs, produced on real daemons, doctor asked, its advice pasted.

    python tests/load/faults.py [--draws 20] [--seed 1] [--jobs 2] [--keep FILE] [--resume] [--thought-up]

Each draw is produced in a world of its own: a daemon with a feed and an event file behind a proxy, and a client that
resumes. Doctor's first advice is pasted in a second world, made anew from the same seed; what only looks is pasted in
the first. What counts is what the client is told, and as whom and with which options the daemon runs; not that doctor
is content. A draw is repeated by its seed: --draws 1 --seed N. --keep writes each outcome as it comes; with --resume
the draws that stand there are not tried again, and belong to the table. --thought-up tries faults that were thought
up from what goes wrong around services, each once, in place of the draws: their seeds are negative.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.fault_search.search import misses, rates, search, tried
from support.fault_search.thought_up import thought_up
from support.load_rig import table


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--thought-up", action="store_true")
    options = parser.parse_args()
    if options.resume and options.keep is None:
        parser.error("--resume reads what --keep FILE wrote: name it too")
    for number in (signal.SIGINT, signal.SIGTERM):  # in the background a shell has them ignore the first
        signal.signal(number, signal.default_int_handler)
    seeds = range(options.seed, options.seed + options.draws)
    if options.thought_up:
        seeds = range(-1, -len(thought_up()) - 1, -1)
    known = tried(options.keep) if options.resume else {}
    outcomes = [known[seed] for seed in seeds if seed in known]
    with contextlib.suppress(KeyboardInterrupt):  # what was tried until then is told
        for outcome in search([seed for seed in seeds if seed not in known], options.jobs, options.keep):
            outcomes.append(outcome)
            said = outcome.not_tried or f"{', '.join(outcome.told) or 'nothing'}; {outcome.advice or '-'}"
            harm = f"; HARM: {outcome.harm}" if outcome.harm else ""
            print(f"{outcome.seed}: {outcome.name}: {said}{harm}", flush=True)
    summed = rates(outcomes)
    table(
        "Faults thought up" if options.thought_up else f"Draws from seed {options.seed}",
        list(summed),
        [list(summed.values())],
    )
    rows = misses(outcomes)
    if rows:
        table("Otherwise", ["seed", "drawn", "found", "first", "mended", "harm", "told", "advice"], rows)


if __name__ == "__main__":
    main()
