"""A second record of ended keys beside the key database: restoring an older copy makes none of them valid again.

One line with a checksum for each change of when a key ends; the last one of a key counts. It reveals no key, and no
digest by which a key could be found.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote, urlsplit
from zlib import crc32

from swim_server.files.opening import open_descriptor, open_to_read
from swim_server.files.replacing import replace_durably
from swim_server.keys.records import KeyRecord
from swim_server.sql.errors import StoreMisconfigured

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

_FOR_GOOD, _NEVER = "revoked", "good"
_MOMENT = "%Y-%m-%dT%H:%M:%S.%fZ"
_Signature = tuple[int, int, int]


class EndedKeys:
    """The file. Blocks; may be used by several threads and processes."""

    def __init__(self, path: Path, database: Path) -> None:
        """Use the file beside ``database``, with the same owner and mode."""
        self.path = path
        self._database = database
        self._ends: dict[str, str] = {}
        self._signature: _Signature | None = None
        self._lock = threading.Lock()

    @classmethod
    def beside(cls, url: URL) -> EndedKeys | None:
        """Return the file of a database; None for one on a server, whose backups are its administrator's concern."""
        if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
            return None
        is_uri = url.database.startswith("file:")
        return cls.beside_file(Path(unquote(urlsplit(url.database).path) if is_uri else url.database))

    @classmethod
    def beside_file(cls, database: Path) -> EndedKeys:
        """Return the file of a database that is a SQLite file."""
        return cls(database.with_suffix(".ended"), database)

    def is_ended(self, record: KeyRecord, now: datetime) -> bool:
        """Tell whether a key was ended by now, whatever its row says; an unreadable file counts as last read."""
        name = _name_of(record)
        with self._lock:
            self._load()
            ends = self._ends.get(name, _NEVER) if name is not None else _NEVER
        return ends == _FOR_GOOD or (ends != _NEVER and _moment(ends) <= now)

    def refuse_to_begin_anew(self) -> NoReturn:
        """Raise StoreMisconfigured: the database of keys that were made here is gone.

        Clients are then told to retry, not that their keys are unknown, after which they would stop.
        """
        raise StoreMisconfigured(
            f"the key database {self._database} is gone or empty, though keys were made here",
            f"bring it back (swimctl restore); to begin without any key, remove {self.path}",
        )

    def note(self, records: Iterable[KeyRecord], now: datetime) -> None:
        """Record when these keys end according to their rows; returns when that is on the disk. Raises OSError.

        A key that has ended by now has ended for good: setting the clock back does not make it valid again.
        """
        if not self.path.exists():
            replace_durably(self.path, b"", like=self._database)
        descriptor = open_descriptor(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with self._lock:
                self._load()
                lines = "".join(self._changes(records, now))
            if lines:
                os.write(descriptor, b"\n" + lines.encode("ascii"))  # the last line may be truncated
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _changes(self, records: Iterable[KeyRecord], now: datetime) -> Iterator[str]:
        for record in records:
            name, ends = _name_of(record), _ends_of(record, now)
            if name is not None and ends != self._ends.get(name, _NEVER):
                yield _line(f"{name} {ends}")

    def _load(self) -> None:
        """Read the file if it has changed."""
        try:
            found = self.path.stat()
            signature = found.st_ino, found.st_size, found.st_mtime_ns
            if signature == self._signature:
                return
            with open_to_read(self.path) as file:
                content = file.read()
        except OSError:
            return
        self._ends = dict(_read(content))
        self._signature = signature


def _read(content: bytes) -> Iterator[tuple[str, str]]:
    for line in content.decode("ascii", "replace").splitlines():
        text, _, checksum = line.rpartition(" ")
        name, _, ends = text.partition(" ")
        if f"{crc32(text.encode()):08x}" == checksum and (ends in {_FOR_GOOD, _NEVER} or _is_moment(ends)):
            yield name, ends


def _line(text: str) -> str:
    return f"{text} {crc32(text.encode()):08x}\n"


def _name_of(record: KeyRecord) -> str | None:
    return None if record.fingerprint is None else blake2b(record.fingerprint.sha256, digest_size=16).hexdigest()


def _ends_of(record: KeyRecord, now: datetime) -> str:
    if not record.is_active or (record.expires_at is not None and record.expires_at <= now):
        return _FOR_GOOD
    return _NEVER if record.expires_at is None else record.expires_at.astimezone(UTC).strftime(_MOMENT)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, _MOMENT).replace(tzinfo=UTC)


def _is_moment(text: str) -> bool:
    try:
        _moment(text)
    except ValueError:
        return False
    return True
