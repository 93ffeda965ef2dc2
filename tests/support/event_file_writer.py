"""A process that writes events to the event file as the former provider does: nobody keeps it from losing some.

Run as ``python event_file_writer.py FILE LOCK NAME COUNT STYLE PAUSE``. It ends after so many events, or earlier, once
there is a file LOCK.over; it writes how many there were to its output. STYLE: ``rename`` reads the file, appends,
writes a temporary file and renames it over, without a lock; ``append`` appends a bare JSON line; ``locked`` does as
``rename``, but takes a lock that the writers share, so that they lose nothing.
"""

from __future__ import annotations

import fcntl
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def new_entry(name: str, number: int) -> dict[str, Any]:
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    data = {"writer": name, "number": number, "route": f'DCT {{"{number}"}} DCT'}
    return {"type": "flight.updated", "data": data, "_received_at": moment}


def read_entries(path: Path) -> list[Any]:
    """Return what json_decode would; unreadable content is treated as an empty file and lost, as the provider does."""
    try:
        entries = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    return entries if isinstance(entries, list) else []


def rename_over(path: Path, name: str, entry: dict[str, Any]) -> None:
    entries = [*read_entries(path), entry]
    temporary = path.with_name(f"{path.name}.tmp-{name}")
    temporary.write_text(json.dumps(entries))
    temporary.rename(path)


def append_line(path: Path, entry: dict[str, Any]) -> None:
    with path.open("a") as file:
        time.sleep(0.0005)  # time enough for the reader to take the file that is open here
        file.write(json.dumps(entry) + "\n")


def main(path: Path, lock_file: Path, name: str, count: int, style: str, pause: float) -> None:
    with lock_file.open("w") as lock:
        over = lock_file.with_name(f"{lock_file.name}.over")
        written = 0
        while written < count and not over.exists():
            number, written = written, written + 1
            time.sleep(pause)
            entry = new_entry(name, number)
            if style == "append":
                append_line(path, entry)
                continue
            if style == "locked":
                fcntl.flock(lock, fcntl.LOCK_EX)
            rename_over(path, name, entry)
            if style == "locked":
                fcntl.flock(lock, fcntl.LOCK_UN)
        print(written)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5], float(sys.argv[6]))
