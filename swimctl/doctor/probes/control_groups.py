"""The memory and CPU limits of a process's control groups, version 1 and 2. Blocks."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import psutil

_FIRST, _SECOND = ("memory.usage_in_bytes", "memory.limit_in_bytes"), ("memory.current", "memory.max")


class MemoryGroup(NamedTuple):
    """The memory of a control group."""

    used: int
    """Without the file cache, which the kernel would give back."""
    limit: int
    kills: int
    """Processes of the group that the kernel has killed for lack of memory."""


class ProcessorLimit(NamedTuple):
    """A CPU quota, and how often it throttled the group (kernel: sched-bwc)."""

    cores: float
    periods: int
    throttled: int
    seconds: float


class ControlGroups:
    """The limits of processes, as the kernel's control groups show them."""

    def __init__(self, proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")) -> None:
        self._proc = proc
        self._root = root

    def memory_bytes(self, pid: int) -> int:
        """Return the memory of the machine, or of the process's control group."""
        limits = [int(psutil.virtual_memory().total)]
        for folder, is_second in self._groups(pid, "memory"):
            limits += _numbers(folder / ("memory.max" if is_second else "memory.limit_in_bytes"))
        return min(limits)

    def memory_group(self, pid: int) -> MemoryGroup | None:
        """Return the memory of the process's control group; None if it has no limit."""
        for folder, is_second in self._groups(pid, "memory"):
            names = (
                ("memory.current", "memory.max") if is_second else ("memory.usage_in_bytes", "memory.limit_in_bytes")
            )
            used, limit = (_numbers(folder / name) for name in names)
            if used and limit and limit[0] < int(psutil.virtual_memory().total):
                counters = _counters(folder / "memory.stat")
                cache = [(f"total_{name}", name) for name in ("inactive_file", "active_file")]
                freed = sum(max(counters.get(each, 0) for each in pair) for pair in cache)
                kills = _counters(folder / ("memory.events" if is_second else "memory.oom_control")).get("oom_kill", 0)
                return MemoryGroup(max(0, used[0] - freed), limit[0], kills)
        return None

    def processor_limit(self, pid: int) -> ProcessorLimit | None:
        """Return the CPU quota of the process's control group; None if there is none."""
        for folder, is_second in self._groups(pid, "cpu"):
            names = ("cpu.max",) if is_second else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            words = " ".join(_text(folder / name) for name in names).split()
            if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
                found = _counters(folder / "cpu.stat")
                seconds = found["throttled_usec"] / 1e6 if is_second and "throttled_usec" in found else 0.0
                seconds = seconds or found.get("throttled_time", 0) / 1e9
                cores = int(words[0]) / int(words[1])
                return ProcessorLimit(cores, found.get("nr_periods", 0), found.get("nr_throttled", 0), seconds)
        return None

    def _groups(self, pid: int, controller: str) -> list[tuple[Path, bool]]:
        """List the folders of a process's control groups, its own first, and whether they are of version 2."""
        found = []
        for line in _text(self._proc / str(pid) / "cgroup").splitlines():
            _, controllers, path = [*line.split(":", 2), "", ""][:3]
            if not controllers or controller in controllers.split(","):
                root = self._root / controller if controllers else self._root
                folders = dict.fromkeys((root / path.lstrip("/"), root))
                found += [(folder, not controllers) for folder in folders]
        return found


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""


def _numbers(path: Path) -> list[int]:
    text = _text(path)
    return [int(text)] if text.isdigit() else []


def _counters(path: Path) -> dict[str, int]:
    """Parse lines of a name and a number."""
    pairs = (line.partition(" ") for line in _text(path).splitlines())
    return {name: int(number) for name, _, number in pairs if number.strip().isdigit()}
