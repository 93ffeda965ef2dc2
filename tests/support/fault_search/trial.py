"""One draw, tried: was it found, root cause first? Does the first advice help or harm, as a client sees it?"""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path
from typing import Any

import msgspec
from support.doctor_faults import fired, first_command
from support.fault_search.grammar import Draw
from support.fault_search.world import World

LOOK_AGAIN_SECONDS = 20.0
"""So long a fault may need until it shows: a source stands still only after some intervals."""
OTHER_SECONDS = 5.0
"""So long after one of two faults the other may need; after that the one that was told has to be mended first."""
LOOK_PAUSE_SECONDS = 2.0
SERVED_SECONDS = 10.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a draw."""

    seed: int
    name: str
    faults: int
    is_visible: bool
    has_root: bool
    is_found: bool = False
    is_first: bool = False
    """The root was told first."""
    told: dict[str, str] = {}
    others: tuple[str, ...] = ()
    """What was told for itself, and is no root of what was drawn."""
    advice: str | None = None
    """What was pasted."""
    is_pastable: bool = False
    """It was a fix: one command that mends."""
    mends: bool = False
    harm: str | None = None
    seconds: float = 0.0
    """How long the look took that told it."""
    not_tried: str | None = None
    """Why the draw says nothing: its world did not come about."""
    commit: str = ""
    """Of the code that it was tried with."""
    took_seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Of everything that the draw ran."""


def attempt(draw: Draw, folder: Path) -> Outcome:
    """Produce a draw and examine it; produce it again, paste the first advice, and examine the world."""
    with _produced(draw, folder / "one") as world:
        pid = _pid(world)
        document = _look(world, draw)
        told = fired(document)
        causes = [each for each in document["checks"] if each["id"] in told and each["cause"] is None]
        first = next((each for each in causes if each["id"] == document["first"]), None)
        command = first_command(first) if first is not None else None
        only_looks = first is not None and first["fix"] is None and _kind(first) == "inspect"
        mends, harm = _paste(world, draw, command) if command and only_looks else (False, None)
        port = world.port
    if command and not only_looks:
        with _produced(draw, folder / "two", port) as world:
            words = command.replace(str(folder / "one"), str(folder / "two"))
            mends, harm = _paste(world, draw, _of_this_world(words, pid, _pid(world)))
    is_silent = draw.is_silent and not told
    return Outcome(
        seed=draw.seed, name=draw.name, faults=len(draw.elements), is_visible=draw.is_visible,
        has_root=bool(draw.roots), told=told, advice=command, mends=mends, harm=harm,
        is_found=bool(draw.roots & told.keys()) or is_silent,
        is_first=document["first"] in draw.roots or is_silent,
        others=tuple(each["id"] for each in causes if each["id"] not in draw.roots),
        is_pastable=first is not None and first["fix"] is not None,
        seconds=document["seconds"],
    )  # fmt: skip


@contextlib.contextmanager
def _produced(draw: Draw, folder: Path, port: int | None = None) -> Any:
    """Set up a world with everything that was drawn."""
    world = World(folder, has_own_code=any(each.has_own_code for each in draw.elements), port=port)
    with contextlib.ExitStack() as stack:
        stack.enter_context(world.running())
        for element in sorted(draw.elements, key=lambda each: each.slot == "home"):  # what is in it before it itself
            stack.enter_context(element.produce(world))
        world.note()
        yield world


def _pid(world: World) -> int | None:
    """Return the process that the lockfile names, in any state."""
    info = world.patient.lockfile.read()
    return None if info is None else info.pid


def _kind(result: dict[str, Any]) -> str | None:
    return next((each["kind"] for each in result["advice"]), None)


def _look(world: World, draw: Draw) -> dict[str, Any]:
    """Run doctor until it reports a root cause, for a while: some faults need time. Of a pair the second gets less."""
    deadline = time.monotonic() + LOOK_AGAIN_SECONDS
    while True:
        document = world.doctor()
        told = fired(document).keys()
        if draw.are_told(told) or (draw.is_silent and not told) or time.monotonic() > deadline:
            return document
        if draw.roots & told:
            deadline = min(deadline, time.monotonic() + OTHER_SECONDS)
        time.sleep(LOOK_PAUSE_SECONDS)


def _paste(world: World, draw: Draw, command: str) -> tuple[bool, str | None]:
    """Paste a command; return whether it helps, and what it harms."""
    was_there, was_served = world.process(), world.is_served(SERVED_SECONDS)
    world.patient.paste(command)
    is_served = world.is_served(2 * SERVED_SECONDS if was_served else SERVED_SECONDS)
    mends = is_served and not draw.roots & fired(world.doctor()).keys()
    harm = _harm(world, was_there)
    if harm is None and was_served and not is_served:
        harm = "the client was served, and isn't any more"
    return mends, harm


def _of_this_world(command: str, former: int | None, pid: int | None) -> str:
    """Replace the other world's pid with this one's."""
    return command if former is None or pid is None else re.sub(rf"\b{former}\b", str(pid), command)


def _harm(world: World, was_there: object) -> str | None:
    """Say what is worse than before the paste, as clients and operators see it."""
    now = world.process()
    if was_there is not None and now is None:
        return "the daemon ran, and doesn't any more"
    if now is not None and world.before is not None and now.user != world.before.user:
        return f"it runs as user {now.user}, it ran as {world.before.user}"
    if now is not None and world.before is not None and now.arguments != world.before.arguments:
        return f"its options are {now.arguments}, they were {world.before.arguments}"
    if now is not None and world.before is not None and now.sources != world.before.sources:
        return f"it reads {now.sources}, it read {world.before.sources}"
    return None if world.is_lossless() else "the client was told other events than were taken"
