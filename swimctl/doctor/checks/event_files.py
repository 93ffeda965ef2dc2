"""Whether the provider's event files are taken: looked at again and again, from outside of the process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from swimctl.doctor.check import Answer, fail, ok

LOOKS = 4
PAUSE_SECONDS = 0.35
PATIENCE_INTERVALS = 3.0
TAKEN_SECONDS = 60.0
"""A file that was taken is finished with within seconds."""

Seen = tuple[int, int]
"""Inode and size."""


async def event_files_are_read(expected: str, files: Sequence[tuple[str, str, float]]) -> Answer:
    """Judge files by (source, path, interval in seconds): one that is there at every look isn't taken.

    A file that is taken keeps its inode for more than a second under another name: the same inode at the next look is
    the same file.
    """
    looks = [await asyncio.to_thread(_look_at_all, files)]
    while len(looks) < LOOKS and any(looks[-1]):
        await asyncio.sleep(PAUSE_SECONDS)
        looks.append(await asyncio.to_thread(_look_at_all, files))
    lines: list[str] = []
    for number, (name, path, interval) in enumerate(files):
        lines += await asyncio.to_thread(_unread, name, Path(path), interval, [look[number] for look in looks])
    if lines:
        folder = Path(files[0][1]).parent
        return fail(expected, "; ".join(lines), fix=f"ls -la {folder}; swimctl logs")
    return ok(expected, ", ".join(f"{path}: nothing waits" for _, path, _ in files))


def _look_at_all(files: Sequence[tuple[str, str, float]]) -> list[Seen | None]:
    return [_look(Path(path)) for _, path, _ in files]


def _look(path: Path) -> Seen | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size) if found.st_size else None


def _unread(name: str, path: Path, interval: float, looks: Sequence[Seen | None]) -> list[str]:
    lines = []
    seen = [look for look in looks if look is not None]
    if len(seen) == LOOKS and len({inode for inode, _ in seen}) == 1:
        is_growing = seen[-1][1] > seen[0][1]
        watched = PAUSE_SECONDS * (LOOKS - 1)
        if max(watched, _age(path) or 0.0) >= PATIENCE_INTERVALS * interval:
            grows = ", and grows" if is_growing else ""
            lines.append(f"{name}: {path} has {seen[-1][1]} bytes that nobody takes{grows}")
    for taken in _taken(path):
        age = _age(taken)
        if age is not None and age > TAKEN_SECONDS:
            lines.append(f"{name}: {taken.name} was taken {age:.0f} s ago and isn't finished")
    return lines


def _taken(path: Path) -> list[Path]:
    try:
        return sorted(path.parent.glob(f"{path.name}.taken-*"))[:3]
    except OSError:
        return []


def _age(path: Path) -> float | None:
    """Seconds since the last change of the file or its name."""
    try:
        found = path.stat()
    except OSError:
        return None
    return time.time() - max(found.st_mtime, found.st_ctime)
