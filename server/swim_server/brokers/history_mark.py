"""The mark beside the history file: the newest id ever committed, so that an older or missing history is noticed."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import msgspec

from swim_server.files.opening import open_descriptor, open_to_read
from swim_server.files.replacing import sync_folder
from swim_server.protocol.event_id import ZERO, EventId, InvalidEventId

_SLOT_BYTES = 128
_SLOTS = 2
_OWNER_AT = _SLOTS * _SLOT_BYTES
"""After the lines that earlier versions know; they read nothing else."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def read_boot_id() -> str:
    """Return the id of this boot of the machine, or an empty string if it has none. Blocks."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()[:64]
    except (OSError, ValueError):
        return ""


class Mark(msgspec.Struct, frozen=True):
    """What was known when the mark was written."""

    newest: EventId
    boot_id: str
    """The boot of the machine in which it was written; empty: unknown."""
    is_clean: bool
    """History was closed and is entirely on the disk."""


class Owner(msgspec.Struct, frozen=True):
    """Who writes the marks, and how."""

    writer: str
    """Identifies one open history of one process."""
    mode: str
    """Its ``synchronous`` setting."""
    installation: str
    epoch: str


class HistoryMark:
    """The mark's file. Written in place after every commit: it takes microseconds, and no kill can come between the
    two.

    Two lines are written alternately, each with its checksum, so that a torn write leaves the other one intact. Blocks;
    belongs to the writer thread.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._slot = 0

    def read(self) -> Mark | None:
        """Return the newest intact mark; None if there is none. Raises OSError if the disk can't read it."""
        content = self._content()
        slots = (content[start : start + _SLOT_BYTES] for start in range(0, _OWNER_AT, _SLOT_BYTES))
        marks = [mark for slot in slots if (mark := _decode(slot)) is not None]
        return max(marks, key=lambda mark: (mark.newest, not mark.is_clean), default=None)

    def is_doubtful(self) -> bool:
        """Tell whether there is a mark of which nothing is intact. Raises OSError."""
        return bool(self._content()) and self.read() is None

    def read_owner(self) -> Owner | None:
        """Return who writes the marks; None: a process of an earlier version, or none. Raises OSError."""
        lines = self._content()[_OWNER_AT:]
        slots = (lines[start : start + _SLOT_BYTES] for start in range(0, len(lines), _SLOT_BYTES))
        return next((owner for slot in slots if (owner := _decode_owner(slot)) is not None), None)

    def write(self, mark: Mark) -> None:
        """Record that ``mark.newest`` is committed. Raises OSError."""
        os.pwrite(self._open(), _encode(mark), self._slot * _SLOT_BYTES)
        self._slot = (self._slot + 1) % _SLOTS

    def write_through(self, mark: Mark, owner: Owner | None = None) -> None:
        """Replace all lines, including the owner's if one is given, and wait for the disk. Raises OSError."""
        descriptor = self._open()
        for slot in range(_SLOTS):
            os.pwrite(descriptor, _encode(mark), slot * _SLOT_BYTES)
            if owner is not None:
                os.pwrite(descriptor, _encode_owner(owner), _OWNER_AT + slot * _SLOT_BYTES)
        os.fsync(descriptor)
        sync_folder(self.path.parent)

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _content(self) -> bytes:
        try:
            with open_to_read(self.path) as file:
                return file.read(2 * _OWNER_AT)
        except (FileNotFoundError, NotADirectoryError):
            return b""

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = open_descriptor(self.path, os.O_RDWR | os.O_CREAT)
        return self._descriptor


def newest_of(mark: Mark | None) -> EventId:
    """Return the id in a mark; ZERO if there is none."""
    return ZERO if mark is None else mark.newest


def _encode(mark: Mark) -> bytes:
    return _line(f"{mark.newest} {'closed' if mark.is_clean else 'open'} {mark.boot_id or '-'}")


def _decode(slot: bytes) -> Mark | None:
    try:
        newest, state, boot_id = _text(slot).split(" ")
        return Mark(EventId.parse(newest), "" if boot_id == "-" else boot_id, state == "closed")
    except (ValueError, InvalidEventId):
        return None


def _encode_owner(owner: Owner) -> bytes:
    return _line(f"{owner.writer} {owner.mode} {owner.installation} {owner.epoch}")


def _decode_owner(slot: bytes) -> Owner | None:
    try:
        writer, mode, installation, epoch = _text(slot).split(" ")
        return Owner(writer, mode, installation, epoch)
    except ValueError:
        return None


def _line(text: str) -> bytes:
    line = f"{text} {zlib.crc32(text.encode()):08x}"
    return line.encode("ascii").ljust(_SLOT_BYTES - 1) + b"\n"


def _text(slot: bytes) -> str:
    """Return the content of a line. Raises ValueError if its checksum doesn't match."""
    text, _, checksum = slot.decode("ascii").rstrip().rpartition(" ")
    if f"{zlib.crc32(text.encode()):08x}" != checksum:
        raise ValueError("torn")
    return text
