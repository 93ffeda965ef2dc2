"""Recorded snapshots on disk: finds them, orders them by their timestamps, reads them within limits. Blocks."""

from __future__ import annotations

import gzip
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from swim_server.detection.feed import FeedGeneral, InvalidSnapshot, Snapshot
from swim_server.detection.feed_decoding import decode_snapshot, update_stamp_ms
from swim_server.files.opening import follow_own_links, open_to_read

SUFFIXES = (".json", ".json.gz")
MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
"""Maximum size of one snapshot, decompressed: forty times the largest that VATSIM ever served."""
HEAD_BYTES = 65_536
"""The feed begins with ``general``: this much of a file is enough to read its timestamp."""

_GZIP_MAGIC = b"\x1f\x8b"
_STAMP = re.compile(rb'"update_timestamp"\s*:\s*"([^"\\]{1,40})"')


class UnreadableSnapshot(Exception):
    """A file that is not a snapshot, or can't be read at the moment."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(name, reason)

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class Recorded(NamedTuple):
    """One snapshot on disk."""

    update_ms: int
    path: Path


class _Known(NamedTuple):
    """What is known about a file, valid while its size and modification time are the same."""

    size: int
    mtime_ns: int
    update_ms: int | None


class RecordedSnapshots:
    """A folder of ``*.json`` and ``*.json.gz``, or one such file. It may change at any time."""

    def __init__(self, path: Path, *, max_document_bytes: int = MAX_DOCUMENT_BYTES) -> None:
        self._path = path
        self._max_document_bytes = max_document_bytes
        self._known: dict[Path, _Known] = {}
        self._folder_mtime_ns: int | None = None
        self.snapshots: list[Recorded] = []
        """In the order of their timestamps; of several with the same one, the first by name."""
        self.broken: dict[str, str] = {}
        """Files that can't be played: name and reason."""
        self.repeated = 0
        """Number of files with a snapshot that another file also has."""

    def look(self, *, thoroughly: bool = False) -> None:
        """Update the list. Cheap while the folder did not change, unless ``thoroughly``.

        Raises UnreadableSnapshot if there is nothing at all: no such path, or an empty folder.
        """
        try:
            changed_ns = self._path.stat().st_mtime_ns
            if thoroughly or changed_ns != self._folder_mtime_ns:
                self._index(sorted(self._candidates()))
                self._folder_mtime_ns = changed_ns
        except OSError as error:
            self._folder_mtime_ns = None
            self.snapshots = []
            raise UnreadableSnapshot(str(self._path), error.strerror or str(error)) from None
        if not self.snapshots:
            raise UnreadableSnapshot(str(self._path), self._why_nothing())

    def after(self, update_ms: int | None) -> Recorded | None:
        """Return the first snapshot newer than a timestamp (None: the very first); None if there is none."""
        number = 0 if update_ms is None else bisect_right(self.snapshots, update_ms, key=lambda one: one.update_ms)
        return self.snapshots[number] if number < len(self.snapshots) else None

    def read(self, recorded: Recorded) -> Snapshot:
        """Read one snapshot. Raises UnreadableSnapshot."""
        name = recorded.path.name
        try:
            return decode_snapshot(self._unpack(recorded.path, self._max_document_bytes + 1))
        except InvalidSnapshot as error:
            raise UnreadableSnapshot(name, str(error)) from None
        except OSError as error:
            raise UnreadableSnapshot(name, error.strerror or str(error)) from None

    def _candidates(self) -> Iterator[Path]:
        if not self._path.is_dir():
            yield self._path
            return
        for path in self._path.iterdir():
            if path.name.endswith(SUFFIXES) and not path.name.startswith(".") and path.is_file():
                yield path

    def _index(self, paths: list[Path]) -> None:
        known: dict[Path, _Known] = {}
        by_stamp: dict[int, Recorded] = {}
        self.repeated = 0
        for path in paths:
            found = known[path] = self._examine(path)
            if found.update_ms is None:
                continue
            self.repeated += found.update_ms in by_stamp
            by_stamp.setdefault(found.update_ms, Recorded(found.update_ms, path))
        names = {path.name for path in paths}
        self.broken = {name: reason for name, reason in self.broken.items() if name in names}
        self._known = known
        self.snapshots = sorted(by_stamp.values())

    def _examine(self, path: Path) -> _Known:
        try:
            stat = path.stat()
            known = self._known.get(path)
            if known is not None and (known.size, known.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
                return known
            self.broken.pop(path.name, None)
            return _Known(stat.st_size, stat.st_mtime_ns, self._stamp(path))
        except (OSError, InvalidSnapshot) as error:
            self.broken[path.name] = str(error)
            return _Known(-1, -1, None)

    def _stamp(self, path: Path) -> int:
        """Read the timestamp from the beginning of the file; if it isn't there, decode all of it."""
        found = _STAMP.search(self._unpack(path, HEAD_BYTES, is_head=True))
        if found is not None:
            return update_stamp_ms(FeedGeneral(found[1].decode("ascii", "replace")))
        return decode_snapshot(self._unpack(path, self._max_document_bytes + 1)).update_ms

    def _unpack(self, path: Path, limit: int, *, is_head: bool = False) -> bytes:
        """Read at most ``limit`` bytes of the decompressed document, so that a bomb is not decompressed further."""
        with open_to_read(follow_own_links(path), may_have_links=True) as file:
            packed = file.read(limit)
        try:
            document = _gunzip(packed, limit) if packed.startswith(_GZIP_MAGIC) else packed
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidSnapshot("truncated", f"its compression is damaged: {error}") from None
        if not is_head and len(document) >= limit:
            raise InvalidSnapshot("not a feed", f"larger than {self._max_document_bytes:,} bytes")
        return document

    def _why_nothing(self) -> str:
        if not self.broken:
            return "holds no *.json or *.json.gz"
        name, reason = next(iter(self.broken.items()))
        return f"holds {len(self.broken)} files and none is a snapshot; {name}: {reason}"


def _gunzip(packed: bytes, limit: int) -> bytes:
    with gzip.GzipFile(fileobj=BytesIO(packed)) as file:
        return file.read(limit)
