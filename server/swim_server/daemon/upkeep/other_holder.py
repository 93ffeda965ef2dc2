"""Finds a process that serves a home although its lockfile is gone: the lock alone would allow a second one."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from swim_server.daemon.lockfile import AlreadyRunning

if TYPE_CHECKING:
    from swim_server.daemon.home import Home

CONNECT_SECONDS = 1.0
_DELETED = " (deleted)"
_PROC = Path("/proc")


def refuse_second_process(home: Home) -> None:
    """Look for a process that serves this home without its lockfile. Raises AlreadyRunning.

    Call it with the lock held: a process that answers, or has an earlier lockfile open, has lost its file. It creates
    the file again once the lock is released.
    """
    if _answers(home.control_socket) or holders_of_deleted(home.lockfile):
        raise AlreadyRunning(home.lockfile, None)


def holders_of_deleted(lockfile: Path, proc: Path = _PROC) -> list[int]:
    """Return the processes that have a deleted or replaced lockfile of this name open, as far as visible."""
    wanted, found = f"{lockfile}{_DELETED}", []
    with contextlib.suppress(OSError):
        for entry in proc.iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid() and _has_link(f"{entry}/fd", wanted):
                found.append(int(entry.name))
    return found


def _has_link(folder: str, wanted: str) -> bool:
    """Check the links in a folder. Runs for every descriptor of the machine, so it builds no Path."""
    with contextlib.suppress(OSError):  # another user's process, or one that has just ended
        for name in os.listdir(folder):  # noqa: PTH208 - see above
            with contextlib.suppress(OSError):
                if os.readlink(f"{folder}/{name}") == wanted:  # noqa: PTH115 - see above
                    return True
    return False


def _answers(path: Path) -> bool:
    """Tell whether a process listens on a control socket; one left by a killed process refuses connections."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_SECONDS)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
