"""How much more time a run gets on a machine that has more to do than it can: slowness of ours is no finding."""

from __future__ import annotations

import os
from pathlib import Path

MOST = 6.0
_LOADAVG = Path("/proc/loadavg")


def stretch(loadavg: Path = _LOADAVG, cores: int | None = None) -> float:
    """By how much limits are to be stretched: 1 where each that wants to run has a core, 6 at most.

    What counts is the greater of the last minute's load and the number that want to run at this moment, so that a
    load that has only just begun is seen too (proc(5), /proc/loadavg).
    """
    cores = cores or len(os.sched_getaffinity(0))
    try:
        fields = loadavg.read_text("ascii").split()
        waiting = max(float(fields[0]), float(fields[3].partition("/")[0]))
    except (OSError, ValueError, IndexError):
        return 1.0
    return min(max(1.0, waiting / cores), MOST)
