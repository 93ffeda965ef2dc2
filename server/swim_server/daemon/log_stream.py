"""The destination of the log: a rotating file, or standard error. Writing never fails: the service matters more.

A file is rotated by size here; if another program (logrotate) renames it, that is noticed; and SIGUSR2 opens it again,
also the file that standard error was redirected to by whoever started the daemon.
Lines that can't be written, as on a full disk, are counted and reported afterwards.
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.files.opening import follow_own_links, open_descriptor

LOOK_SECONDS = 1.0
"""How often to check whether the file has been renamed."""
AGAIN_SECONDS = 60.0
"""How long the file keeps growing after a failed rotation."""
RECENT_LINES = 300
MAX_LINE = 2000
"""Maximum length of a line that is kept."""


class LogStream:
    """What ``logs.configure`` writes to. Lives on the loop's thread, but several threads may write."""

    def __init__(
        self,
        descriptor: int,
        path: Path | None = None,
        *,
        max_bytes: int = 0,
        keep_files: int = 5,
        redirects: Sequence[int] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.opened_as = _leads_to(descriptor) if path is None else None
        """Where standard error led at the start; None: to a file of ours, or unknown."""
        self.path = path
        """The file; None: not one to rotate, but a terminal or a journal."""
        self.max_bytes = max_bytes
        """Size beyond which the file is rotated; 0: never."""
        self.keep_files = keep_files
        """How many rotated files are kept; ``swim.log.1`` is the newest."""
        self.lost = 0
        """Lines lost since the last one that could be written."""
        self.recent: deque[str] = deque(maxlen=RECENT_LINES)
        """The newest lines, for displaying them elsewhere."""
        self.written = 0
        """Number of lines written."""
        self._descriptor = descriptor
        self._redirected_to = _file_at(self.opened_as, descriptor)
        self._redirects = redirects if path is not None else _also_leading_to(self._redirected_to)
        """Standard output and error, if they lead into the file too."""
        self._reason = ""
        self._monotonic = clock.monotonic
        self._look_at = 0.0
        self._rotate_at = 0.0

    @classmethod
    def open(cls, path: Path, *, max_bytes: int, keep_files: int) -> LogStream:
        """Open the file that the configuration names. Raises OSError."""
        return cls(_open(path), path, max_bytes=max_bytes, keep_files=keep_files)

    @classmethod
    def standard_error(cls, home_log: Path, *, max_bytes: int, keep_files: int) -> LogStream:
        """Write to standard error; if that is the home's log, as when detached, it is rotated as a file."""
        redirects = [number for number in (1, 2) if _is_same(number, home_log)]
        if 2 not in redirects:
            return cls(2)
        return cls(2, home_log, max_bytes=max_bytes, keep_files=keep_files, redirects=redirects)

    @property
    def problem(self) -> str | None:
        """Why lines are lost, or the next one will be; None: none are."""
        if self.lost:
            return self._reason
        return "the program that read it has ended" if _is_unread(self._descriptor) else None

    # What a text stream has.

    def write(self, text: str) -> int:
        """Write, rotating first if that is due. Never raises."""
        data = text.encode(errors="replace")
        if text != "\n":
            self.recent.append(text.rstrip("\n")[:MAX_LINE])
            self.written += 1
        try:
            if self.path is not None:
                self._keep_in_place(self.path, len(data))
            if self.lost:
                told = f"{self.lost} log lines could not be written: {self._reason}\n"
                _write(self._descriptor, told.encode())
                self.lost = 0
            _write(self._descriptor, data)
        except OSError as error:
            self.lost += 1
            self._reason = error.strerror or str(error)
        return len(text)

    def flush(self) -> None:
        """Do nothing: each write has already been passed to the system."""

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    # Rotation.

    @property
    def can_reopen(self) -> bool:
        """True if ``reopen`` opens a file by its name: the log, or the file that standard error was redirected to."""
        return self.path is not None or self._redirected_to is not None

    def reopen(self) -> None:
        """Open the file by its name again; the renamed one belongs to the program that renamed it."""
        path = self.path or self._redirected_to
        if path is None:
            return
        try:
            self._move_to(_open(path))
        except OSError as error:
            self.lost += 1
            self._reason = error.strerror or str(error)

    def keep_in_place(self) -> None:
        """Open the file again now if it was renamed, removed or replaced, even if there is nothing to write."""
        if self.path is not None and not _is_same(self._descriptor, self.path):
            self.reopen()

    def _keep_in_place(self, path: Path, coming_bytes: int) -> None:
        now = self._monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            if not _is_same(self._descriptor, path):
                self.reopen()
        if not self.max_bytes or now < self._rotate_at:
            return
        size = os.fstat(self._descriptor).st_size
        if size and size + coming_bytes > self.max_bytes:
            self._rotate(path, now)

    def _rotate(self, path: Path, now: float) -> None:
        """Rename ``swim.log`` to ``.1``, that to ``.2`` and so on; the oldest is removed. Only one process does it."""
        try:
            if _is_same(self._descriptor, path):
                for number in range(self.keep_files, 0, -1):
                    older = _numbered(path, number - 1)
                    if older.exists():
                        older.replace(_numbered(path, number))
                if not self.keep_files:
                    path.unlink()
            self._move_to(_open(path))
        except OSError:
            self._rotate_at = now + AGAIN_SECONDS

    def _move_to(self, descriptor: int) -> None:
        """Write to this file from now on, through the same descriptors as before."""
        try:
            for number in {self._descriptor, *self._redirects}:
                os.dup2(descriptor, number, inheritable=number <= 2)
        finally:
            os.close(descriptor)


def _open(path: Path) -> int:
    """Open the file, following only the operator's links; what is in ``/dev`` is a terminal or a pipe."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    if path.is_relative_to("/dev"):
        return os.open(path, flags | os.O_CLOEXEC, 0o600)
    return open_descriptor(follow_own_links(path), flags, 0o600)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _is_unread(descriptor: int) -> bool:
    """Return True for a pipe that has no reader any more: writing to it would fail (poll(2), POLLERR)."""
    poll = select.poll()
    poll.register(descriptor, 0)
    try:
        return any(events & select.POLLERR for _, events in poll.poll(0))
    except OSError:
        return False


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _leads_to(descriptor: int) -> str | None:
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:
        return None


def _file_at(name: str | None, descriptor: int) -> Path | None:
    """Return the name of the file that this descriptor writes to; None: it is a terminal, a pipe or a deleted file."""
    path = Path(name) if name is not None else None
    return path if path is not None and path.is_file() and _is_same(descriptor, path) else None


def _also_leading_to(path: Path | None) -> Sequence[int]:
    return [] if path is None else [number for number in (1, 2) if _is_same(number, path)]


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path
