"""Which bits may rot, file by file: anywhere, and where it would hurt most."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
from support.disk import home_files
from support.disk.rot_base import RECORDING, RESUME_FILE, Files, Installation

PAGE_BYTES = 4096
_LEAF, _INTERIOR = 0x0D, 0x05


class Flip(msgspec.Struct, frozen=True):
    """One bit of one file."""

    file: str
    bit: int

    def apply(self, files: Files) -> Files:
        """The same files with the bit flipped."""
        data, changed_ns = files[self.file]
        rotten = bytearray(data)
        rotten[self.bit // 8] ^= 1 << self.bit % 8
        return {**files, self.file: (bytes(rotten), changed_ns)}


class Aim(msgspec.Struct, frozen=True):
    """A place to flip bits at."""

    name: str
    file: str
    is_killed: bool
    """Of the files after a kill; else after a stop."""
    ranges: list[tuple[int, int]]
    """Bytes, as offset and length."""
    weight: int

    def flip(self, rng: random.Random) -> Flip:
        """Choose a bit."""
        offset, length = rng.choices(self.ranges, weights=[length for _, length in self.ranges])[0]
        return Flip(self.file, rng.randrange(offset * 8, (offset + length) * 8))


def aims(installation: Installation) -> list[Aim]:
    """All places, with how often each is to be chosen."""
    stopped, killed = installation.stopped, installation.killed
    state = next(name for name in killed if name.startswith(home_files.SOURCE_STATE))
    taken = next(name for name in killed if name.startswith(home_files.DROP) and name.endswith(".taken"))
    return [
        _whole("history", home_files.HISTORY, stopped, 30),
        Aim("event", home_files.HISTORY, False, _places(stopped, "events", "wire"), 20),
        Aim("event name", home_files.HISTORY, False, _places(stopped, "event_ids", "digest"), 5),
        Aim("page", home_files.HISTORY, False, pages(stopped[home_files.HISTORY][0], _LEAF), 5),
        _whole("history log", home_files.HISTORY_LOG, killed, 12, is_killed=True),
        _whole("mark", home_files.MARK, stopped, 4),
        _whole("mark", home_files.MARK, killed, 4, is_killed=True),
        _whole("keys", home_files.KEYS, stopped, 10),
        Aim("key row", home_files.KEYS, False, key_rows(stopped), 10),
        _whole("drop state", state, killed, 6, is_killed=True),
        _whole("taken file", taken, killed, 0, is_killed=True),
        _whole("recording", RECORDING, stopped, 10),
        _whole("resume file", RESUME_FILE, stopped, 10),
    ]


def _whole(name: str, file: str, files: Files, weight: int, *, is_killed: bool = False) -> Aim:
    return Aim(name, file, is_killed, [(0, len(files[file][0]))], weight)


def _places(files: Files, table: str, column: str) -> list[tuple[int, int]]:
    with _written(files[home_files.HISTORY][0]) as path:
        return home_files.stored_places(path, table, column, 200)


def pages(content: bytes, page_type: int) -> list[tuple[int, int]]:
    """The first bytes of the pages of a type: 0x0D a leaf of a table, 0x05 an interior page."""
    found = [at for at in range(PAGE_BYTES, len(content), PAGE_BYTES) if content[at] == page_type]
    return [(at, 8) for at in found]


def key_rows(files: Files) -> list[tuple[int, int]]:
    """The bytes about each key's row: its header before, its other columns behind."""
    content = files[home_files.KEYS][0]
    with _written(content) as path:
        return [(max(0, at - 40), 300) for at, _ in home_files.stored_places(path, "swim_api_keys", "api_key", 100)]


def flip_that_reactivates(files: Files, number: str) -> Flip | None:
    """Find the bit that makes a revoked key active in the eyes of SQLite, and changes nothing else of its row."""

    def row(content: bytes) -> tuple[object, ...] | None:
        with _written(content) as path:
            connection = sqlite3.connect(path)
            try:
                found: tuple[object, ...] | None = connection.execute(
                    "SELECT is_active, api_key, tier, expires_at FROM swim_api_keys WHERE id = ?", (int(number),)
                ).fetchone()
            except sqlite3.Error:
                return None
            finally:
                connection.close()
            return found

    content = files[home_files.KEYS][0]
    sound = row(content)
    assert sound is not None
    return _find(
        files, home_files.KEYS, key_rows(files), lambda rotten: row(rotten) == (1, *sound[1:]) and sound[0] == 0
    )


def _find(files: Files, file: str, ranges: list[tuple[int, int]], is_wanted: Callable[[bytes], bool]) -> Flip | None:
    for offset, length in ranges:
        for bit in range(offset * 8, (offset + min(length, 64)) * 8):
            flip = Flip(file, bit)
            if is_wanted(flip.apply(files)[file][0]):
                return flip
    return None


class _written:  # noqa: N801 - reads as a function
    """The content as a file, for as long as it is looked at."""

    def __init__(self, content: bytes) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="swim-rot-")
        self._content = content

    def __enter__(self) -> Path:
        path = Path(self._folder.name) / "file"
        path.write_bytes(self._content)
        return path

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()
