"""The folder of the event file: how the file is taken, found after a crash, set aside and removed. Blocks.

Knows nothing of the files' content.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from swim_server.concurrency.clock import Clock
from swim_server.files.opening import UnsafeFile, look_at, open_descriptor
from swim_server.files.replacing import put_in_place

KEPT_REJECTED_FILES = 50
MAX_REJECTED_BYTES = 4 * 1024 * 1024
"""Maximum size of one such file."""

Signature = tuple[int, int]
"""Length and modification time, by which later writes are noticed."""


class FolderTrouble(OSError):
    """The event file can't be taken: why, and what to do."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return self.reason


class EventFolder:
    """Takes ``path`` whenever it is there, by renaming it to a name of ours."""

    def __init__(self, path: Path, *, clock: Clock, pid: int) -> None:
        self.path = path
        self._clock = clock
        self._pid = pid
        self._numbers = itertools.count()
        self._taken_prefix = f"{path.name}.taken-"

    def now_ns(self) -> int:
        """Return the wall time in the form of file names and modification times."""
        return self._clock.now_ms() * 1_000_000

    def is_ours(self, file: str) -> bool:
        """Tell whether a changed file is relevant. Does not block."""
        name = os.path.basename(file)  # noqa: PTH119 - called for each change of a busy folder
        return name == self.path.name or name.startswith(self._taken_prefix)

    def identity(self) -> tuple[int, int] | None:
        """Return the folder's current identity; None if it does not exist."""
        try:
            found = self.path.parent.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def find_taken(self) -> list[Path]:
        """Return the files taken before a crash, oldest first."""
        try:
            with os.scandir(self.path.parent) as entries:
                names = sorted(entry.name for entry in entries if entry.name.startswith(self._taken_prefix))
        except OSError:
            return []
        return [self.path.with_name(name) for name in names]

    def taken_at_ns(self, taken: Path) -> int:
        """Return when a file was taken, according to its name; now if the name doesn't say."""
        moment = taken.name.removeprefix(self._taken_prefix).partition("-")[0]
        return int(moment) if moment.isdecimal() else self.now_ns()

    def take(self) -> Path | None:
        """Rename the event file and return its new name; None if it is missing or empty. Raises FolderTrouble."""
        try:
            found = look_at(self.path)
            if found.st_size == 0:
                return None
            if not os.access(self.path, os.R_OK):
                raise FolderTrouble(f"{self.path} can't be read: let this user read it, or run as its owner")
            target = self._unused_name()
            self.path.rename(target)
        except UnsafeFile as unsafe:
            raise self.refuse(self.path, unsafe) from None
        except FileNotFoundError:
            if not self.path.parent.is_dir():
                raise FolderTrouble(f"the folder {self.path.parent} does not exist: create it") from None
            return None
        except NotADirectoryError:
            raise FolderTrouble(f"{self.path.parent} is not a folder: configure another path") from None
        except PermissionError as error:
            hint = "this user must be allowed to rename it; in a sticky folder like /tmp only its owner is"
            raise FolderTrouble(f"{self.path} can't be taken ({error.strerror}): {hint}") from None
        return target

    def refuse(self, path: Path, unsafe: UnsafeFile) -> FolderTrouble:
        """Move aside what is not a file, so that the next one is read; return the error that says what it was."""
        aside = self.path.with_name(f"{self.path.name}.{self.now_ns():020d}.refused")
        try:
            path.rename(aside)
        except OSError:
            return FolderTrouble(f"{path} is {unsafe.reason}, which is not read: remove it")
        return FolderTrouble(f"{path} was {unsafe.reason}, which is not read: moved to {aside.name}")

    def set_aside(self, taken: Path, texts: Sequence[str]) -> Path | None:
        """Write what could not be read beside the event file, one line each; None if there is nothing.

        Repeated after a crash, it writes the same file again. Raises OSError.
        """
        if not texts:
            return None
        unique = taken.name.removeprefix(self._taken_prefix)
        target = self.path.with_name(f"{self.path.name}.{unique}.rejected")
        lines: list[bytes] = []
        room = MAX_REJECTED_BYTES
        for text in texts:
            line = text.encode("utf-8", "surrogateescape")[:room] + b"\n"
            lines.append(line)
            room -= len(line)
            if room <= 0:
                break
        put_in_place(target, b"".join(lines))
        self._forget_oldest()
        return target

    def _unused_name(self) -> Path:
        while True:
            name = f"{self._taken_prefix}{self.now_ns():020d}-{self._pid}-{next(self._numbers):06d}"
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
    """Return what shows later whether the file was written to; None if it is gone."""
    try:
        found = os.lstat(taken)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def is_being_written(taken: Path) -> bool | None:
    """Tell whether another process has the file open for writing; None: unknown.

    A read lease is granted only if no process has the file open for writing (fcntl(2); on local file systems, to the
    file's owner and to root). Raises UnsafeFile for anything but a regular file.
    """
    try:
        descriptor = open_descriptor(taken, os.O_RDONLY)
    except UnsafeFile:
        raise
    except OSError:
        return None
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # a process that opens it now must not end us by SIGIO
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False
