"""Whose a process is: a swimctl of this home, of another home, or another program. Nothing here ends a process."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from swimctl.doctor.check import Advice, decide, inspect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from swimctl.doctor.context import DoctorContext
    from swimctl.doctor.probes.procfs import ProcFs

NOBODY = "a process that can't be looked at"
PORTS_TRIED = 20


def described(procfs: ProcFs, pids: Iterable[int]) -> str:
    """Describe processes: pid and program; for a swimctl, its home."""
    found = []
    for pid in pids:
        home = procfs.home_of(pid)
        found.append(f"pid {pid} ({procfs.name(pid) if home is None else f'swimctl of home {home}'})")
    return ", ".join(found) or NOBODY


def look_at(pids: Sequence[int], path: Path | None = None) -> list[Advice]:
    """Advise to inspect processes, and who has a file open."""
    found = []
    if pids:
        found.append(inspect(f"ps -o user,pid,ppid,lstart,comm -p {','.join(map(str, pids))}"))
    if path is not None:
        found.append(inspect(f"fuser -v {shlex.quote(str(path))}"))
    return found


def other_homes(procfs: ProcFs, pids: Iterable[int], ours: Path) -> list[Path]:
    """Return the other homes that these processes serve."""
    homes = [home for pid in pids if (home := procfs.home_of(pid)) is not None and home != ours]
    return list(dict.fromkeys(homes))


def about_port(context: DoctorContext, host: str, port: int, pids: Sequence[int]) -> list[Advice]:
    """Advise about a port in use by others: the home that may have been meant, or a free port."""
    found = [
        decide(f"export SWIM_HOME={shlex.quote(str(home))}", f"if the daemon of {home} is the one you meant")
        for home in other_homes(context.procfs, pids, context.home.path)
    ]
    found += look_at(pids) or [inspect(f"ss -ltnp sport = :{port}")]
    free = free_port(context.procfs, host, port)
    if free is not None:
        requires = f"port {free} is free now; clients and the proxy must be changed to use it"
        found.append(decide(f"swimctl config set server.port {free}", requires))
    return found


def free_port(procfs: ProcFs, host: str, port: int) -> int | None:
    """Find a free port near another one."""
    candidates = (port + step for step in range(1, PORTS_TRIED))
    return next((each for each in candidates if each <= 65_535 and procfs.port_trouble(host, each) is None), None)


def handover_between(context: DoctorContext) -> list[int]:
    """Return the processes of a restart under way: two or more hold the lock of this home."""
    procfs = context.procfs
    found = [pid for pid in procfs.openers(context.home.lockfile) if pid != os.getpid()]
    ours = [pid for pid in found if procfs.home_of(pid) == context.home.path]
    return sorted(ours) if len(ours) > 1 else []
