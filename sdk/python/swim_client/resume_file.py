"""The file that remembers where the program stood. Written whole and renamed into place, so it is never torn."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Optional, Union

from swim_client.errors import ResumeFileError
from swim_client.resume import EventId, parse_id

_MAX_BYTES = 4096


class ResumeFile:
    """One event id on disk: every event up to it was handed over, and its handlers have returned."""

    def __init__(self, path: Union[str, os.PathLike[str]]) -> None:
        self.path = Path(path)
        self.saved: Optional[EventId] = None
        """What the file holds, as far as this process knows."""

    def load(self) -> Optional[EventId]:
        """Read the id; None when there is no file yet.

        Raises ResumeFileError for a file that is none of ours, and for a place where none can be written.
        """
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

    def _parse(self, content: bytes) -> EventId:
        try:
            document = json.loads(content)
        except ValueError:
            document = None
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
        text = json.dumps({"last_event_id": str(event_id)}) + "\n"
        descriptor, name = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".tmp", dir=self.path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink()
            raise
        self.saved = event_id
