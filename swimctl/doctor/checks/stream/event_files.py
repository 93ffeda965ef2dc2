"""Whether the provider's event files are picked up: observed repeatedly, from outside the process."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from swimctl.doctor.check import Answer, fail, inspect, ok
from swimctl.doctor.probes.filesystem import FileSystem
from swimctl.doctor.probes.launching import about_immutable

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

LOOKS = 4
PAUSE_SECONDS = 0.35
PATIENCE_INTERVALS = 3.0
TAKEN_SECONDS = 60.0
"""A file that was taken is processed within seconds."""

KEPT_SECONDS = 900.0
"""A file of another user is kept for ten minutes after it last grew."""

EventFile = tuple[str, str, float]
"""Source, path, interval in seconds."""


class Seen(msgspec.Struct, frozen=True):
    """An event file at one observation."""

    inode: int
    size: int


class FileLooks(msgspec.Struct, frozen=True, kw_only=True):
    """Several observations of one event file, and the files taken but not yet finished."""

    looks: tuple[Seen | None, ...]
    age_seconds: float | None
    """Time since its last change."""
    taken: dict[str, float]
    """By name: seconds since the file was taken."""
    is_immutable: bool = False


async def look_at_event_files(context: DoctorContext, files: Sequence[EventFile]) -> list[FileLooks]:
    """Observe files until none is waiting, up to a few times."""
    return await context.fact(
        "stream.event-files", lambda: _look_on(files), ", ".join(path for _, path, _ in files), shape=list[FileLooks]
    )


async def _look_on(files: Sequence[EventFile]) -> list[FileLooks]:
    looks = [await asyncio.to_thread(_look_at_all, files)]
    while len(looks) < LOOKS and any(looks[-1]):
        await asyncio.sleep(PAUSE_SECONDS)
        looks.append(await asyncio.to_thread(_look_at_all, files))
    return [
        FileLooks(
            looks=tuple(look[number] for look in looks),
            age_seconds=await asyncio.to_thread(_age, Path(path)),
            taken=await asyncio.to_thread(_taken, Path(path)),
            is_immutable=await asyncio.to_thread(FileSystem().is_immutable, Path(path)),
        )
        for number, (_, path, _) in enumerate(files)
    ]


def judge_event_files(
    expected: str, files: Sequence[EventFile], seen: Sequence[FileLooks], kept: Sequence[str] = ()
) -> Answer:
    """Evaluate files: one that is present at every look isn't being taken.

    ``kept``: sources that wait for files to stop growing. A taken file keeps its inode for more than a second under
    another name: the same inode at the next look is the same file.
    """
    lines = [
        line for (name, path, interval), each in zip(files, seen, strict=True)
        for line in _unread(name, path, interval, each, is_kept=bool(kept))
    ]  # fmt: skip
    frozen = [Path(path) for (_, path, _), each in zip(files, seen, strict=True) if each.is_immutable]
    if frozen:
        lines = [f"{frozen[0]} is immutable (chattr +i or +a): nobody can take it, not even root", *lines]
    if lines:
        folder = shlex.quote(str(Path(files[0][1]).parent))
        look = [inspect(f"ls -la {folder}"), inspect("swimctl logs")]
        return fail(expected, "; ".join(lines), advice=[*(about_immutable(frozen) if frozen else ()), *look])
    return ok(expected, ", ".join(f"{path}: nothing waits" for _, path, _ in files), *kept)


def _look_at_all(files: Sequence[EventFile]) -> list[Seen | None]:
    return [_look(Path(path)) for _, path, _ in files]


def _look(path: Path) -> Seen | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return Seen(found.st_ino, found.st_size) if found.st_size else None


def _unread(name: str, path: str, interval: float, found: FileLooks, *, is_kept: bool) -> list[str]:
    lines = []
    seen = [look for look in found.looks if look is not None]
    if len(seen) == LOOKS and len({each.inode for each in seen}) == 1:
        is_growing = seen[-1].size > seen[0].size
        watched = PAUSE_SECONDS * (LOOKS - 1)
        if max(watched, found.age_seconds or 0.0) >= PATIENCE_INTERVALS * interval:
            grows = ", and grows" if is_growing else ""
            lines.append(f"{name}: {path} has {seen[-1].size} bytes that are not taken{grows}")
    lines += [
        f"{name}: {taken} was taken {age:.0f} s ago and isn't finished"
        for taken, age in found.taken.items()
        if age > (KEPT_SECONDS if is_kept else TAKEN_SECONDS)
    ]
    return lines


def _taken(path: Path) -> dict[str, float]:
    try:
        names = sorted(path.parent.glob(f"{path.name}.taken-*"))[:3]
    except OSError:
        return {}
    return {each.name: age for each in names if (age := _age(each)) is not None}


def _age(path: Path) -> float | None:
    """Return the seconds since the file or its name last changed."""
    try:
        found = path.stat()
    except OSError:
        return None
    return time.time() - max(found.st_mtime, found.st_ctime)
