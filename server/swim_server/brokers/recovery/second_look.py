"""Whether the disk can read a file at all: SQLite tells a read that failed now and then as a malformed database.

Another process reads, as opening and closing the file in this one would let go of SQLite's locks on it (fcntl locks
belong to process and file).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from swim_server.brokers.trouble import DiskTrouble

_CODE = """
import os, sys
for name in sys.argv[1:]:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        continue
    size = 4096
    while os.read(descriptor, size):
        size = min(size + 4096, 1 << 20)
"""
"""In small pieces first: of a small file too, many reads are tried."""


def require_readable(path: Path) -> None:
    """Read a file and its write-ahead log from end to end. Raises DiskTrouble where that fails just now."""
    words = [sys.executable, "-I", "-S", "-c", _CODE, str(path), f"{path}-wal"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        raise DiskTrouble(f"{path} seems damaged, and can't be looked at once more: {error}") from error
    if done.returncode != 0:
        reason = done.stderr.strip().rpartition("\n")[2][:200]
        raise DiskTrouble(f"the disk of {path} has trouble ({reason}): see the system's log")
