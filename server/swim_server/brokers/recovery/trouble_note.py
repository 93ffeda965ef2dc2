"""How far history had come when its disk had trouble, recorded on another file system.

A disk that was lost and is mounted again while the machine runs is as it was moments ago: it lacks what was not synced,
and nothing on it shows that. Under ``normal`` these are events that were acknowledged and that clients have.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from zlib import crc32

from swim_server.files.opening import open_descriptor
from swim_server.logs import get_logger
from swim_server.protocol.event_id import ZERO, EventId, InvalidEventId

SHARED_MEMORY = Path("/dev/shm")
_MAX_BYTES = 128
_log = get_logger("broker")


def folder_for_notes(environ: Mapping[str, str]) -> Path:
    """Return the folder in memory where notes are kept: the user's own, else the machine's."""
    own = environ.get("XDG_RUNTIME_DIR")
    return Path(own) if own else SHARED_MEMORY


class TroubleNote:
    """The note about one history. Never raises: the disk it helps against is in trouble already."""

    def __init__(self, history: Path, folder: Path | None) -> None:
        """Prepare the note; ``folder`` must be on another file system than history, otherwise nothing is recorded."""
        name = hashlib.sha256(os.fsencode(history.absolute())).hexdigest()[:16]
        self._history = history
        self._path = None if folder is None else folder / f"swim-{os.geteuid()}-{name}.trouble"
        self._written = ZERO
        self._may_be_there = True

    def put_down(self, newest: EventId) -> None:
        """Record the newest event that a client may have."""
        if self._path is None or newest <= self._written or not self._is_elsewhere(self._path.parent):
            return
        text, self._may_be_there = str(newest), True
        try:
            descriptor = open_descriptor(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, is_ours=True)
            try:
                os.write(descriptor, f"{text} {crc32(text.encode()):08x}\n".encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            _log.warning("how far history has come can't be noted elsewhere", path=str(self._path), reason=str(error))
        self._written = newest

    def read(self) -> EventId:
        """Return the newest event recorded; ZERO if there is no note."""
        if self._path is None:
            return ZERO
        try:
            descriptor = open_descriptor(self._path, os.O_RDONLY, is_ours=True)
        except OSError:
            return ZERO
        try:
            text, _, checksum = os.read(descriptor, _MAX_BYTES).decode("ascii", "replace").strip().rpartition(" ")
            return EventId.parse(text) if checksum == f"{crc32(text.encode()):08x}" else ZERO
        except (OSError, InvalidEventId):
            return ZERO
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Remove the note: everything is on the disk, or known to be lost."""
        if self._path is None or not self._may_be_there:
            return
        self._written, self._may_be_there = ZERO, False
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("a note about trouble can't be removed", path=str(self._path), reason=str(error))

    def _is_elsewhere(self, folder: Path) -> bool:
        try:
            return folder.stat().st_dev != self._history.parent.stat().st_dev
        except OSError:
            return False
