"""A picture that is drawn over itself. It reads keys, and leaves the terminal as it was, whatever ends or stops it."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
import tty
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

QUIT_KEYS = frozenset("qQ\x1b\x04")
"""q, Escape and Ctrl-D."""


class Screen:
    """The terminal's second screen while a picture is shown. Use it as a context manager."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self.console = console
        self._live = Live(console=console, auto_refresh=False, screen=True, vertical_overflow="crop")
        self._input = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._modes: list[Any] | None = None
        """What the terminal was like before keys were read one by one."""
        self._before: Any = None

    def __enter__(self) -> Screen:
        self._live.start()
        self._read_keys()
        self._before = signal.signal(signal.SIGTSTP, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTSTP, self._before)
        self._give_keys_back()
        self._live.stop()

    def draw(self, picture: RenderableType) -> None:
        """Show a picture in place of the one before."""
        self._live.update(picture, refresh=True)

    def keys(self, seconds: float = 0.0) -> str:
        """Return the keys pressed, waiting for the first one; none where no keyboard is."""
        if self._input is None or self._modes is None:
            if seconds > 0:
                time.sleep(seconds)
            return ""
        if not select.select([self._input], [], [], seconds)[0]:
            return ""
        return os.read(self._input, 64).decode("utf-8", "replace")

    def _read_keys(self) -> None:
        """Take keys one by one, unless this runs in the background: whoever reads there is stopped."""
        with suppress(termios.error, OSError):
            if self._input is not None and os.tcgetpgrp(self._input) == os.getpgrp():
                self._modes = termios.tcgetattr(self._input)
                tty.setcbreak(self._input, termios.TCSANOW)

    def _give_keys_back(self) -> None:
        if self._modes is not None and self._input is not None:
            with suppress(termios.error, OSError):  # the terminal has gone
                termios.tcsetattr(self._input, termios.TCSANOW, self._modes)
        self._modes = None

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Leave the screen to the shell while we are stopped (Ctrl-Z), and take it again when we go on (fg)."""
        self._give_keys_back()
        self.console.set_alt_screen(False)
        self.console.show_cursor(True)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        # Here it goes on.
        signal.signal(signal.SIGTSTP, self._stop)
        self.console.set_alt_screen(True)
        self.console.show_cursor(False)
        self._read_keys()
        self._live.refresh()


def wants_to_quit(keys: str) -> bool:
    """Tell whether one of the keys ends the picture. An arrow key begins with Escape and has more behind it."""
    return bool(QUIT_KEYS.intersection(keys.replace("\x1b[", "").replace("\x1bO", "")))
