"""A small machine: a Linux control group with limited memory and processors, version 1 or 2."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.packages import missing

ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 100_000


class ControlGroup:
    """One group, which may be a folder in each of two hierarchies."""

    def __init__(self, folders: dict[str, Path], *, is_unified: bool) -> None:
        self._folders = folders
        self._is_unified = is_unified

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Move this process into it during a ``with``: processes started meanwhile stay in it."""
        before = {name: _own_group(name) for name in self._folders}
        for folder in self._folders.values():
            (folder / "cgroup.procs").write_text(str(os.getpid()))
        try:
            yield
        finally:
            for folder in before.values():
                (folder / "cgroup.procs").write_text(str(os.getpid()))

    def add(self, pid: int) -> None:
        """Add a process."""
        for folder in self._folders.values():
            (folder / "cgroup.procs").write_text(str(pid))

    def remove(self, pid: int) -> None:
        """Move a process back to where this one was before it created the group."""
        for name in self._folders:
            (ROOT / name / "cgroup.procs").write_text(str(pid))

    @property
    def peak_bytes(self) -> int:
        """The most memory that it has used, including the kernel's file cache."""
        name = "memory.peak" if self._is_unified else "memory.max_usage_in_bytes"
        return int((self._folders["memory"] / name).read_text())

    @property
    def killed(self) -> int:
        """The number of its processes that the kernel has killed for lack of memory."""
        name = "memory.events" if self._is_unified else "memory.oom_control"
        lines = (self._folders["memory"] / name).read_text().splitlines()
        return int(next(line for line in lines if line.startswith("oom_kill ")).split()[1])


@contextmanager
def control_group(*, memory_bytes: int, processors: float = 1.0) -> Iterator[ControlGroup]:
    """Create a group, and remove it when all its processes have ended. Skips if not permitted."""
    name, is_unified = f"swim-test-{os.getpid()}", (ROOT / "cgroup.controllers").exists()
    quota = int(processors * PERIOD_US)
    folders = {"": ROOT / name} if is_unified else {each: ROOT / each / name for each in ("memory", "cpu")}
    try:
        if is_unified:
            (ROOT / "cgroup.subtree_control").write_text("+memory +cpu")
        for folder in folders.values():
            folder.mkdir()
        if is_unified:
            folders["memory"] = folders.pop("")
            (folders["memory"] / "memory.max").write_text(str(memory_bytes))
            (folders["memory"] / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        else:
            (folders["memory"] / "memory.limit_in_bytes").write_text(str(memory_bytes))
            (folders["cpu"] / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (folders["cpu"] / "cpu.cfs_quota_us").write_text(str(quota))
    except OSError as error:
        _remove(folders)
        missing(f"no control group can be made here: {error}")
    try:
        yield ControlGroup(folders, is_unified=is_unified)
    finally:
        _remove(folders)


def _own_group(controller: str) -> Path:
    """Find the group of this process."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return ROOT / controller / path.lstrip("/")
        if number == "0" and not controllers and (ROOT / "cgroup.controllers").exists():
            return ROOT / path.lstrip("/")
    raise AssertionError(f"this process is in no group of {controller}")


def _remove(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        with suppress(OSError):
            folder.rmdir()
