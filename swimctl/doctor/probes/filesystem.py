"""Files, folders and free space on the disk. Blocks. Nothing here raises: what can't be seen is reported as such."""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from pathlib import Path
from typing import Literal

import msgspec

AT_FDCWD, STATX_BYTES = -100, 256
STATX_ATTR_IMMUTABLE, STATX_ATTR_APPEND = 0x10, 0x20
"""statx(2)."""


class FileSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The file that a name leads to, links followed."""

    kind: Literal["file", "folder", "other", "missing", "hidden"]
    """``hidden``: this user may not look, or the disk returns an error."""
    reason: str | None = None
    """The system's message if the file is missing or hidden."""
    uid: int = -1
    mode: int = 0
    size: int = 0
    changed_at: float = 0.0
    """Unix time of the last change of content, name or permissions."""
    inode: int = 0
    device: int = 0
    can_read: bool = False
    can_write: bool = False
    """By this user."""

    @property
    def is_there(self) -> bool:
        return self.kind in ("file", "folder", "other")


class DiskSpace(msgspec.Struct, frozen=True, kw_only=True):
    """The space on the disk that holds a path."""

    path: Path
    """The nearest existing folder."""
    total_bytes: int
    free_bytes: int
    inodes: int
    """0: this file system has no fixed number of them."""
    free_inodes: int
    is_read_only: bool


class FileSystem:
    """The disk as this process sees it."""

    def look(self, path: Path) -> FileSeen:
        """Look at the file that a name leads to."""
        try:
            found = path.stat()
        except FileNotFoundError as error:
            return FileSeen(kind="missing", reason=error.strerror)
        except OSError as error:
            return FileSeen(kind="hidden", reason=error.strerror)
        kind: Literal["file", "folder", "other"] = "other"
        if stat.S_ISREG(found.st_mode):
            kind = "file"
        elif stat.S_ISDIR(found.st_mode):
            kind = "folder"
        enter = os.X_OK if kind == "folder" else 0
        return FileSeen(
            kind=kind, uid=found.st_uid, mode=stat.S_IMODE(found.st_mode), size=found.st_size,
            changed_at=max(found.st_mtime, found.st_ctime), inode=found.st_ino, device=found.st_dev,
            can_read=os.access(path, os.R_OK | enter), can_write=os.access(path, os.W_OK | enter),
        )  # fmt: skip

    def is_immutable(self, path: Path) -> bool:
        """Return True if nobody may change, rename or remove a file, not even root (chattr(1), ``+i`` and ``+a``).

        The file is not opened: closing it would end the locks that SQLite holds on it in this process.
        """
        found = ctypes.create_string_buffer(STATX_BYTES)
        try:
            failed = ctypes.CDLL(None, use_errno=True).statx(AT_FDCWD, os.fsencode(path), 0, 0, found)
        except (AttributeError, OSError):
            return False  # a C library without it
        attributes = int.from_bytes(found.raw[8:16], sys.byteorder)
        return not failed and bool(attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND))

    def room(self, path: Path) -> DiskSpace | None:
        """Measure the space at a path's present or future place; None if that is impossible."""
        try:
            while not path.exists() and path != path.parent:
                path = path.parent
            found = os.statvfs(path)
        except OSError:
            return None
        return DiskSpace(
            path=path, total_bytes=found.f_blocks * found.f_frsize, free_bytes=found.f_bavail * found.f_frsize,
            inodes=found.f_files, free_inodes=found.f_favail, is_read_only=bool(found.f_flag & os.ST_RDONLY),
        )  # fmt: skip

    def names(self, folder: Path) -> list[str]:
        """List the names in a folder, sorted; empty if it can't be listed."""
        try:
            return sorted(each.name for each in folder.iterdir())
        except OSError:
            return []
