"""A whole search: draws tried one by one or concurrently, saved as they complete, summed up at the end."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from typing import NoReturn

import msgspec
from _pytest.outcomes import Skipped
from support.daemon import ROOT
from support.fault_search.grammar import draw
from support.fault_search.trial import Outcome, attempt

DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def outcome_of(seed: int) -> Outcome:
    """Try one draw in a folder of its own; what could not be tried says so."""
    logging.getLogger("swim_client").addHandler(logging.NullHandler())  # a client that comes back is what is expected
    drawn, began, used = draw(seed), time.monotonic(), _cpu_seconds()
    with tempfile.TemporaryDirectory(prefix="swim-faults-", ignore_cleanup_errors=True) as folder:
        try:
            outcome = attempt(drawn, Path(folder))
        except (Exception, Skipped) as error:  # noqa: BLE001  # one world that fails is no reason to lose the others
            outcome = Outcome(
                seed=seed, name=drawn.name, faults=len(drawn.elements), is_visible=drawn.is_visible,
                has_root=bool(drawn.roots), not_tried=f"{type(error).__name__}: {error}"[:300],
            )  # fmt: skip
    return msgspec.structs.replace(
        outcome, commit=_commit(), took_seconds=round(time.monotonic() - began, 1),
        cpu_seconds=round(_cpu_seconds() - used, 1),
    )  # fmt: skip


def _cpu_seconds() -> float:
    """Return the processor time of this process and of all that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@cache
def _commit() -> str:
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def tried(path: Path) -> dict[int, Outcome]:
    """Read what an earlier run saved; a draw that today's grammar makes differently is tried again."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(msgspec.DecodeError):  # the line that was being written
                outcome = msgspec.json.decode(line, type=Outcome)
                if outcome.not_tried is None and outcome.name == draw(outcome.seed).name:
                    found[outcome.seed] = outcome
    return found


def search(seeds: Iterable[int], jobs: int, keep: Path | None) -> Iterator[Outcome]:
    """Try draws, several at a time; each outcome is saved before it is returned. Ctrl-C finishes those in progress."""
    method = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, method, _begin_worker) as pool:
        futures = [pool.submit(outcome_of, seed) for seed in seeds]
        try:
            for future in as_completed(futures):
                outcome = future.result()
                if keep is not None:
                    with keep.open("ab") as file:
                        file.write(msgspec.json.encode(outcome) + b"\n")
                yield outcome
        finally:
            pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """Finish the current draw when the search is interrupted, and leave nothing behind when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGTERM, 0, 0, 0)


def _end(*_: object) -> NoReturn:
    raise SystemExit(1)  # through the worlds, which end what they have started


def rates(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Summarise a run."""
    outcomes = [each for each in outcomes if each.not_tried is None]
    visible = [each for each in outcomes if each.is_visible]
    rooted = [each for each in outcomes if each.has_root]
    pastable = [each for each in outcomes if each.is_pastable and each.faults == 1]
    pairs = [each for each in outcomes if each.faults > 1]
    mendable = [each for each in outcomes if draw(each.seed).has_one_command]
    return {
        "drawn": str(len(outcomes)),
        "a user would notice": str(len(visible)),
        "of these found": _share(visible, lambda each: each.is_found),
        "pairs told at once": _share(pairs, lambda each: draw(each.seed).are_told(each.told.keys())),
        "root first": _share(rooted, lambda each: each.is_first),
        "advice mends what one command can": _share(mendable, lambda each: each.mends),
        "fixes that mend, of one fault": _share(pastable, lambda each: each.mends),
        "advice that harms": str(sum(each.harm is not None for each in outcomes)),
        "told besides": str(sum(bool(each.others) for each in outcomes)),
    }


def misses(outcomes: Sequence[Outcome]) -> list[list[object]]:
    """Return the draws with the wrong outcome."""
    return [
        [
            each.seed, each.name, "" if each.is_found or not each.is_visible else "not found",
            "" if each.is_first or not each.has_root else "not first", "not mended" if _is_not_mended(each) else "",
            each.not_tried or each.harm or "", ", ".join(each.told) or "nothing", each.advice or "",
        ]
        for each in sorted(outcomes, key=lambda each: each.seed)
        if each.harm or each.not_tried or (each.has_root and not each.is_first)
        or (each.is_visible and not each.is_found) or _is_not_mended(each)
    ]  # fmt: skip


def _is_not_mended(outcome: Outcome) -> bool:
    """Return True if one command could have mended it, or was said to."""
    could = draw(outcome.seed).has_one_command or (outcome.is_pastable and outcome.faults == 1)
    return could and not outcome.mends and outcome.not_tried is None


def _share(outcomes: Sequence[Outcome], holds: Callable[[Outcome], bool]) -> str:
    good = sum(map(holds, outcomes))
    return f"{good} of {len(outcomes)}" + (f" ({good / len(outcomes):.2f})" if outcomes else "")
