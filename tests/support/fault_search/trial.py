"""One draw, tried: found? the root first? does the first advice mend it, or harm? By what a client sees."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from support.doctor_faults import fired, first_command
from support.fault_search.grammar import Draw
from support.fault_search.world import World

LOOK_AGAIN_SECONDS = 20.0
"""So long a fault may need until it shows: a source stands still only after some intervals."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a draw."""

    draw: Draw
    is_found: bool
    is_first: bool
    """The root was told first."""
    told: dict[str, str]
    others: tuple[str, ...]
    """What was told for itself, and is no root of what was drawn."""
    advice: str | None
    """What was pasted."""
    is_pastable: bool
    """It was a fix: one command that mends."""
    mends: bool
    harm: str | None


def attempt(draw: Draw, folder: Path) -> Outcome:
    """Produce a draw and look; produce it anew, paste the first advice, and look at the world."""
    has_own_code = any(each.has_own_code for each in draw.elements)
    with contextlib.ExitStack() as stack:
        world = World(folder / "one", has_own_code=has_own_code)
        stack.enter_context(world.running())
        for element in draw.elements:
            stack.enter_context(element.produce(world))
        document = _look(world, draw)
    told = fired(document)
    causes = [each for each in document["checks"] if each["id"] in told and each["cause"] is None]
    first = next((each for each in causes if each["id"] == document["first"]), None)
    command = first_command(first) if first is not None else None
    mends, harm = _paste(draw, folder / "two", command, world) if command else (False, None)
    is_silent = not draw.roots or all(each.is_healed for each in draw.elements)
    return Outcome(
        draw=draw, told=told, advice=command, mends=mends, harm=harm,
        is_found=bool(draw.roots & told.keys()) or (is_silent and not told),
        is_first=document["first"] in draw.roots or (is_silent and not told),
        others=tuple(each["id"] for each in causes if each["id"] not in draw.roots),
        is_pastable=first is not None and first["fix"] is not None,
    )  # fmt: skip


def _look(world: World, draw: Draw) -> dict[str, Any]:
    """Run doctor until it tells a root, for a while: some faults need their time."""
    deadline = time.monotonic() + LOOK_AGAIN_SECONDS
    while True:
        document = world.doctor()
        if draw.roots & fired(document).keys() or not draw.roots or time.monotonic() > deadline:
            return document


def _paste(draw: Draw, folder: Path, command: str, former: World) -> tuple[bool, str | None]:
    """Paste a command in a world made anew; say whether that mends it, and what it harms."""
    has_own_code = any(each.has_own_code for each in draw.elements)
    world = World(folder, has_own_code=has_own_code, port=former.port)
    with contextlib.ExitStack() as stack:
        stack.enter_context(world.running())
        for element in draw.elements:
            stack.enter_context(element.produce(world))
        was_there = world.process()
        command = command.replace(str(folder.parent / "one"), str(folder))
        world.patient.paste(_of_this_world(command, world))
        mends = world.is_served(10.0) and not draw.roots & fired(world.doctor()).keys()
        return mends, _harm(world, was_there)


def _of_this_world(command: str, world: World) -> str:
    """Put this world's process in the place of the other's: a pid is another one in each."""
    with contextlib.suppress(AssertionError):
        pid = world.patient.info.pid
        words = command.split()
        for number, word in enumerate(words[:-1]):
            if word in ("-CONT", "--pid", "-HUP"):
                words[number + 1] = str(pid)
        return " ".join(words)
    return command


def _harm(world: World, was_there: object) -> str | None:
    """Say what is worse than before the paste, as clients and operators see it."""
    now = world.process()
    if was_there is not None and now is None:
        return "the daemon ran, and doesn't any more"
    if now is not None and world.before is not None and now.user != world.before.user:
        return f"it runs as user {now.user}, it ran as {world.before.user}"
    if now is not None and world.before is not None and now.arguments != world.before.arguments:
        return f"its options are {now.arguments}, they were {world.before.arguments}"
    return None if world.is_lossless() else "the client was told other events than were taken"


def rates(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Sum a run up."""
    visible = [each for each in outcomes if each.draw.is_visible]
    rooted = [each for each in outcomes if each.draw.roots]
    pastable = [each for each in outcomes if each.is_pastable and len(each.draw.elements) == 1]
    return {
        "drawn": str(len(outcomes)),
        "a user would notice": str(len(visible)),
        "of these found": _share(visible, lambda each: each.is_found),
        "root first": _share(rooted, lambda each: each.is_first),
        "fixes that mend, of one fault": _share(pastable, lambda each: each.mends),
        "advice that harms": str(sum(each.harm is not None for each in outcomes)),
        "told besides": str(sum(bool(each.others) for each in outcomes)),
    }


def _share(outcomes: Sequence[Outcome], holds: Any) -> str:
    good = sum(map(holds, outcomes))
    return f"{good} of {len(outcomes)}" + (f" ({good / len(outcomes):.2f})" if outcomes else "")
