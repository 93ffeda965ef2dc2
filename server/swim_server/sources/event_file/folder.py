"""The folder in which the event file appears: how it is taken, found again after a crash, set aside and removed.

Blocks. Knows nothing of what is in the files.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

CHUNK_BYTES = 1024 * 1024
KEPT_REJECTED_FILES = 50
MAX_REJECTED_BYTES = 4 * 1024 * 1024
"""Of one such file."""

Signature = tuple[int, int]
"""Length and time of the last change: what tells that somebody has written since."""


class FolderTrouble(OSError):
    """The event file can't be taken: why, and what to do."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return self.reason


class EventFolder:
    """Takes ``path`` whenever it is there, by renaming it to a name that is ours alone."""

    def __init__(self, path: Path, *, clock_ns: Callable[[], int], pid: int) -> None:
        self.path = path
        self._clock_ns = clock_ns
        self._pid = pid
        self._numbers = itertools.count()
        self._taken_prefix = f"{path.name}.taken-"

    def is_ours(self, file: str) -> bool:
        """Whether a changed file is one to look at. Does not block."""
        name = os.path.basename(file)  # noqa: PTH119 - called for each change of a busy folder
        return name == self.path.name or name.startswith(self._taken_prefix)

    def identity(self) -> tuple[int, int] | None:
        """Tell which folder it is just now; None when there is none."""
        try:
            found = self.path.parent.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def find_taken(self) -> list[Path]:
        """Find what was taken before a crash, oldest first."""
        try:
            with os.scandir(self.path.parent) as entries:
                names = sorted(entry.name for entry in entries if entry.name.startswith(self._taken_prefix))
        except OSError:
            return []
        return [self.path.with_name(name) for name in names]

    def take(self) -> Path | None:
        """Rename the event file away and return its new name; None when there is none, or an empty one.

        Raises FolderTrouble.
        """
        try:
            found = self.path.stat()
            if not stat.S_ISREG(found.st_mode):
                raise FolderTrouble(f"{self.path} is no file: remove it, or configure another path")
            if found.st_size == 0:
                return None
            if not os.access(self.path, os.R_OK):
                raise FolderTrouble(f"{self.path} can't be read: let this user read it, or run as its owner")
            target = self._unused_name()
            self.path.rename(target)
        except FileNotFoundError:
            if not self.path.parent.is_dir():
                raise FolderTrouble(f"the folder {self.path.parent} does not exist: create it") from None
            return None
        except NotADirectoryError:
            raise FolderTrouble(f"{self.path.parent} is no folder: configure another path") from None
        except PermissionError as error:
            hint = "this user must be allowed to rename it; in a sticky folder like /tmp only its owner is"
            raise FolderTrouble(f"{self.path} can't be taken ({error.strerror}): {hint}") from None
        return target

    def set_aside(self, taken: Path, texts: Sequence[str]) -> Path | None:
        """Write what could not be read beside the event file, a line each; None when there is nothing to write.

        Done again after a crash, it writes the same file again. Raises OSError.
        """
        if not texts:
            return None
        unique = taken.name.removeprefix(self._taken_prefix)
        target = self.path.with_name(f"{self.path.name}.{unique}.rejected")
        room = MAX_REJECTED_BYTES
        with target.open("wb") as file:
            for text in texts:
                line = text.encode("utf-8", "surrogateescape")[:room] + b"\n"
                file.write(line)
                room -= len(line)
                if room <= 0:
                    break
        self._forget_oldest()
        return target

    def _unused_name(self) -> Path:
        while True:
            name = f"{self._taken_prefix}{self._clock_ns():020d}-{self._pid}-{next(self._numbers)}"
            target = self.path.with_name(name)
            if not target.exists():
                return target

    def _forget_oldest(self) -> None:
        prefix = f"{self.path.name}."
        with os.scandir(self.path.parent) as entries:
            names = [
                entry.name for entry in entries if entry.name.startswith(prefix) and entry.name.endswith(".rejected")
            ]
        for name in sorted(names)[:-KEPT_REJECTED_FILES]:
            self.path.with_name(name).unlink(missing_ok=True)


def signature(taken: Path) -> Signature | None:
    """Return what tells later whether somebody has written to the file since; None when it is gone."""
    try:
        found = taken.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def read_chunks(taken: Path) -> Iterator[bytes]:
    """Read the file from its beginning. Raises OSError."""
    with taken.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def is_being_written(taken: Path) -> bool:
    """Whether another process has the file open for writing. False also where that can't be told.

    A lease for reading is granted only while nobody has the file open for writing (fcntl(2); on local file
    systems, for the file's owner).
    """
    try:
        descriptor = os.open(taken, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # somebody who opens it now must not end us by SIGIO
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
