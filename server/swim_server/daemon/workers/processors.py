"""How many processors this process may use: those that it may run on, and no more than its control group's quota."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

_GROUPS, _ROOT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def processors(*, groups: Path = _GROUPS, root: Path = _ROOT) -> int:
    """Return the number of whole processors, at least 1."""
    count = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, int(min([count, *_quotas(groups, root)])))


def _quotas(groups: Path, root: Path) -> Iterator[float]:
    """Yield the quota of each control group that limits this process, in processors."""
    for line in _text(groups).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            yield from _each_up(root, path, ("cpu.max",))
        elif "cpu" in controllers.split(","):
            yield from _each_up(root / "cpu", path, ("cpu.cfs_quota_us", "cpu.cfs_period_us"))


def _each_up(root: Path, path: str, names: tuple[str, ...]) -> Iterator[float]:
    folder = root / path.strip("/")
    for each in [folder, *folder.parents]:
        if not each.is_relative_to(root):
            return
        words = " ".join(_text(each / name) for name in names).split()
        if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
            yield int(words[0]) / int(words[1])


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
