"""Power cuts: a recorded run of the real daemon, cut off at any moment, on every disk that the cut may leave.

    python tests/load/power.py --images 5000 --real-cuts 200 --seed 1
    python tests/load/power.py --short

Records a run with ``synchronous = "normal"`` and one with ``"full"``: publishers, resuming clients, restarts, a kill,
retention, keys, an event file, a drop folder. Builds images under two models (ext4: ordered metadata; strict: only
what was synced, torn and reordered), starts the whole daemon on each, and holds what it tells against what
publishers, clients, operators and providers knew. A part of the ``normal`` images is started as ``full``.
Exit 1 when anything was found that may never be.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.disk import home_files
from support.disk.change_log import Change, read_changes
from support.disk.cuts import build_images, choose_cuts
from support.disk.forked_daemon import ForkedDaemon, free_port, preload_product
from support.disk.judge import Judge
from support.disk.power_model import Model
from support.disk.real_cuts import NoLoopDevice, cut_disk, real_cut
from support.disk.report import Tally, print_report
from support.disk.workshop import Ended, Workshop, workshop

GROUPS = ("kind", "written", "started", "model", "aim")
MODELS: tuple[Model, ...] = ("ext4", "strict")
IMAGES_OF_ONE_RUN = 600
RECORD_SECONDS, SHORT_SECONDS = 5.0, 2.0
SHORT_IMAGES = 60


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000, help="crash images in all")
    parser.add_argument("--real-cuts", type=int, default=0, help="cuts of a mounted file system; needs root")
    parser.add_argument("--seed", type=int, default=None, help="repeats the choices of a run; random when not given")
    parser.add_argument("--short", action="store_true", help=f"{SHORT_IMAGES} images of a run of {SHORT_SECONDS:g} s")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1_000_000)
    images = SHORT_IMAGES if arguments.short else arguments.images
    tally = Tally(GROUPS)
    with workshop() as place:
        rng = random.Random(seed)
        runs = -(-images // (2 * IMAGES_OF_ONE_RUN))
        seconds = SHORT_SECONDS if arguments.short else RECORD_SECONDS
        is_preloaded, told = False, "broken off"
        with suppress(Ended):
            for run in range(runs):
                recorded = record(place, seed + run, seconds)
                if not is_preloaded:
                    preload_product()
                    is_preloaded = True
                for synchronous, changes in recorded.items():
                    judge_images(place, tally, synchronous, changes, images // runs // 2, rng)
            if not is_preloaded:
                preload_product()
            told = judge_real_cuts(place, tally, arguments.real_cuts, rng)
        head = {
            "seed": seed,
            "images and cuts": tally.count,
            "seconds": place.seconds,
            "cpu seconds": place.cpu_seconds,
            "real cuts": told,
        }
        return print_report(head, tally, GROUPS, as_json=arguments.json)


def record(place: Workshop, seed: int, seconds: float) -> dict[str, list[Change]]:
    """Record a run of each kind, side by side."""
    program = Path(__file__).parents[1] / "support" / "disk" / "recorded_run.py"
    running = {}
    for synchronous in ("normal", "full"):
        root, log = place.folder / f"run-{synchronous}", place.folder / f"run-{synchronous}.log"
        root.mkdir(exist_ok=True)
        words = [sys.executable, str(program), synchronous, str(seed), str(seconds)]
        running[synchronous] = subprocess.Popen(words, env=place.recorder_environ(root, log))
    try:
        for synchronous, process in running.items():
            if process.wait() != 0:
                raise SystemExit(f"the recorded run with {synchronous} failed")
    finally:
        for process in running.values():
            process.terminate()
            process.wait()
    recorded = {}
    for synchronous in running:
        log = place.folder / f"run-{synchronous}.log"
        recorded[synchronous] = list(read_changes(log))
        log.unlink()
        subprocess.run(["rm", "-r", str(place.folder / f"run-{synchronous}")], check=True)
    return recorded


def judge_images(
    place: Workshop, tally: Tally, synchronous: str, changes: list[Change], count: int, rng: random.Random
) -> None:
    """Build and judge images of one recorded run."""
    image, port = place.folder / "image", free_port()
    daemon = ForkedDaemon(image, port)
    try:
        for model in MODELS:
            cuts = choose_cuts(changes, count // len(MODELS), rng)
            recorded_root = str(place.folder / f"run-{synchronous}")
            for cut, ledger, everything in build_images(changes, cuts, model, recorded_root, image):
                started = "full" if synchronous == "full" or cut.is_switched else "normal"
                home_files.make_folders(image)
                home_files.write_config(image, port, started)
                place.boot.renew()
                listener_key = everything.keys["1"].api_key
                judge = Judge(daemon, ledger, random.Random(cut.seed))
                judgement = judge.judge(listener_key, ledger.acknowledged["baseline-0"])
                tally.add(("image", synchronous, started, model, cut.aim), judgement, f"{cut.amount} at {cut.place}")
    finally:
        daemon.close()


def judge_real_cuts(place: Workshop, tally: Tally, count: int, rng: random.Random) -> str:
    """Make real cuts; say how many, or why there are none."""
    try:
        with cut_disk(place.folder) as disk:
            port = free_port()
            for synchronous in _in_turn(count):
                seed = rng.getrandbits(32)
                judgement = real_cut(disk, place.boot, port, synchronous, seed)
                tally.add(("cut", synchronous, synchronous, "ext4", "anywhere"), judgement, f"seed {seed}")
    except NoLoopDevice as reason:
        return f"none: {reason}"
    return str(count)


def _in_turn(count: int) -> Iterator[str]:
    for number in range(count):
        yield ("normal", "full")[number % 2]


if __name__ == "__main__":
    sys.exit(main())
