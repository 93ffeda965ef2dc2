"""The file that remembers where the program stood. Written whole and renamed into place, so it is never torn.

It carries a checksum: a digit that rotted would be another place. A file without one, of an earlier version or written
by hand, is believed.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Optional, Union
from zlib import crc32

from swim_client.errors import ResumeFileError
from swim_client.resume import EventId, parse_id

_MAX_BYTES = 4096


class ResumeFile:
    """One event id on disk: every event up to it was handed over, and its handlers have returned."""

    def __init__(self, path: Union[str, os.PathLike[str]]) -> None:
        self.path = Path(path)
        self.saved: Optional[EventId] = None
        """What the file holds, as far as this process knows."""
        self.fault: Optional[str] = None
        """What was wrong with the file when it was read: where the program stood is not known any more."""

    def load(self) -> Optional[EventId]:
        """Read the id; None when there is no file yet, or when it has rotted: ``fault`` says so then.

        Raises ResumeFileError for a file that is none of ours, and for a place where none can be written.
        """
        self.fault = None
        try:
            with self.path.open("rb") as file:
                content = file.read(_MAX_BYTES)
        except FileNotFoundError:
            self._check_writable()
            self.saved = None
            return None
        except OSError as error:
            raise ResumeFileError(str(self.path), f"can't be read: {error.strerror}") from None
        self._check_writable()
        self.saved = self._parse(content)
        return self.saved

    def _parse(self, content: bytes) -> Optional[EventId]:
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        if isinstance(document, dict) and not _fits(document):
            self.fault = f"{self.path} is not as it was written: its checksum does not fit"
            return None
        if document is None and b"last_event_id" in content:
            self.fault = f"{self.path} is not as it was written: it is no JSON any more"
            return None
        event_id = parse_id(document.get("last_event_id")) if isinstance(document, dict) else None
        if event_id is None:
            problem = "holds no last_event_id; remove it to begin with the live stream"
            raise ResumeFileError(str(self.path), problem)
        return event_id

    def _check_writable(self) -> None:
        folder = self.path.parent
        if not folder.is_dir():
            raise ResumeFileError(str(self.path), f"there is no folder {folder}")
        if not os.access(folder, os.W_OK):
            raise ResumeFileError(str(self.path), f"the folder {folder} can't be written to")

    def save(self, event_id: EventId) -> None:
        """Write the id; blocks until it is on disk. Raises OSError, and the file is as before then."""
        text = json.dumps({"last_event_id": str(event_id), "crc32": _checksum(str(event_id))}) + "\n"
        descriptor, name = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".tmp", dir=self.path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                _keep_mode(file.fileno(), self.path)
            Path(name).replace(self.path)
            _sync_folder(self.path.parent)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self.saved = event_id


def _checksum(last_event_id: str) -> str:
    return f"{crc32(last_event_id.encode()):08x}"


def _fits(document: dict[str, object]) -> bool:
    """Whether the checksum is that of the id; one that can't be found is that of an earlier version."""
    if len(document) == 1 and "last_event_id" in document:
        return True
    return document.get("crc32") == _checksum(str(document.get("last_event_id")))


def _keep_mode(descriptor: int, path: Path) -> None:
    """Give the new file the mode of the one in whose place it comes."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, mode)


def _sync_folder(folder: Path) -> None:
    """Wait until the new name is on the disk too, where a folder can be synced."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems know no such thing
    finally:
        os.close(descriptor)
