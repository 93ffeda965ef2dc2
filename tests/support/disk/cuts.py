"""Where a recorded run is cut off, and the images that are built there."""

from __future__ import annotations

import random
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
from support.disk import home_files
from support.disk.change_log import Change, Operation
from support.disk.ledger import Ledger
from support.disk.power_model import Amount, Model, PowerModel

Aim = Literal["anywhere", "keys", "restart", "providers", "settings", "acknowledgement", "write-back"]
"""What has just happened where the power is cut."""
AMOUNTS: tuple[Amount, ...] = ("least", "names", "some", "some", "some", "most")
SWITCHED_SHARE = 0.25
NEAR_CHANGES = 300
"""A cut soon after a moment comes within so many changes of it."""


class Cut(msgspec.Struct, frozen=True):
    """One image to build: after this many changes, with this much of the unsynced rest, and this random seed."""

    place: int
    aim: Aim
    amount: Amount
    seed: int
    is_switched: bool
    """Written under ``normal``, it is started as ``full``."""


def moments(changes: list[Change]) -> dict[Aim, list[int]]:
    """Return where something has just been returned or reported, as numbers of changes."""
    found: dict[Aim, list[int]] = defaultdict(list)
    for place, change in enumerate(changes, 1):
        if change.operation is Operation.UNLINK and "/drop/" in change.path:
            found["providers"].append(place)
        if _is_write_back(change):
            found["write-back"].append(place)
        if change.operation is not Operation.MARK:
            continue
        mark = change.mark
        match mark["kind"]:
            case "key" if mark["is_sure"]:
                found["keys"].append(place)
            case "phase" if mark["name"] == "restart returned":
                found["restart"].append(place)
            case "setting" | "resume":
                found["settings"].append(place)
            case "acknowledged":
                found["acknowledgement"].append(place)
            case "baseline":
                found.clear()
    return found


def _is_write_back(change: Change) -> bool:
    """Return True while history's log is being written back, or has just been and starts over."""
    if change.operation in (Operation.SYNC_BEGIN, Operation.SYNC_END, Operation.WRITE):
        is_anew = change.path.endswith("-wal") and change.operation is Operation.WRITE and change.offset == 0
        return change.path.endswith(f"/{home_files.HISTORY}") or (is_anew and home_files.HISTORY in change.path)
    return False


def baseline(changes: list[Change]) -> int:
    """Return the change after which everything before is on the disk."""
    return next(
        place
        for place, change in enumerate(changes, 1)
        if change.operation is Operation.MARK and change.mark["kind"] == "baseline"
    )


def choose_cuts(changes: list[Change], count: int, rng: random.Random) -> list[Cut]:
    """Choose cuts, in order of their places: first the barest of every aim, then random ones."""
    aims, start = moments(changes), baseline(changes)
    cuts = [_bare(aim, places[len(places) // 2], rng) for aim, places in aims.items()]
    for share in (1, 2, 3):
        place = len(aims["providers"]) * share // 4
        cuts.append(msgspec.structs.replace(_bare("providers", aims["providers"][place], rng), amount="names"))
        place = len(aims["acknowledgement"]) * share // 4
        cuts.append(_bare("acknowledgement", aims["acknowledgement"][place], rng, is_switched=True))
    for share in (1, 3):
        cuts.append(_bare("write-back", aims["write-back"][len(aims["write-back"]) * share // 4], rng))
    for place in aims["restart"]:
        cuts += [_bare("restart", min(place + 40 * step, len(changes)), rng) for step in (1, 2)]
    while len(cuts) < count:
        aim = rng.choice((*aims, *("anywhere",) * 3))
        if aim == "anywhere":
            place = rng.randint(start, len(changes))
        else:
            distance = rng.randint(0, NEAR_CHANGES if aim == "restart" else 3)
            place = min(rng.choice(aims[aim]) + distance, len(changes))
        is_switched = rng.random() < SWITCHED_SHARE
        cuts.append(Cut(place, aim, rng.choice(AMOUNTS), rng.getrandbits(32), is_switched))
    return sorted(cuts, key=lambda cut: cut.place)


def _bare(aim: Aim, place: int, rng: random.Random, *, is_switched: bool = False) -> Cut:
    return Cut(place, aim, "least", rng.getrandbits(32), is_switched)


def listener_key(changes: list[Change]) -> str:
    """Return the API key of the run's listeners: the first one created."""
    marks = (change.mark for change in changes if change.operation is Operation.MARK)
    return next(str(mark["api_key"]) for mark in marks if mark["kind"] == "key")


def build_images(
    changes: list[Change], cuts: list[Cut], model: Model, recorded_root: str, image: Path
) -> Iterator[tuple[Cut, Ledger]]:
    """Build the images below ``image`` one by one, in order of their places; yield each with what was known there."""
    power, ledger, place = PowerModel(recorded_root, model), Ledger(), 0
    for cut in cuts:
        for change in changes[place : cut.place]:
            if change.operation is not Operation.MARK:
                power.apply(change)
                continue
            mark = change.mark
            ledger.take(mark)
            if mark["kind"] == "baseline":
                power.sync_all()
        place = cut.place
        shutil.rmtree(image, ignore_errors=True)
        image.mkdir(mode=0o700)
        power.build(image, cut.amount, random.Random(cut.seed))
        yield cut, ledger
