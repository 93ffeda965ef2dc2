"""Whether the disk can read a file at all: SQLite tells a read that failed now and then as a malformed database.

Another process reads, as opening and closing the file in this one would let go of SQLite's locks on it (fcntl locks
belong to process and file).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from swim_server.brokers.trouble import DiskTrouble

_TIMES = 2
_CODE = """
import hashlib, os, sys
for name in sys.argv[1:]:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        continue
    digest, size = hashlib.blake2b(digest_size=16), 4096
    while data := os.read(descriptor, size):
        digest.update(data)
        size = min(size + 4096, 1 << 20)
    print(digest.hexdigest())
"""


def require_readable(path: Path) -> None:
    """Read a file and its write-ahead log from end to end, twice. Raises DiskTrouble where that fails just now."""
    names = [str(path), f"{path}-wal"]
    digests = {_read(path, names) for _ in range(_TIMES)}
    if len(digests) > 1 and not path.with_name(f"{path.name}-wal").exists():
        raise DiskTrouble(f"the disk of {path} has trouble: it reads something else each time")


def _read(path: Path, names: list[str]) -> str:
    words = [sys.executable, "-I", "-S", "-c", _CODE, *names]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        raise DiskTrouble(f"{path} seems damaged, and can't be looked at once more: {error}") from error
    if done.returncode != 0:
        reason = done.stderr.strip().rpartition("\n")[2][:200]
        raise DiskTrouble(f"the disk of {path} has trouble ({reason}): see the system's log")
    return done.stdout
