"""A file on a disk that may fail: a write that fails is repeated, whole, until it succeeds."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import BinaryIO

from swim_server.concurrency.backoff import Backoff
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock

PASSING = frozenset({errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.ENOMEM})
"""Errors that a disk, or an operator, may get over: space can be freed."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 1.0
PATIENCE_SECONDS = 300.0
"""How long to wait for the errors to end."""


class PatientFile:
    """Appends to a file that it does not own. Pipes and devices are written directly, without a second attempt."""

    def __init__(
        self,
        file: BinaryIO,
        tell: Callable[[str], None],
        is_ended: Callable[[], bool],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Append to ``file``. ``tell`` is called when trouble begins and ends; ``is_ended`` stops the waiting."""
        self._descriptor = file.fileno()
        self._tell = tell
        self._is_ended = is_ended
        self._clock = clock
        self._is_regular = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        self._length = 0

    def write(self, data: bytes) -> int:
        """Write all of it; wait while the disk fails. Raises OSError; a regular file has nothing of it then."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, clock=self._clock)
        deadline = self._clock.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._write(data)
            except OSError as error:
                may_pass = self._is_regular and error.errno in PASSING
                if not may_pass or self._is_ended() or self._clock.monotonic() >= deadline:
                    raise
                if not backoff.failures:
                    self._tell(f"— can't be written at the moment ({error.strerror}); trying again, Ctrl-C ends —")
                self._clock.block(backoff.fail())
            else:
                if backoff.failures:
                    self._tell("— can be written again —")
                return len(data)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def sync(self) -> None:
        """Wait until everything is on the disk. Raises OSError; does nothing for pipes and devices."""
        if self._is_regular:
            os.fsync(self._descriptor)

    def _write(self, data: bytes) -> None:
        if not self._is_regular:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            return
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(self._descriptor, data[done:], self._length + done)
        except OSError:
            os.ftruncate(self._descriptor, self._length)
            raise
        self._length += done
