"""Mounts that only this process and its children see; the kernel removes them when the last of these ends.

So nothing stays mounted, whichever process is killed.
"""

from __future__ import annotations

import ctypes
import functools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNS, _MS_REC, _MS_SLAVE = 0x20000, 0x4000, 0x80000


class NoMount(Exception):
    """A file system can't be mounted here: why."""


@contextmanager
def mounted(folder: Path, *words: str) -> Iterator[None]:
    """Mount as ``mount WORDS FOLDER`` does, during the context. Raises NoMount.

    Visible to this thread, and to processes and threads that it starts from now on.
    """
    mount(folder, *words)
    try:
        yield
    finally:
        unmount(folder)


def tmpfs(size: str) -> tuple[str, ...]:
    """Return the words that mount a small disk in memory; ``size`` as in tmpfs(5), more options after a comma."""
    return "-t", "tmpfs", "-o", f"size={size}", "tmpfs"


def mount(folder: Path, *words: str) -> None:
    """Mount until ``unmount``, or until the last process that sees it has ended. Raises NoMount."""
    _keep_mounts_private(os.getpid())
    _run("mount", *words, str(folder))


def unmount(folder: Path, *, is_lazy: bool = True) -> None:
    """Unmount it. ``is_lazy``: open files stay usable; otherwise they raise NoMount."""
    _run("umount", *(["--lazy"] if is_lazy else []), str(folder))


@functools.cache
def _keep_mounts_private(_pid: int) -> None:
    """Separate from the machine's mounts: their changes are seen here, ours are not seen there."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, _MS_REC | _MS_SLAVE, None) != 0:
        raise NoMount(f"mounts can't be kept private: {os.strerror(ctypes.get_errno())}")


def _run(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    except FileNotFoundError:
        raise NoMount(f"{words[0]} is not installed") from None
    if done.returncode != 0:
        raise NoMount(f"{words[0]}: {done.stderr.strip()}")
