"""What the kernel knows of a process's sockets: read from /proc, never from the process itself."""

from __future__ import annotations

import os
from pathlib import Path

HELD_STATES = frozenset({"01", "02", "04", "05", "08", "09", "0B"})
"""Established, or on its way out but still the process's: all but listening, waiting and closed ones."""
_PROC = Path("/proc")


def count_connections(pid: int, port: int) -> int | None:
    """How many TCP connections to its ``port`` a process holds, as the kernel counts; None where that can't be seen."""
    held = _sockets_of(pid)
    if held is None:
        return None
    found = 0
    is_seen = False
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / str(pid) / "net" / table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        is_seen = True
        wanted = f":{port:04X}"
        for line in lines:
            fields = line.split(None, 10)
            if fields[3] in HELD_STATES and fields[1].endswith(wanted) and fields[9] in held:
                found += 1
    return found if is_seen else None


def _sockets_of(pid: int) -> set[str] | None:
    """Return the inodes of a process's sockets."""
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208  # thousands of them: strings, no Path each
    except OSError:
        return None
    found = set()
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")  # noqa: PTH115
        except OSError:
            continue  # closed meanwhile
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found
