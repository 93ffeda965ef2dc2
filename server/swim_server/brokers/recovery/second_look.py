"""Whether a history that seemed damaged really is: SQLite reports some failed reads as a malformed database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

from swim_server.brokers.recovery.structure import NOT_READ
from swim_server.brokers.trouble import DiskTrouble, unavailable
from swim_server.files.sqlite_copy import find_damage_in_copy

MAX_COPY_BYTES = 256 * 1024 * 1024
"""A larger file is not copied into memory: its pages are parsed."""
_CHECK, _CHECK_NAMES = "PRAGMA quick_check(1)", "PRAGMA integrity_check(event_ids)"
_LOOK = "import sys; sys.path = {path!r}; from swim_server.brokers.recovery.structure import main"


def find_damage(path: Path, *, only_names: bool = False, max_copy_bytes: int = MAX_COPY_BYTES) -> str:
    """Return what is wrong with a history, judging only what could be read; empty: nothing.

    ``only_names``: only the table of producers' event ids and its index. Blocks. Raises BrokerUnavailable.
    """
    try:
        if path.stat().st_size <= max_copy_bytes:
            return find_damage_in_copy(path, _CHECK_NAMES if only_names else _CHECK)
    except (sqlite3.Error, OSError) as error:
        raise unavailable(error, path) from error
    return _ask_another_process(path, ["names"] if only_names else [])


def _ask_another_process(path: Path, options: list[str]) -> str:
    """Parse the pages in another process: opening and closing the file here would release SQLite's locks on it.

    fcntl locks belong to the process and the file, not to a descriptor.
    """
    code = f"{_LOOK.format(path=sys.path)}; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-I", "-S", "-c", code, str(path), *options]
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise DiskTrouble(f"{path} seems damaged, and can't be checked a second time: {error}") from error
    if done.returncode == 0 and done.stdout.startswith("read "):
        return done.stdout.removeprefix("read ").strip()
    reason = done.stderr.strip().rpartition("\n")[2][:200]
    if done.returncode != NOT_READ:
        raise DiskTrouble(f"{path} seems damaged, and can't be checked a second time: {reason}")
    raise DiskTrouble(f"the disk of {path} has a problem ({reason}): see the system's log")
