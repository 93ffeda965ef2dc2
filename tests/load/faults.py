"""Faults by search: drawn at random, alone and in pairs, produced on real daemons, doctor asked, its advice pasted.

    python tests/load/faults.py [--draws 20] [--seed 1]

Each draw is produced in a world of its own: a daemon with a feed and an event file behind a proxy, and a client that
resumes. Doctor's first advice is pasted in a second world, made anew from the same seed. What counts is what the client
is told, and as whom and with which options the daemon runs; not that doctor is content. A draw is repeated by its seed:
--draws 1 --seed N.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.fault_search.grammar import draw
from support.fault_search.trial import Outcome, attempt, rates
from support.load_rig import table


def misses(outcomes: list[Outcome]) -> list[list[object]]:
    """Return the draws that did not come out as they should."""
    return [
        [
            each.draw.seed, each.draw.name, "" if each.is_found else "not found", "" if each.is_first else "not first",
            each.harm or "", ", ".join(each.told) or "nothing", each.advice or "",
        ]
        for each in outcomes
        if each.harm or not each.is_first or (each.draw.is_visible and not each.is_found)
        or (each.is_pastable and not each.mends and len(each.draw.elements) == 1)
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.getLogger("swim_client").addHandler(logging.NullHandler())  # a client that comes back is what is expected
    outcomes: list[Outcome] = []
    for seed in range(options.seed, options.seed + options.draws):
        drawn = draw(seed)
        with tempfile.TemporaryDirectory(prefix="swim-faults-") as folder:
            outcomes.append(attempt(drawn, Path(folder)))
        last = outcomes[-1]
        print(f"{seed}: {drawn.name}: {', '.join(last.told) or 'nothing'}; {last.advice or '-'}", flush=True)
    summed = rates(outcomes)
    table(f"Seeds {options.seed} to {options.seed + options.draws - 1}", list(summed), [list(summed.values())])
    rows = misses(outcomes)
    if rows:
        table("Otherwise", ["seed", "drawn", "found", "first", "harm", "told", "advice"], rows)


if __name__ == "__main__":
    main()
