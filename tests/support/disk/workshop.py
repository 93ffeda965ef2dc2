"""The workplace of a disk harness: a folder in memory if there is one, and a process with the libraries preloaded."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.disk.forked_daemon import BootId
from support.disk.preload import MAP_BYTES, FaultControl, compile_library
from support.mounts import NoMount, mount, tmpfs, unmount

_FOLDER = "SWIM_DISK_WORK"


class Workshop:
    """The folder, and the file that controls the preloaded library."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.boot = BootId(folder / "boot_id")
        self.faults = FaultControl(folder / "faults")
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the harness began."""
        return round(time.monotonic() - self.started, 1)

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of the harness and of all processes it has waited for."""
        return round(sum(os.times()[:4]), 1)

    def recorder_environ(self, root: Path, log: Path) -> dict[str, str]:
        """Return the environment of a process whose changes below ``root`` are to be recorded."""
        library = compile_library("recorder", self.folder)
        return {**os.environ, "LD_PRELOAD": str(library), "SWIM_DISK_ROOT": str(root), "SWIM_DISK_LOG": str(log)}


class Ended(SystemExit):
    """The harness was ended: what it has found so far can still be reported."""


def _end(_number: int, _frame: object) -> None:
    """End as after Ctrl-C, so that nothing is left behind."""
    raise Ended(143)


@contextmanager
def workshop() -> Iterator[Workshop]:
    """Run this program again with the library preloaded, and provide the workplace there; removed at the end."""
    if _FOLDER not in os.environ:
        parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        folder = Path(tempfile.mkdtemp(prefix="swim-disk-", dir=parent))
        with suppress(NoMount):  # whoever kills us leaves nothing but an empty folder
            mount(folder, *tmpfs("50%"))
        (folder / "boot_id").touch()
        (folder / "faults").write_bytes(bytes(MAP_BYTES))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SWIM_", "_SWIM"))}
        environ = kept | {
            _FOLDER: str(folder), "LD_PRELOAD": str(compile_library("faults", folder)),
            "SWIM_DISK_BOOT_ID": str(folder / "boot_id"), "SWIM_DISK_FAULTS": str(folder / "faults"),
            "PYTHONWARNINGS": "", "XDG_RUNTIME_DIR": str(folder),
        }  # fmt: skip
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)
    place = Workshop(Path(os.environ[_FOLDER]))
    signal.signal(signal.SIGTERM, _end)
    try:
        yield place
    finally:
        place.faults.close()
        if place.folder.is_mount():
            with suppress(NoMount):
                unmount(place.folder)
        shutil.rmtree(place.folder, ignore_errors=True)
