"""The lockfile: held with flock by the running daemon, so it is never stale; its content names that process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from swim_server.errors import ExitKind, OperatorError
from swim_server.files.opening import open_descriptor

ACQUIRE_TRIES = 10
ACQUIRE_PAUSE_SECONDS = 0.03
"""A reader that tests the lock holds it for an instant; ten attempts outlast any number of readers."""


class LockInfo(msgspec.Struct, kw_only=True):
    """What a daemon writes about itself into its lockfile."""

    pid: int
    process_started: float
    """Seconds since boot, from the kernel; with the pid it identifies one process, even if pids are reused."""
    boot_id: str | None = None
    host: str
    started_at: str
    version: str
    fingerprint: str
    commit: str | None = None
    python: str | None = None
    url: str | None = None
    """Where clients connect; None until it listens."""
    control: str | None = None
    config_file: str | None = None


@lru_cache(maxsize=1)
def _values_in(text: str) -> dict[str, Any]:
    """Parse a lockfile's text: it is read before each question to the daemon, and seldom changes."""
    return tomllib.loads(text)


class AlreadyRunning(OperatorError):
    """Another daemon holds the lock of this home."""

    exit_kind = ExitKind.ALREADY_RUNNING

    def __init__(self, path: Path, info: LockInfo | None) -> None:
        self.path = path
        self.info = info
        super().__init__(path, info)

    @property
    def pid(self) -> int | None:
        return self.info.pid if self.info else None

    def __str__(self) -> str:
        info = self.info
        who = f"pid {info.pid}, {info.url or 'not listening yet'}" if info else "its pid is not known yet"
        return f"already running in {self.path.parent}: {who}; stop it with swimctl stop, or set another SWIM_HOME"


class Lockfile:
    """The lock of one home. It belongs to the open file: a process that inherits the descriptor holds it too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._content: bytes | None = None
        """What this process wrote last."""

    def acquire(self) -> None:
        """Take the lock; held until ``release`` or the end of the process. Raises AlreadyRunning, OSError.

        If the file is replaced while it is being locked, the new one is locked instead.
        """
        for attempt in range(ACQUIRE_TRIES):
            descriptor = _open_locked(self.path)
            if descriptor is not None:
                self._descriptor = descriptor
                return
            if attempt + 1 < ACQUIRE_TRIES:
                time.sleep(ACQUIRE_PAUSE_SECONDS)
        raise AlreadyRunning(self.path, self.read())

    def keep(self) -> bool:
        """Create the file again if it was removed, replaced or changed while held; True if it was.

        Raises OSError, also if another process holds the lock of the new file.
        """
        data = self._content
        if self._descriptor is None or data is None:
            return False
        if not _has_name(self._descriptor, self.path):
            descriptor = _open_locked(self.path)
            if descriptor is None:
                raise BlockingIOError(0, "another process holds the lock of this home")
            previous, self._descriptor = self._descriptor, descriptor
            os.close(previous)
        elif os.pread(self._descriptor, len(data) + 1, 0) == data:
            return False
        self._put(data)
        return True

    def adopt(self, descriptor: int) -> None:
        """Take over an open, locked descriptor from the process that hands over to this one."""
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Return the descriptor that holds the lock, for handing it over."""
        assert self._descriptor is not None, "not acquired"
        return self._descriptor

    def write(self, info: LockInfo) -> None:
        """Write who holds the lock. Only the holder may."""
        content = tomli_w.dumps({name: value for name, value in msgspec.to_builtins(info).items() if value is not None})
        self._content = content.encode()
        self._put(self._content)

    def _put(self, data: bytes) -> None:
        os.pwrite(self.fileno(), data, 0)
        os.ftruncate(self.fileno(), len(data))

    def read(self) -> LockInfo | None:
        """Read who holds, or last held, the lock; None if nobody did or it can't be read."""
        for _ in range(ACQUIRE_TRIES):
            try:
                return msgspec.convert(_values_in(self.path.read_text("utf-8")), LockInfo)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError):
                time.sleep(ACQUIRE_PAUSE_SECONDS)  # being written at this moment, or a remnant of a full disk
        return None

    def is_held(self) -> bool:
        """Tell whether a living process holds the lock."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def release(self, *, keep_lock: bool = False) -> None:
        """Release the lock: clear the content, keep the file. With ``keep_lock``, another process keeps holding it."""
        if self._descriptor is not None:
            if not keep_lock:
                with contextlib.suppress(OSError):  # a disk in trouble: the next start finds that this was no good end
                    os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = self._content = None

    def clear(self) -> bool:
        """Remove what a killed daemon left. True if there was something."""
        if self.is_held() or not self.path.exists() or not self.path.stat().st_size:
            return False
        os.truncate(self.path, 0)
        return True


def _open_locked(path: Path) -> int | None:
    """Open a file and take its lock; None if another process holds it, or the file was replaced meanwhile."""
    descriptor = open_descriptor(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _has_name(descriptor, path):
            return descriptor
    except BlockingIOError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _has_name(descriptor: int, path: Path) -> bool:
    """Tell whether the path names this open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
