"""A third file, in the home, that records which history belongs here, how far it reaches and how it was closed.

A history restored together with its mark, or brought from another installation, agrees with its mark but not with this
file.
"""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import msgspec

from swim_server.brokers.history_mark import Mark, Owner
from swim_server.files.opening import open_to_read
from swim_server.files.replacing import replace_durably

_MAX_BYTES = 4096


class Witness(msgspec.Struct, frozen=True):
    """What is recorded."""

    installation: str
    epoch: str
    newest_id: str
    """The newest event's id; seconds old while a process runs, exact once it has closed."""
    boot_id: str
    is_closed: bool
    mode: str

    @classmethod
    def of(cls, mark: Mark, owner: Owner) -> Witness:
        """Build it from mark and owner."""
        return cls(owner.installation, owner.epoch, str(mark.newest), mark.boot_id, mark.is_clean, owner.mode)


class _Sealed(msgspec.Struct):
    crc: int
    history: Witness


def read_witness(path: Path) -> Witness | None:
    """Read it; None: there is none, or none that is intact. Raises OSError if the disk can't read it."""
    try:
        with open_to_read(path) as file:
            sealed = msgspec.json.decode(file.read(_MAX_BYTES), type=_Sealed)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return sealed.history if sealed.crc == _seal(sealed.history) else None


def write_witness(path: Path, witness: Witness) -> None:
    """Replace it; returns when it is on the disk. Raises OSError."""
    replace_durably(path, msgspec.json.encode(_Sealed(_seal(witness), witness)) + b"\n")


def _seal(witness: Witness) -> int:
    return crc32(msgspec.json.encode(witness))
