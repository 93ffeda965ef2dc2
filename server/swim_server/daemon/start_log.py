"""The log of starts in the home: when each process began, and whether the one before had ended in order."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from swim_server.files.opening import open_to_append
from swim_server.files.replacing import replace_durably

KEPT_STARTS = 200
"""How many starts are kept; older lines are removed when there are twice as many."""

How = Literal["start", "after-crash", "restart"]


class Start(msgspec.Struct, frozen=True):
    """One start."""

    at: float
    """Unix time."""
    pid: int
    how: How
    """``after-crash``: the previous process was killed and left its lockfile as it was."""
    uid: int | None = None
    """The user that it ran as; None: written by an earlier version."""
    arguments: tuple[str, ...] | None = None
    """The program's arguments, credentials hidden: how to start it again. None: written by an earlier version."""
    supervisor: str | None = None
    """The supervisor that started it."""


def record_start(path: Path, start: Start) -> None:
    """Add a line. Raises OSError."""
    lines = [msgspec.json.encode(each) for each in read_starts(path)]
    line = msgspec.json.encode(start) + b"\n"
    if len(lines) < 2 * KEPT_STARTS:
        with open_to_append(path) as file:
            file.write(line)
    else:
        replace_durably(path, b"".join(each + b"\n" for each in lines[-KEPT_STARTS:]) + line)


def read_starts(path: Path) -> list[Start]:
    """Read the starts, oldest first; unreadable lines are left out."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    return list(_decode(lines))


def _decode(lines: Iterable[bytes]) -> Iterable[Start]:
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=Start)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # truncated by a crash or a full disk
