"""The diary of starts in the home: when a process began, and whether the one before it had ended in order."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from swim_server.files.opening import open_to_append
from swim_server.files.replacing import replace_durably

KEPT_STARTS = 200
"""The newest ones; older lines go when there are twice as many."""

How = Literal["start", "after-crash", "restart"]


class Start(msgspec.Struct, frozen=True):
    """One start."""

    at: float
    """Unix time."""
    pid: int
    how: How
    """``after-crash``: the process before had been killed, it left its lockfile as it was."""
    uid: int | None = None
    """The user that it ran as; None: noted by an earlier version."""
    arguments: tuple[str, ...] | None = None
    """The program's arguments, credentials hidden: how to start it again. None: noted by an earlier version."""
    supervisor: str | None = None
    """What started it."""


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
    """Read the starts, oldest first; lines that can't be read are left out."""
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
            continue  # torn by a crash or a full disk
