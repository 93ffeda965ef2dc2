"""Keeps the C library's allocator from holding memory that the process no longer uses.

By default glibc gives each thread an arena of its own, up to eight for each core, and keeps in it what was freed; and
after the first large block was freed, it takes blocks of up to 32 MiB from the arenas too, where a small one above them
keeps the whole from being given back. Only one thread runs Python at a time, so that two arenas are enough.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
"""Numbers of glibc's ``malloc.h``; mallopt(3)."""
LARGE_BLOCK_BYTES = 256 * 1024
"""A block of this size or more is mapped on its own, and given back when it is freed."""
ARENAS = 2


def limit_idle_memory(environ: Mapping[str, str] = os.environ) -> bool:
    """Set limits, unless the environment has set them; return whether this C library has them. Before any thread."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library than glibc
        return False
    for name, number, value in (
        ("MALLOC_ARENA_MAX", _M_ARENA_MAX, ARENAS),
        ("MALLOC_MMAP_THRESHOLD_", _M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES),
    ):
        if name not in environ:
            mallopt(number, value)
    return True
