"""Failing disks: reads, writes and syncs fail or are cut short while the daemon works, and when it starts.

    python tests/load/disk_faults.py --seconds 2
    python tests/load/disk_faults.py --short
    python tests/load/disk_faults.py --only "history: a quarter of reads fail" --seconds 60

A preloaded library fails what the scenario names; events are published again until they are acknowledged, files are
given, keys changed, history is read. When the disk is well again, the running daemon and then a new one are judged.
A disk that errs may cost time, never an event: exit 1 when anything was lost, told or not.
"""

from __future__ import annotations

import argparse
import random
import sys
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.disk.fault_run import FaultRun
from support.disk.fault_scenarios import scenarios
from support.disk.forked_daemon import DidNotStart, free_port, preload_product
from support.disk.judgement import FAULTS, Judgement
from support.disk.report import Tally, print_report
from support.disk.workshop import Ended, workshop

GROUPS = ("scenario",)
COSTS = (*FAULTS, "lost_but_told", "set_aside", "untold", "not_tried_again")
EVENTS, SHORT_EVENTS = 6000, 600
SHORT_SECONDS = 0.5
CHECKPOINT = "history: a failed checkpoint"
CLOCKS = {"clock: an hour back across a restart": -3600, "clock: three days back across a restart": -3 * 86_400}


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.5, help="how long each disk errs")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="", help="one scenario, or a pattern: 'keys: *'")
    parser.add_argument("--seed", type=int, default=None, help="repeats the choices of a run; random when not given")
    parser.add_argument("--short", action="store_true", help=f"a few scenarios, {SHORT_SECONDS:g} s each")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    tally = Tally(GROUPS, COSTS)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1_000_000)
    seconds = SHORT_SECONDS if arguments.short else arguments.seconds
    chosen = [one for one in scenarios(seconds) if not arguments.short or one.is_short]
    chosen = [one for one in chosen if fnmatchcase(one.name, arguments.only or "*")]
    with workshop() as place:
        preload_product()
        run = FaultRun(place.folder / "disk", free_port(), place.faults, place.folder, seed)
        run.prepare(SHORT_EVENTS if arguments.short else EVENTS)
        with suppress(Ended):
            for scenario in chosen * arguments.rounds:
                try:
                    judgement, struck = run.run(scenario)
                except DidNotStart as reason:
                    judgement, struck = Judgement(), 0
                    judgement.find("not_started", 1, reason)
                judgement["struck"] = struck
                tally.add([scenario.name], judgement, scenario.name)
        if not arguments.only:
            tally.add([CHECKPOINT], run.tell_of_a_failed_checkpoint(), CHECKPOINT)
        for name, clock_seconds in CLOCKS.items():
            if not arguments.short and fnmatchcase(name, arguments.only or "*"):
                tally.add([name], run.set_the_clock(clock_seconds), name)
        run.close()
        head = {"seed": seed, "scenarios": tally.count, "seconds": place.seconds, "cpu seconds": place.cpu_seconds}
        return print_report(head, tally, GROUPS, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
