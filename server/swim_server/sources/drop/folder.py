"""The drop folder on disk: which files are there, which one is taken, which lines were set aside. Blocks."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from swim_server.files.opening import UnsafeFile, look_at, open_to_append
from swim_server.files.replacing import rename_durably
from swim_server.logs import get_logger
from swim_server.sources.drop.lines import MAX_LINE_BYTES, Rejected
from swim_server.sources.event_file.folder import is_being_written

SUFFIXES = (".jsonl", ".ndjson", ".json")
"""A file with another extension is still being written, or not meant for us."""
TAKEN_SUFFIX, REJECTS_SUFFIX, REJECTED_SUFFIX = ".taken", ".rejects", ".rejected"
REFUSED_SUFFIX = ".refused"
MAX_PAGE_BYTES = 4 * 1024 * 1024
"""Approximate number of bytes of lines read at once."""
MAX_REJECTED_BYTES = 64 * 1024 * 1024
"""Maximum per file; rejected lines beyond it are only counted."""

_log = get_logger("sources")
_DIGITS = re.compile(r"(\d+)", re.ASCII)
_TAKEN = re.compile(r"\.(?P<name>.+)\.(?P<mtime>\d{20})\.taken", re.ASCII | re.DOTALL)


class FolderTrouble(Exception):
    """The folder can't be used: why, and what to do."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Taken(msgspec.Struct, frozen=True):
    """A file that belongs to this source until all of it is stored and it is removed."""

    path: Path
    name: str
    """The name given by the provider."""
    mtime: str

    @property
    def batch(self) -> str:
        """Identifies it permanently: another file of this name, brought later, is another batch."""
        return f"{self.name}:{int(self.mtime)}"


class DropFolder:
    """Files arrive by being renamed; they are taken one by one, in the natural order of their names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "*"

    def is_ours(self, file: str) -> bool:
        """Tell whether a changed file is relevant."""
        return _is_offered(os.path.basename(file))  # noqa: PTH119 - called for each change of a busy folder

    def identity(self) -> tuple[int, int] | None:
        """Return the folder's current identity; None if it does not exist."""
        try:
            found = self.folder.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def offered(self) -> list[str]:
        """Return the waiting files in the order in which they are taken. Raises FolderTrouble."""
        return sorted((name for name in self._names() if _is_offered(name)), key=natural)

    def taken(self) -> list[Taken]:
        """Return the files taken and not finished, also from before a crash, in order. Raises FolderTrouble."""
        found = [match for name in self._names() if (match := _TAKEN.fullmatch(name))]
        taken = [Taken(self.folder / match[0], match["name"], match["mtime"]) for match in found]
        taken = [one for one in taken if self._is_file(one.path)]
        return sorted(taken, key=lambda one: (natural(one.name), one.mtime))

    def take(self, name: str) -> Taken | None:
        """Rename a file to a name of ours; None if it is gone, not a file, or still being written to."""
        path = self.folder / name
        try:
            found = look_at(path)
            if is_being_written(path):
                return None
            mtime = f"{max(0, found.st_mtime_ns):020d}"
            target = self.folder / f".{name}.{mtime}{TAKEN_SUFFIX}"
            if target.exists():
                return None  # its namesake of the same millisecond comes first
            path.rename(target)
        except FileNotFoundError:
            return None
        except UnsafeFile as unsafe:
            self._refuse(path, unsafe)
            return None
        except OSError as error:
            raise FolderTrouble(f"{path} can't be taken: {error.strerror}; let this user rename files there") from None
        return Taken(target, name, mtime)

    def finish(self, taken: Taken) -> Path | None:
        """Publish what was set aside as ``NAME.rejected``, and remove the file. Idempotent."""
        rejects, aside = self.rejects(taken), None
        if rejects.exists():
            aside = self.folder / f"{taken.name}{REJECTED_SUFFIX}"
            if os.path.lexists(aside):
                aside = self.folder / f"{taken.name}.{int(taken.mtime)}{REJECTED_SUFFIX}"
            rename_durably(rejects, aside)
        taken.path.unlink(missing_ok=True)
        return aside

    def _is_file(self, path: Path) -> bool:
        """Tell whether one of our names stands for a file; anything else planted under it is set aside."""
        try:
            look_at(path)
        except UnsafeFile as unsafe:
            self._refuse(path, unsafe)
            return False
        except OSError:
            return False
        return True

    def _refuse(self, path: Path, unsafe: UnsafeFile) -> None:
        """Move aside what is not a regular file, and return the error: other files are still read."""
        aside = path.with_name(f"{path.name}.{time.time_ns():020d}{REFUSED_SUFFIX}")
        try:
            path.rename(aside)
        except OSError:
            raise FolderTrouble(f"{path} is {unsafe.reason}, which is not read: remove it") from None
        _log.error("not a regular file of its own: moved aside, not read", path=str(aside), what=unsafe.reason)

    def rejects(self, taken: Taken) -> Path:
        """Return the path of rejected lines while the file is not finished."""
        return taken.path.with_suffix(REJECTS_SUFFIX)

    def set_aside(self, taken: Taken, pieces: Sequence[Rejected], at_bytes: int) -> int:
        """Append lines after the first ``at_bytes``, which are known to be there; return the new length."""
        if not pieces:
            return at_bytes
        lines = b"".join(msgspec.json.encode(piece) + b"\n" for piece in pieces)
        with self._open_rejects(taken) as file:
            file.truncate(at_bytes)
            if at_bytes + len(lines) <= MAX_REJECTED_BYTES:
                file.write(lines)
                at_bytes += len(lines)
        return at_bytes

    def _open_rejects(self, taken: Taken) -> BinaryIO:
        """Open our file of rejects; anything else under its name is removed. Raises OSError."""
        path = self.rejects(taken)
        try:
            return open_to_append(path, 0o644)
        except UnsafeFile as unsafe:
            _log.error("not one of our files: removed", path=str(path), what=unsafe.reason)
            path.rmdir() if unsafe.reason == "a folder" else path.unlink()
            return open_to_append(path, 0o644)

    def _names(self) -> list[str]:
        try:
            with os.scandir(self.folder) as entries:
                return [entry.name for entry in entries]
        except FileNotFoundError:
            raise FolderTrouble(f"the folder {self.folder} does not exist: create it") from None
        except OSError as error:
            raise FolderTrouble(f"the folder {self.folder} can't be read: {error.strerror}") from None


def read_lines(file: BinaryIO, count: int) -> list[tuple[int, bytes]]:
    """Read lines, each with its offset: at most ``count``, and about 4 MiB.

    Of a line that is too long only the beginning is kept; the rest is read and dropped.
    """
    lines: list[tuple[int, bytes]] = []
    size, begin = 0, file.tell()
    while len(lines) < count and size < MAX_PAGE_BYTES and (line := file.readline(MAX_LINE_BYTES + 2)):
        lines.append((begin, line))
        size += len(line)
        begin += len(line)
        if len(line) > MAX_LINE_BYTES + 1 and not line.endswith(b"\n"):
            while more := file.readline(MAX_LINE_BYTES):
                begin += len(more)
                if more.endswith(b"\n"):
                    break
    return lines


def ends_line(file: BinaryIO, offset: int) -> bool:
    """Tell whether a line ends at ``offset``."""
    return os.pread(file.fileno(), 1, offset - 1) == b"\n"


def natural(name: str) -> list[tuple[int, str]]:
    """Return the sort key of natural order: ``batch-9`` before ``batch-10``."""
    return [(int(part[:18]), part) if part.isdecimal() else (-1, part) for part in _DIGITS.split(name)]


def _is_offered(name: str) -> bool:
    return name.endswith(SUFFIXES) and not name.startswith(".")
