"""The log that ``recorder.c`` writes, with the marks that a run adds between the changes."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

_HEADER = struct.Struct("<IIBBHHHI4xQqq")
_MAGIC = 0x4D495753


class Operation(IntEnum):
    """The kind of a record."""

    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    RENAME = 4
    UNLINK = 5
    MKDIR = 6
    RMDIR = 7
    SYNC_BEGIN = 8
    SYNC_END = 9
    LINK = 10
    UNKNOWN = 99
    MARK = 100


class Change(NamedTuple):
    """One record."""

    operation: Operation
    pid: int
    file: int
    """The inode."""
    offset: int
    """Of a write; the size of a truncation; the number of a sync."""
    path: str
    other: str
    data: bytes
    is_data_only: bool
    changed_ns: int
    """The file's time of change after it."""

    @property
    def mark(self) -> dict[str, Any]:
        """The text of a mark."""
        found: dict[str, Any] = json.loads(self.data)
        return found


class ChangeLogError(Exception):
    """The log proves nothing: a file was changed in a way that isn't recorded."""


def read_changes(path: Path) -> Iterator[Change]:
    """Read the log in order. Raises ChangeLogError."""
    content = path.read_bytes()
    place = 0
    while place < len(content):
        head = content[place : place + _HEADER.size]
        magic, pid, number, is_data_only, first, second, _, length, file, offset, changed_ns = _HEADER.unpack(head)
        if magic != _MAGIC:
            raise ChangeLogError(f"no record at byte {place}")
        names = place + _HEADER.size
        data = names + first + second
        operation = Operation(number)
        paths = content[names : names + first].decode(), content[names + first : data].decode()
        if operation is Operation.UNKNOWN:
            raise ChangeLogError(f"{paths[0]} was changed by {paths[1]}, which is not recorded")
        yield Change(
            operation, pid, file, offset, *paths, content[data : data + length], bool(is_data_only), changed_ns
        )
        place = data + length


class Marks:
    """Adds marks to the log during a run. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def put(self, kind: str, **fields: Any) -> None:
        """Record what is known at this moment."""
        text = json.dumps({"kind": kind, **fields}, separators=(",", ":")).encode()
        header = _HEADER.pack(_MAGIC, os.getpid(), Operation.MARK, 0, 0, 0, 0, len(text), 0, 0, 0)
        os.write(self._descriptor, header + text)

    def close(self) -> None:
        """Close the log."""
        os.close(self._descriptor)
