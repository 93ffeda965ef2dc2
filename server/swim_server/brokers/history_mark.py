"""The mark beside the history file: the newest id ever committed, so that an older or missing history is noticed."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import msgspec

from swim_server.protocol.event_id import EventId, InvalidEventId

_SLOT_BYTES = 128
_SLOTS = 2
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def read_boot_id() -> str:
    """Name this run of the machine, or answer an empty string where it has no name. Blocks."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()[:64]
    except (OSError, ValueError):
        return ""


class Mark(msgspec.Struct, frozen=True):
    """What was known when it was written."""

    newest: EventId
    boot_id: str
    """The machine's run in which it was written; empty: unknown."""
    is_clean: bool
    """History was closed and is on the disk as a whole."""


class HistoryMark:
    """The mark's file. Written in place after every commit: a few microseconds, and no kill can part the two.

    Two lines are written in turn, each with its checksum, so that a torn one leaves the other. Blocks; belongs to
    the thread that writes history.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._slot = 0

    def read(self) -> Mark | None:
        """The newest intact mark; None when there is none."""
        try:
            with self.path.open("rb") as file:
                content = file.read(_SLOT_BYTES * _SLOTS)
        except (OSError, ValueError):
            return None
        slots = (content[start : start + _SLOT_BYTES] for start in range(0, len(content), _SLOT_BYTES))
        marks = [mark for slot in slots if (mark := _decode(slot)) is not None]
        return max(marks, key=lambda mark: (mark.newest, not mark.is_clean), default=None)

    def write(self, mark: Mark) -> None:
        """Put down that ``mark.newest`` is committed. Raises OSError."""
        os.pwrite(self._open(), _encode(mark), self._slot * _SLOT_BYTES)
        self._slot = (self._slot + 1) % _SLOTS

    def write_through(self, mark: Mark) -> None:
        """Replace all lines and wait until they are on the disk. Raises OSError."""
        descriptor = self._open()
        for slot in range(_SLOTS):
            os.pwrite(descriptor, _encode(mark), slot * _SLOT_BYTES)
        os.fsync(descriptor)

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._descriptor


def _encode(mark: Mark) -> bytes:
    text = f"{mark.newest} {'closed' if mark.is_clean else 'open'} {mark.boot_id or '-'}"
    line = f"{text} {zlib.crc32(text.encode()):08x}"
    return line.encode("ascii").ljust(_SLOT_BYTES - 1) + b"\n"


def _decode(slot: bytes) -> Mark | None:
    try:
        text, _, checksum = slot.decode("ascii").rstrip().rpartition(" ")
        newest, state, boot_id = text.split(" ")
        if f"{zlib.crc32(text.encode()):08x}" != checksum:
            return None
        return Mark(EventId.parse(newest), "" if boot_id == "-" else boot_id, state == "closed")
    except (ValueError, InvalidEventId):
        return None
