"""Power cuts: a recorded run of the real daemon, cut off at any moment, on every disk that the cut may leave.

    python tests/load/power.py --images 5000 --real-cuts 200 --seed 1
    python tests/load/power.py --images 5000 --real-cuts 200 --resume FILE
    python tests/load/power.py --short

Records a run with ``synchronous = "normal"`` and one with ``"full"``: publishers, resuming clients, restarts, a kill,
retention, keys, an event file, a drop folder. Builds images under two models (ext4: ordered metadata; strict: only
what was synced, torn and reordered), starts the whole daemon on each, and holds what it tells against what
publishers, clients, operators and providers knew. A part of the ``normal`` images is started as ``full``.
Half of the real cuts are those of a machine, half those of a disk that is lost and comes again while the machine runs.
Exit 1 when anything was found that may never be.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.disk import home_files
from support.disk.change_log import Change, read_changes
from support.disk.cuts import Cut, build_images, choose_cuts, listener_key
from support.disk.forked_daemon import BootId, ForkedDaemon, free_port, preload_product
from support.disk.judge import Judge
from support.disk.power_model import Model
from support.disk.real_cuts import cut_disk, real_cut
from support.disk.report import Tally, print_report
from support.disk.results import Results, add_run_options, open_results, seed_of
from support.disk.workers import in_workers
from support.disk.workshop import Ended, Workshop, workshop
from support.mounts import NoMount

GROUPS = ("kind", "written", "started", "model", "aim")
MODELS: tuple[Model, ...] = ("ext4", "strict")
MODES = ("normal", "full")
IMAGES_OF_ONE_RUN = 1000
RECORD_SECONDS, SHORT_SECONDS = 5.0, 2.0
RECORDINGS_TRIED = 3
SHORT_IMAGES = 60


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000, help="crash images in all")
    parser.add_argument("--real-cuts", type=int, default=0, help="cuts of a mounted file system; needs root")
    parser.add_argument("--seed", type=int, default=None, help="repeats the choices of a run; random when not given")
    parser.add_argument("--short", action="store_true", help=f"{SHORT_IMAGES} images of a run of {SHORT_SECONDS:g} s")
    add_run_options(parser)
    arguments = parser.parse_args()
    seed = seed_of(arguments)
    with workshop() as place:
        results = open_results(arguments, place.folder, {"harness": "power", "seed": seed})
        told = "broken off"
        with suppress(Ended):
            run = Run(place, results, seed, arguments.workers)
            if arguments.short:
                run.judge_images(0, SHORT_IMAGES, SHORT_SECONDS)
            else:
                for number, first in enumerate(range(0, arguments.images, IMAGES_OF_ONE_RUN)):
                    run.judge_images(number, min(IMAGES_OF_ONE_RUN, arguments.images - first), RECORD_SECONDS)
            told = run.judge_real_cuts(arguments.real_cuts)
        tally = Tally(GROUPS)
        results.add_up(tally)
        results.close()
        head = {
            "seed": seed,
            "images and cuts": tally.count,
            "seconds": place.seconds,
            "cpu seconds": place.cpu_seconds,
            "real cuts": told,
        }
        return print_report(head, tally, GROUPS, as_json=arguments.json)


class Run:
    """Judges the images and cuts that are not in the results yet."""

    def __init__(self, place: Workshop, results: Results, seed: int, workers: int) -> None:
        self._place = place
        self._results = results
        self._seed = seed
        self._workers = workers
        self._done = results.parts()
        self._is_preloaded = False

    def judge_images(self, number: int, count: int, seconds: float) -> None:
        """Record a run of each kind; build and judge this many images, half of each, under both models."""
        parts = [Part(number, synchronous, model) for synchronous in MODES for model in MODELS]
        missing = {part: count // len(parts) - self._done[part.name] for part in parts}
        if all(left <= 0 for left in missing.values()):
            return
        recorded = record(self._place, self._seed + number, seconds)
        rng = random.Random(f"{self._seed} {number}")
        cuts = {part: choose_cuts(recorded[part.synchronous], left, rng) for part, left in missing.items() if left > 0}
        self._preload()

        def work(worker: int) -> None:
            for part, chosen in cuts.items():
                self._judge_images(worker, part, recorded[part.synchronous], chosen[worker :: self._workers])

        in_workers(self._workers, work)

    def _judge_images(self, worker: int, part: Part, changes: list[Change], cuts: list[Cut]) -> None:
        image, port = self._place.folder / f"image-{worker}", free_port()
        boot, daemon = BootId(self._place.folder / f"boot-{worker}"), ForkedDaemon(image, port)
        recorded_root, key = str(self._place.folder / f"run-{part.synchronous}"), listener_key(changes)
        try:
            for cut, ledger in build_images(changes, cuts, part.model, recorded_root, image):
                started = "full" if part.synchronous == "full" or cut.is_switched else "normal"
                home_files.make_folders(image)
                home_files.write_config(image, port, started)
                boot.renew()
                judgement = Judge(daemon, ledger, random.Random(cut.seed)).judge(key, ledger.acknowledged["baseline-0"])
                group = ("image", part.synchronous, started, part.model, cut.aim)
                self._results.add(part.name, group, judgement, f"run {part.number}, {cut.amount} at {cut.place}")
        finally:
            daemon.close()

    def judge_real_cuts(self, count: int) -> str:
        """Make real cuts; say how many there are, or why there are none."""
        numbers = [number for number in range(count) if not self._done[f"cut {number}"]]
        if not numbers:
            return str(count)
        try:
            with cut_disk(self._place.folder) as disk:
                disk.format()
                disk.unmount()
        except NoMount as reason:
            return f"none: {reason}"
        self._preload()
        in_workers(min(self._workers, len(numbers)), lambda worker: self._cut(worker, numbers[worker :: self._workers]))
        return str(count)

    def _cut(self, worker: int, numbers: list[int]) -> None:
        boot, port = BootId(self._place.folder / f"boot-{worker}"), free_port()
        folder = self._place.folder / f"cuts-{worker}"
        folder.mkdir(exist_ok=True)
        with cut_disk(folder) as disk:
            for number in numbers:
                synchronous = MODES[number % 2]
                cut_seed = random.Random(f"{self._seed} cut {number}").getrandbits(32)
                is_same_boot = number % 4 >= 2
                judgement = real_cut(disk, boot, port, synchronous, cut_seed, is_same_boot=is_same_boot)
                group = ("disk lost" if is_same_boot else "cut", synchronous, synchronous, "ext4", "anywhere")
                self._results.add(f"cut {number}", group, judgement, f"seed {cut_seed}")

    def _preload(self) -> None:
        if not self._is_preloaded:
            preload_product()
            self._is_preloaded = True


class Part(NamedTuple):
    """The images of one recorded run under one model."""

    number: int
    synchronous: str
    model: Model

    @property
    def name(self) -> str:
        return f"run {self.number} {self.synchronous} {self.model}"


def record(place: Workshop, seed: int, seconds: float) -> dict[str, list[Change]]:
    """Record a run of each kind; try again if the machine was too busy for the daemon to start in time."""
    for _ in range(RECORDINGS_TRIED):
        recorded = _record(place, seed, seconds)
        if recorded is not None:
            return recorded
    raise SystemExit(f"no run could be recorded, {RECORDINGS_TRIED} times in a row: see above")


def _record(place: Workshop, seed: int, seconds: float) -> dict[str, list[Change]] | None:
    """Record both concurrently; None if one failed."""
    program = Path(__file__).parents[1] / "support" / "disk" / "recorded_run.py"
    running = {}
    for synchronous in MODES:
        root, log = place.folder / f"run-{synchronous}", place.folder / f"run-{synchronous}.log"
        root.mkdir()
        words = [sys.executable, str(program), synchronous, str(seed), str(seconds)]
        running[synchronous] = subprocess.Popen(words, env=place.recorder_environ(root, log))
    recorded = {}
    try:
        codes = [process.wait() for process in running.values()]
        if not any(codes):
            for synchronous in MODES:
                recorded[synchronous] = list(read_changes(place.folder / f"run-{synchronous}.log"))
    finally:
        for synchronous, process in running.items():
            process.terminate()
            process.wait()
            (place.folder / f"run-{synchronous}.log").unlink(missing_ok=True)
            shutil.rmtree(place.folder / f"run-{synchronous}")
    return recorded or None


if __name__ == "__main__":
    sys.exit(main())
