"""A file to write on a disk that may err: what can't be written at the moment waits and is tried again, whole."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import BinaryIO

from swim_server.concurrency.backoff import Backoff
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock

PASSING = frozenset({errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.ENOMEM})
"""What a disk may get over, or an operator: space can be freed."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 1.0
PATIENCE_SECONDS = 300.0
"""Of trouble without an end."""


class PatientFile:
    """Appends to a file that it does not own. Pipes and devices are written to as they are: they can't be mended."""

    def __init__(
        self,
        file: BinaryIO,
        tell: Callable[[str], None],
        is_ended: Callable[[], bool],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """``tell`` is told of trouble and of its end; ``is_ended``: whether there is to be no more waiting."""
        self._descriptor = file.fileno()
        self._tell = tell
        self._is_ended = is_ended
        self._clock = clock
        self._is_regular = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        self._length = 0

    def write(self, data: bytes) -> int:
        """Write all of it; wait while the disk has trouble. Raises OSError: nothing of it is in a regular file then."""
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
        """Nothing waits here."""

    def sync(self) -> None:
        """Wait until all of it is on the disk. Raises OSError; pipes and devices have nothing to keep."""
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
