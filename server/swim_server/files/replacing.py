"""Replaces and renames files durably: readers find either the old or the new file, complete, even after a power cut."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

from swim_server.files.opening import MAX_LINKS, UnsafeFile, kind_of, open_new


def replace_durably(
    path: Path,
    content: bytes | Iterable[bytes],
    *,
    mode: int | None = None,
    follows_link: bool = False,
    like: Path | None = None,
) -> None:
    """Replace a file's content, or create it; returns when that is on the disk. Raises OSError.

    Owner, group and mode of an existing file are kept; a new one takes them from ``like``, otherwise ``mode`` (0600)
    and, if root creates it in another user's folder, the folder's owner. ``follows_link``: if the name is a link, the
    file that it leads to is replaced and the link kept; only for names that only the operator can plant. Without it a
    link, or anything else that is not a regular file, is refused with UnsafeFile.
    """
    target = _end_of_links(path) if follows_link else path
    before = _stat_of(target)
    if before is None and like is not None:
        before = _stat_of(_end_of_links(like))
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")
    file = open_new(temporary)
    try:
        with file:
            _take_owner(file.fileno(), target.parent, before, mode)
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(target.parent)


def put_in_place(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Rename one of our files to a name that others may have planted, replacing whatever it was. Raises OSError."""
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        with open_new(temporary, mode) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def rename_durably(path: Path, target: Path) -> None:
    """Rename within one folder, replacing an existing file; returns when that is on the disk. Raises OSError."""
    path.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk. A file system that does not support that needs no wait."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Wait until what was written to a file is on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_NO_FOLDER_SYNC = {errno.EINVAL, errno.EOPNOTSUPP}
"""Errors of network and user-space file systems."""


def _end_of_links(path: Path) -> Path:
    for _ in range(MAX_LINKS):
        if not path.is_symlink():
            return path
        path = path.parent / path.readlink()
    raise UnsafeFile(path, "a link that leads nowhere")


def _stat_of(path: Path) -> os.stat_result | None:
    """Examine the existing file. Raises UnsafeFile if it is not a regular file."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    kind = kind_of(found.st_mode)
    if kind is not None:
        raise UnsafeFile(path, kind)
    return found


def _take_owner(descriptor: int, folder: Path, before: os.stat_result | None, mode: int | None) -> None:
    """Give a new file owner and mode of the one that it replaces."""
    if before is not None:
        owner, group, bits = before.st_uid, before.st_gid, stat.S_IMODE(before.st_mode)
    else:
        found = folder.stat()
        is_shared = bool(found.st_mode & stat.S_ISVTX)
        owner, group = (found.st_uid, found.st_gid) if not is_shared else (os.geteuid(), os.getegid())
        bits = 0o600 if mode is None else mode
    if (owner, group) != (os.geteuid(), os.getegid()) and (os.geteuid() == 0 or before is not None):
        _change_owner(descriptor, owner, group)
    os.fchmod(descriptor, bits)


def _change_owner(descriptor: int, owner: int, group: int) -> None:
    """Change owner and group as far as this user may: root both, others only to one of their groups."""
    with contextlib.suppress(PermissionError):
        os.fchown(descriptor, owner, group)
        return
    with contextlib.suppress(PermissionError):
        os.fchown(descriptor, -1, group)
