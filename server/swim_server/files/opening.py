"""Opens files in folders that others may write to: only regular files, never through a link, never a FIFO.

A user with write access to a folder may plant a link to one of our files, a second name for it, a FIFO or a folder
under a name that we are about to open. Each function refuses such a file with UnsafeFile, before a byte is read or
written.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

MAX_LINKS = 16
"""Maximum length of a chain of links."""
_SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class UnsafeFile(OSError):
    """Not a regular file of its own: it isn't opened. ``reason`` says what it is."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(errno.EPERM, f"it is {reason}: not opened", str(path))
        self.path = path
        self.reason = reason


def open_descriptor(
    path: Path, flags: int, mode: int = 0o600, *, may_have_links: bool = False, is_ours: bool = False
) -> int:
    """Open a regular file; ``flags`` as for ``os.open``. Raises UnsafeFile, OSError.

    ``may_have_links``: also accept a file with several names. ``is_ours``: only accept a file that belongs to this
    user.
    """
    truncates = flags & os.O_TRUNC
    try:
        descriptor = os.open(path, (flags & ~os.O_TRUNC) | _SAFE, mode)
    except OSError as error:
        reason = _reason_of(path, error)
        if reason is None:
            raise
        raise UnsafeFile(path, reason) from None
    try:
        found = os.fstat(descriptor)
        reason = kind_of(found.st_mode)
        if reason is None and found.st_nlink > 1 and not may_have_links:
            reason = "a file with a hard link elsewhere"
        if reason is None and is_ours and found.st_uid != os.geteuid():
            reason = "a file of another user"
        if reason is not None:
            raise UnsafeFile(path, reason)
        if truncates:
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_to_read(path: Path, *, may_have_links: bool = False) -> BinaryIO:
    """Open a file that others may have brought. Raises UnsafeFile, OSError."""
    return os.fdopen(open_descriptor(path, os.O_RDONLY, may_have_links=may_have_links), "rb")


def follow_own_links(path: Path) -> Path:
    """Follow links created by this user or root, as an operator may; links of other users are not followed."""
    for _ in range(MAX_LINKS):
        try:
            found = path.lstat()
        except OSError:
            return path
        if not stat.S_ISLNK(found.st_mode) or found.st_uid not in {0, os.geteuid()}:
            return path
        path = path.parent / path.readlink()
    return path


def open_new(path: Path, mode: int = 0o600) -> BinaryIO:
    """Create a file that must not exist yet, not even as a link. Raises FileExistsError, OSError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, mode), "wb")


def open_to_append(path: Path, mode: int = 0o600) -> BinaryIO:
    """Open one of our files for appending; create it if it is missing. Raises UnsafeFile, OSError."""
    return os.fdopen(open_descriptor(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode, is_ours=True), "ab")


def look_at(path: Path) -> os.stat_result:
    """Examine the file with this name, not what a link leads to. Raises UnsafeFile, OSError."""
    found = path.lstat()
    reason = kind_of(found.st_mode)
    if reason is None and found.st_nlink > 1:
        reason = "a file with a hard link elsewhere"
    if reason is not None:
        raise UnsafeFile(path, reason)
    return found


def kind_of(mode: int) -> str | None:
    """Return what kind of file this is by its mode; None: a regular file."""
    kinds = ((stat.S_ISREG, None), (stat.S_ISLNK, "a symbolic link"), (stat.S_ISDIR, "a folder"),
             (stat.S_ISFIFO, "a FIFO"), (stat.S_ISSOCK, "a socket"))  # fmt: skip
    return next((kind for is_kind, kind in kinds if is_kind(mode)), "a device")


def _reason_of(path: Path, error: OSError) -> str | None:
    """Return why an open failed that would not have failed for a regular file; None: for another reason."""
    if error.errno not in {errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EMLINK}:
        return None
    try:
        return kind_of(os.lstat(path).st_mode)
    except OSError:
        return None
