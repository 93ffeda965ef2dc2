"""The client's position in the order of all events, and the file that remembers it.

``Progress`` is pure: messages and times in, decisions out. Two positions are kept. The *baseline* is the last event
received: nothing at or before it is delivered again. The *point* is where to resume: every requested event up to it has
been received. It is the last event's id, or, on a quiet subscription, a later id named by the server; otherwise a
client that received nothing for days would be told of a gap that does not exist, because history no longer reaches back
to its last event.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Optional, Union
from zlib import crc32

from swim_client.errors import ResumeFileError

SETTLED_SECONDS = 600.0
"""A replay that was silent for this long is over, even if no event has shown it."""
_MAX_BYTES = 4096


class EventId(NamedTuple):
    """``<unix-ms>-<seq>``; compares in the order in which events were stored."""

    milliseconds: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.sequence}"


def parse_id(text: object) -> Optional[EventId]:
    """Parse an event id; None for anything else."""
    if not isinstance(text, str) or not text.isascii():
        return None
    milliseconds, _, sequence = text.partition("-")
    if not milliseconds.isdigit() or not sequence.isdigit() or len(milliseconds) > 15 or len(sequence) > 10:
        return None
    return EventId(int(milliseconds), int(sequence))


class Progress:
    """What has arrived, and where to resume. Lives across connections."""

    def __init__(self, after: Optional[EventId] = None, *, is_enabled: bool = True, lost: Optional[str] = None) -> None:
        """Begin at a known position, or without one.

        ``lost``: why the program no longer knows its position; the stream then begins with a gap.
        """
        self.baseline = after
        self.point = after
        self.asked: Optional[EventId] = None
        """Where this connection's subscription was to resume; a gap begins there."""
        self.has_state = False
        """A whole state has arrived, and nothing that would have changed it was missed since."""
        self.server_resumes = False
        self.can_resume = False
        """Whether the current server keeps history for its clients; the former service doesn't."""
        self.epoch: Optional[str] = None
        """The epoch that ``point`` belongs to; None: the server named none."""
        self._epoch_now: Optional[str] = None
        """The current server's epoch."""
        self._is_enabled = is_enabled
        self._lost = lost
        self._is_subscribed = False
        self._is_live = False
        """Whether everything missed has arrived: then the server's newest id applies to this client too."""
        self._target: Optional[EventId] = None
        """The newest event when the replay began: one beyond it is live."""
        self._last_event_at = 0.0
        self._heartbeat: Optional[EventId] = None
        self._gap_told = False
        self._begun_at: Optional[EventId] = None
        """The newest event when the last few were requested: where to resume if none of them arrives."""

    @property
    def after(self) -> Optional[EventId]:
        """Return the value to send as ``after``; None: nothing was received, or this server can't resume."""
        return (self.point or self._begun_at) if self.can_resume else None

    def connected(self, data: Mapping[str, Any]) -> None:
        """Begin a connection, with the data of its ``connected`` message."""
        self.server_resumes = data.get("resume") is True
        self.can_resume = self._is_enabled and self.server_resumes
        self._is_subscribed = self._is_live = self._gap_told = False
        self._target = self._heartbeat = None
        epoch = data.get("epoch")
        self._epoch_now = epoch if isinstance(epoch, str) else None
        if self.point is None:
            self.epoch = self._epoch_now

    def begins_after(self, event_id: Optional[EventId]) -> None:
        """Begin after the last event that the program knows; events received since take precedence."""
        if self.point is None and event_id is not None:
            self.baseline = self.point = event_id

    def awaits_from(self, last_event_id: object) -> None:
        """Expect the events after this id, if nothing older is expected: the program wants the stream from here."""
        if self.point is None and self.can_resume:
            self.point = parse_id(last_event_id)

    def subscribed(
        self, answer: Mapping[str, Any], *, asked: Optional[EventId], history: Mapping[str, Any], now: float
    ) -> Optional[str]:
        """Process the answer to this connection's first ``subscribe``.

        ``asked`` was sent as its ``after``; ``history`` has the ``since`` or ``last`` that was sent instead. Returns
        why there is a gap, or None.
        """
        gap = self._subscribed(answer, asked, history, now)
        lost, self._lost = self._lost, None
        return gap or (None if lost is None else self._tell_once(lost))

    def _subscribed(
        self, answer: Mapping[str, Any], asked: Optional[EventId], history: Mapping[str, Any], now: float
    ) -> Optional[str]:
        self._is_subscribed = True
        self._last_event_at = now
        newest = parse_id(answer.get("last_event_id"))
        former, self.epoch = self.epoch, self._epoch_now
        if asked is not None and None not in (former, self.epoch) and former != self.epoch:
            # Ids of two orders can't be compared: lower ones are new events, too.
            self._target = newest
            self._begin_anew(newest)
            return self._tell_once("the server has another history than before")
        if asked is not None:
            self._target = newest
            self._is_live = newest is not None and asked >= newest
            return self._tell_once(self._gap(answer, asked, newest))
        if history:
            self._target = newest
            if "last" in history:
                self._begun_at = newest
            return self._tell_once("history does not reach back so far" if answer.get("gap") is True else None)
        self._is_live = True
        if newest is not None and self.can_resume:
            self.point = newest
        return None

    def _tell_once(self, gap: Optional[str]) -> Optional[str]:
        if gap is None or self._gap_told:
            return None
        self._gap_told = True
        self.has_state = False
        return gap

    def _gap(self, answer: Mapping[str, Any], asked: EventId, newest: Optional[EventId]) -> Optional[str]:
        if answer.get("gap") is True:
            if newest is None or newest < asked:
                # Another history, or an older one that was restored: its ids may be below ours, and are new.
                self._begin_anew(newest)
            return "history no longer reaches back"
        if answer.get("resumed") is False and newest is not None and newest > asked:
            self._begin_anew(newest)
            return "the server did not resume"
        return None

    def history_unavailable(self) -> Optional[str]:
        """Handle HISTORY_UNAVAILABLE: live events follow. Returns why there is a gap; None if that was reported."""
        self.baseline = None
        self.has_state = False
        return self._tell_once("history does not hold the last event that this client saw")

    def no_history(self) -> Optional[str]:
        """Note that the server can't resume. Returns why there is a gap, or None if nothing was missing."""
        if not self._is_enabled or self.point is None or self.can_resume:
            return None
        self.point = None
        return self._tell_once("this server can't send what was missed")

    def _begin_anew(self, newest: Optional[EventId]) -> None:
        self.baseline = None
        self.point = newest or self.point

    def received(self, event_id: Optional[EventId], *, now: float) -> bool:
        """Note an event. Returns True if it is new; an event without an id always is."""
        if event_id is None:
            return True
        if self.baseline is not None and event_id <= self.baseline:
            return False
        self.baseline = event_id
        if self.point is None or event_id > self.point:
            self.point = event_id
        if not self._is_live and self._target is not None and event_id > self._target:
            self._is_live = True
        self._last_event_at = now
        return True

    def heartbeat(self, last_event_id: object, *, now: float) -> None:
        """Note a heartbeat's ``last_event_id``.

        The previous heartbeat's counts: whatever was stored up to then has had a whole interval to arrive.
        """
        if not self._is_subscribed or not self.can_resume:
            return
        if not self._is_live and now - self._last_event_at >= SETTLED_SECONDS:
            self._is_live = True
        if not self._is_live:
            return
        if self._heartbeat is not None and (self.point is None or self._heartbeat > self.point):
            self.point = self._heartbeat
        self._heartbeat = parse_id(last_event_id)

    def unsubscribed_from_all(self) -> None:
        """Expect nothing any more: a later subscription begins with the live stream."""
        self._is_subscribed = self._is_live = False
        self.point = None


class Recovery:
    """Counts the events that arrive from history after a reconnect, up to the newest one at that time."""

    def __init__(self, target: Optional[EventId], after: Optional[EventId]) -> None:
        self.after = after
        self.recovered: Optional[int] = None if target is None or after is None else 0
        """None: it can't be known."""
        self._target = target

    @property
    def is_over_at_once(self) -> bool:
        """Whether nothing was missed, or it can't be known what."""
        return self._target is None or self.after is None or self._target <= self.after

    def is_over_before(self, event_id: Optional[EventId]) -> bool:
        """Return True if this event is already live."""
        return event_id is not None and self._target is not None and event_id > self._target

    def count(self) -> None:
        """Count one more event from history."""
        if self.recovered is not None:
            self.recovered += 1

    def is_over_after(self, event_id: Optional[EventId]) -> bool:
        """Return True if this event was the newest one when the replay began."""
        return event_id is not None and event_id == self._target


class ResumeFile:
    """One event id on disk: every event up to it was delivered, and its handlers have returned.

    Written completely and renamed into place, so it is never torn. It has a checksum, as a corrupted digit would be
    another position. A file without one, from an earlier version or written by hand, is accepted.
    """

    def __init__(self, path: Union[str, os.PathLike[str]]) -> None:
        self.path = Path(path)
        self.saved: Optional[EventId] = None
        """What the file holds, as far as this process knows."""
        self.epoch: Optional[str] = None
        """The name of the order that ``saved`` belongs to; None: none is known, as in a file of an earlier version."""
        self.fault: Optional[str] = None
        """What was wrong with the file when it was read: where the program stood is not known any more."""

    def load(self) -> Optional[EventId]:
        """Read the id; None if there is no file yet, or if it is corrupted: ``fault`` then says so.

        Raises ResumeFileError for a file that is not a resume file, and if none can be written there.
        """
        self.fault = self.epoch = None
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
        epoch = document.get("epoch") if isinstance(document, dict) else None
        self.epoch = epoch if isinstance(epoch, str) else None
        return event_id

    def _check_writable(self) -> None:
        folder = self.path.parent
        if not folder.is_dir():
            raise ResumeFileError(str(self.path), f"there is no folder {folder}")
        if not os.access(folder, os.W_OK):
            raise ResumeFileError(str(self.path), f"the folder {folder} can't be written to")

    def save(self, event_id: EventId, epoch: Optional[str] = None) -> None:
        """Write the id and its epoch; blocks until they are on disk. Raises OSError, leaving the file unchanged."""
        document = {"last_event_id": str(event_id), "crc32": _checksum(str(event_id))}
        if epoch is not None:  # earlier versions check the first two only
            document.update(epoch=epoch, epoch_crc32=_checksum(f"{event_id} {epoch}"))
        text = json.dumps(document) + "\n"
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
        self.saved, self.epoch = event_id, epoch


def _checksum(text: str) -> str:
    return f"{crc32(text.encode()):08x}"


def _fits(document: dict[str, object]) -> bool:
    """Return True if the checksums are those of the id and its epoch; a file of an earlier version has fewer."""
    if len(document) == 1 and "last_event_id" in document:
        return True
    event_id, epoch = document.get("last_event_id"), document.get("epoch")
    if ("epoch" in document or "epoch_crc32" in document) and (
        document.get("epoch_crc32") != _checksum(f"{event_id} {epoch}")
    ):
        return False
    return document.get("crc32") == _checksum(str(event_id))


def _keep_mode(descriptor: int, path: Path) -> None:
    """Give the new file the mode of the one it replaces."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, mode)


def _sync_folder(folder: Path) -> None:
    """Wait until the new name is on disk too, if the system can sync folders."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems know no such thing
    finally:
        os.close(descriptor)
