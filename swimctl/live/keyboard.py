"""The keyboard of a POSIX terminal: single keys without echo; the former terminal modes are restored."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from contextlib import suppress
from typing import Any


class Keyboard:
    """Standard input while a live display is shown; without a terminal, no key is ever pressed."""

    def __init__(self) -> None:
        self._input = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._modes: list[Any] | None = None
        """The terminal's modes before single keys were read."""

    def take(self) -> None:
        """Switch to single keys, unless running in the background, where reading would stop the process."""
        with suppress(termios.error, OSError):
            if self._input is not None and os.tcgetpgrp(self._input) == os.getpgrp():
                self._modes = termios.tcgetattr(self._input)
                tty.setcbreak(self._input, termios.TCSANOW)

    def give_back(self) -> None:
        """Restore the terminal's modes. Idempotent."""
        if self._modes is not None and self._input is not None:
            with suppress(termios.error, OSError):  # the terminal has gone
                termios.tcsetattr(self._input, termios.TCSANOW, self._modes)
        self._modes = None

    def keys(self, seconds: float) -> str:
        """Return the keys pressed, waiting for the first one; empty if there is no keyboard."""
        if self._input is None or self._modes is None:
            time.sleep(seconds)
            return ""
        if not select.select([self._input], [], [], seconds)[0]:
            return ""
        return os.read(self._input, 64).decode("utf-8", "replace")
