"""The name of one installation, in a file of its home: files from another home name another installation."""

from __future__ import annotations

import re
from pathlib import Path
from zlib import crc32

from swim_server.files.opening import open_to_read
from swim_server.files.replacing import replace_durably

FILE_NAME = "installation"
_MAX_BYTES = 256
_LINE = re.compile(r"([0-9a-z]{1,64}) ([0-9a-f]{8})\s*")


def read_installation(home: Path) -> str | None:
    """Read the name; None: there is none, or none that is intact. Raises OSError if the disk can't read it."""
    try:
        with open_to_read(home / FILE_NAME) as file:
            found = _LINE.fullmatch(file.read(_MAX_BYTES).decode("ascii", "replace"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found[1] if found and found[2] == _checksum(found[1]) else None


def write_installation(home: Path, name: str) -> None:
    """Write the name; returns when it is on the disk. Raises OSError."""
    replace_durably(home / FILE_NAME, f"{name} {_checksum(name)}\n".encode("ascii"))


def _checksum(name: str) -> str:
    return f"{crc32(name.encode()):08x}"
