"""Rot: one bit of one file is flipped at rest, then the whole daemon is started and asked about everything.

    python tests/load/rot.py --flips 12000 --seed 1
    python tests/load/rot.py --flips 12000 --resume FILE
    python tests/load/rot.py --damages
    python tests/load/rot.py --short

Flips bits of history and its log, its mark, the key database, what sources remember, recordings, and the SDK's resume
file: anywhere in them, and aimed at events, names of events, pages and rows of keys. Also puts files of another
installation, and older ones, in their place. What is told (a gap, an error) is no lie; what is silent is: exit 1.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.disk import home_files
from support.disk.damages import Damage, damages
from support.disk.flips import Aim, Flip, aims, flip_that_hides_events, sharp_flips
from support.disk.forked_daemon import preload_product
from support.disk.home_files import RECORDING, RESUME_FILE
from support.disk.judge import Judge
from support.disk.judgement import FAULTS, Judgement
from support.disk.large_history import judge_behind_the_start
from support.disk.ledger import Ledger
from support.disk.report import Tally, print_report
from support.disk.results import Results, add_run_options, open_results, seed_of
from support.disk.rot_base import EVENTS, Files, Installation
from support.disk.workers import in_workers
from support.disk.workshop import Ended, Workshop, workshop
from swim_client import SwimError

GROUPS = ("aim",)
LIES = tuple(fault for fault in FAULTS if fault != "key_lost")
"""A key that is refused because its row rots is told by that: its owner comes, and doctor says why."""
SHORT_FLIPS = 24
TOGETHER = 50
"""So many flips are sorted: a run that is broken off has tried every aim."""
RESUMED_EVENTS = 3
ONCE = "once"
"""The part of a run that is no random flip."""


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=None, help="repeats the choices of a run; random when not given")
    parser.add_argument("--only", default="", help="comma-separated aims")
    parser.add_argument("--short", action="store_true", help=f"{SHORT_FLIPS} flips, every aim at least once")
    parser.add_argument("--damages", action="store_true", help="files cut off, zeroed, gone, older; no flips")
    parser.add_argument("--large", action="store_true", help="one flip in a history of 280 MB, nothing else")
    add_run_options(parser)
    arguments = parser.parse_args()
    seed = seed_of(arguments)
    with workshop() as place:
        results = open_results(arguments, place.folder, {"harness": "rot", "seed": seed})
        preload_product()
        with suppress(Ended):
            if arguments.large:
                flip_in_a_large_history(place, results)
            else:
                only = [name for name in arguments.only.split(",") if name]
                flips = SHORT_FLIPS if arguments.short else 0 if arguments.damages else arguments.flips
                with_damages = not arguments.short and not only
                try_all(place, results, seed, flips, only, arguments.workers, with_damages=with_damages)
        tally = Tally(GROUPS, LIES)
        results.add_up(tally)
        results.close()
        head = {"seed": seed, "flips": tally.count, "seconds": place.seconds, "cpu seconds": place.cpu_seconds}
        return print_report(head, tally, GROUPS, as_json=arguments.json)


def try_all(
    place: Workshop, results: Results, seed: int, count: int, only: list[str], workers: int, *, with_damages: bool
) -> None:
    """Make two installations; flip bits and exchange files, skipping what is already in the results."""
    done = results.parts()
    numbers = [number for number in range(count) if not done[str(number)]]
    foreign = _fill(place, "foreign")
    installation = _fill(place, "installation")
    _go_on(foreign)
    for each in foreign, installation:
        each.daemon.close()

    def work(worker: int) -> None:
        rot = Rot(installation.in_another_place(place.folder / f"rot-{worker}", place.folder), results)
        try:
            if worker == 0 and not only and not done[ONCE]:
                rot.flip_where_it_hurts()
                others = {**installation.stopped, **_history(foreign.stopped)}
                rot.put_in_place("history of another installation", others, foreign.ledger.sent)
                rot.put_in_place("older history", {**installation.stopped, **_history(installation.older)})
            if with_damages:
                some = list(damages(installation, foreign))[worker::workers]
                rot.try_damages([each for each in some if not done[f"damage {each.name}"]])
            rot.flip_at_random(numbers[worker::workers], seed, only)
        finally:
            rot.close()

    in_workers(workers, work)


def _fill(place: Workshop, name: str) -> Installation:
    installation = Installation(place.folder / name, place.folder)
    installation.fill()
    return installation


def flip_in_a_large_history(place: Workshop, results: Results) -> None:
    """Hide events of a history that is too large to be read completely at each start."""
    installation = Installation(place.folder / "large", place.folder)
    installation.fill_with_large_events()
    flip = flip_that_hides_events(installation)
    installation.put_back(flip.apply(installation.stopped))
    found = judge_behind_the_start(installation)
    results.add(ONCE, ["large history"], found, f"bit {flip.bit} of {flip.file}")
    installation.daemon.close()


def _go_on(installation: Installation) -> None:
    """Let it store newer events than the other one has."""
    installation.daemon.start()
    installation.publish(EVENTS, EVENTS + 40)
    installation.daemon.end(signal.SIGTERM)
    for name in home_files.HISTORY, home_files.MARK:
        path = installation.root / name
        installation.stopped[name] = path.read_bytes(), path.stat().st_mtime_ns


def _history(files: Files) -> Files:
    """Return history and the files that belong to it, noting a missing log."""
    return {
        name: files[name] for name in (home_files.HISTORY, home_files.HISTORY_LOG, home_files.MARK) if name in files
    }


class Rot:
    """Applies a flip, asks the daemon, and records what was found."""

    def __init__(self, installation: Installation, results: Results) -> None:
        self._installation = installation
        self._results = results
        self._sound_recording = home_files.recorded_events(installation.stopped[RECORDING][0])
        self._known = {
            True: installation.known_from(installation.killed),
            False: installation.known_from(installation.stopped),
        }
        self._resumed: list[str] = []

    def flip_at_random(self, numbers: list[int], seed: int, only: list[str]) -> None:
        """Apply the flips with these numbers; the first ones cover every place once."""
        places = [aim for aim in aims(self._installation) if aim.weight and (not only or aim.name in only)]
        chosen: list[tuple[int, Aim, random.Random]] = []
        for number in numbers:
            rng = random.Random(f"{seed} {number}")
            aim = rng.choices(places, weights=[aim.weight for aim in places])[0]
            chosen.append((number, places[number] if number < len(places) else aim, rng))
        for start in range(0, len(chosen), TOGETHER):
            some = sorted(chosen[start : start + TOGETHER], key=lambda one: one[1].name)
            for number, aim, rng in some:  # those that need a running daemon come together
                flip = aim.flip(rng)
                self._note(str(number), aim.name, self._try(aim, flip), f"bit {flip.bit} of {flip.file}")
            self._end_daemon()

    def flip_where_it_hurts(self) -> None:
        """Flip the single bits that do the most harm."""
        for name, flip in sharp_flips(self._installation).items():
            is_killed = flip.file.startswith(home_files.SOURCE_STATE)
            rotten = flip.apply(self._installation.killed if is_killed else self._installation.stopped)
            judgement = self._resume(rotten) if flip.file == RESUME_FILE else self._judge(rotten, is_killed=is_killed)
            self._note(ONCE, name, judgement, f"bit {flip.bit} of {flip.file}")

    def _note(self, part: str, aim: str, judgement: Judgement, where: str) -> None:
        self._results.add(part, [aim], judgement, where)

    def try_damages(self, some: list[Damage]) -> None:
        """Judge files with more damage than a flipped bit."""
        for damage in some:
            judgement = self._judge(damage.files, is_killed=damage.is_killed, sent=damage.sent)
            self._note(f"damage {damage.name}", damage.name, judgement, damage.name)

    def put_in_place(self, name: str, files: Files, sent: Collection[str] = ()) -> None:
        """Judge exchanged files; ``sent``: what they may contain besides what was sent here."""
        self._note(ONCE, name, self._judge(files, sent=sent), name)

    def close(self) -> None:
        """End everything."""
        self._installation.daemon.close()

    def _try(self, aim: Aim, flip: Flip) -> Judgement:
        installation = self._installation
        rotten = flip.apply(installation.killed if aim.is_killed else installation.stopped)
        match aim.name:
            case "recording":
                return self._replay(rotten)
            case "resume file":
                return self._resume(rotten)
            case _:
                return self._judge(rotten, is_killed=aim.is_killed)

    def _judge(self, files: Files, *, is_killed: bool = False, sent: Collection[str] = ()) -> Judgement:
        installation, known = self._installation, self._known[is_killed]
        sent_here, known.sent = known.sent, known.sent | set(sent)
        try:
            return self._judge_files(installation, files, known)
        finally:
            known.sent = sent_here

    def _judge_files(self, installation: Installation, files: Files, known: Ledger) -> Judgement:
        self._end_daemon()
        installation.put_back(files)
        repeated = [name for name in installation.ledger.acknowledged if name.startswith("event-")]
        judge = Judge(installation.daemon, known, random.Random(0), repeated=repeated)
        return judge.judge(installation.listener_key, installation.oldest)

    def _replay(self, files: Files) -> Judgement:
        """Play a recording: what is played is as recorded, and what is missing shows in the exit code."""
        judgement = Judgement()
        installation = self._installation
        path, output = installation.root / RECORDING, installation.root / "played.jsonl"
        path.write_bytes(files[RECORDING][0])
        output.unlink(missing_ok=True)
        code, told = installation.daemon.run(["replay", str(path), "--speed", "0", "--output", str(output)])
        lines = output.read_bytes().splitlines() if output.exists() else []
        sound = {json.dumps(row, sort_keys=True) for row in self._sound_recording}
        wrong = sum(_canonical(line) not in sound for line in lines)
        judgement.find("wrong_content", wrong, told[-200:])
        missing = len(sound) - len(lines)
        judgement.find(
            "lost_silently" if code == 0 else "lost_but_told", max(0, missing), f"exit {code}, {told[-200:]}"
        )
        return judgement

    def _resume(self, files: Files) -> Judgement:
        """Run an SDK program on a resume file: it resumes where it was, or says what is wrong."""
        judgement = Judgement()
        installation = self._installation
        if installation.daemon.pid is None:
            installation.put_back(installation.stopped)
            installation.daemon.start()
            self._resumed = installation.handle_events(RESUMED_EVENTS)
        (installation.root / RESUME_FILE).write_bytes(files[RESUME_FILE][0])
        try:
            handled = installation.handle_events(RESUMED_EVENTS)
        except (SwimError, OSError) as error:
            judgement.find("lost_but_told", 1, f"{type(error).__name__}: {error}")
            return judgement
        except TimeoutError:
            judgement.find("lost_silently", 1, "it waits for ever")
            return judgement
        if "gap" in handled or "error" in handled:
            judgement.find("lost_but_told", 1, handled)
        elif handled != self._resumed:
            judgement.find("resumed_elsewhere", 1, f"{handled} instead of {self._resumed}")
        return judgement

    def _end_daemon(self) -> None:
        self._installation.daemon.kill()


def _canonical(line: bytes) -> str:
    try:
        return json.dumps(json.loads(line), sort_keys=True)
    except ValueError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
