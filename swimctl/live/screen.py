"""A display that is redrawn in place. It reads keys, and restores the terminal however it ends or is suspended."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from swimctl.live.keyboard import Keyboard

QUIT_KEYS = frozenset("qQ\x1b\x04")
"""q, Escape and Ctrl-D."""
SIZE_SECONDS = 0.25
"""How often the terminal's size is checked while waiting for keys."""


class Screen:
    """The terminal's alternate screen during a live display. A context manager."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self.console = console
        self._live = Live(console=console, auto_refresh=False, screen=True, vertical_overflow="crop")
        self._keyboard = _keyboard()
        self._before: Any = None
        self._is_drawing = self._is_asked_to_stop = False
        self._size = console.size

    def __enter__(self) -> Screen:
        self._live.start()
        if self._keyboard is not None:
            self._keyboard.take()
            self._before = signal.signal(signal.SIGTSTP, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        if self._keyboard is not None:
            signal.signal(signal.SIGTSTP, self._before)
            self._keyboard.give_back()
        self._live.stop()

    def draw(self, picture: RenderableType) -> None:
        """Show a picture in place of the previous one."""
        self._is_drawing = True
        self._size = self.console.size
        try:
            self._live.update(picture, refresh=True)
        finally:
            self._is_drawing = False
        if self._is_asked_to_stop:
            self._is_asked_to_stop = False
            self._leave_to_shell()

    def keys(self, seconds: float = 0.0) -> str:
        """Return the keys pressed, waiting for the first one; empty on a timeout, or once the terminal is resized."""
        deadline = time.monotonic() + seconds
        while True:
            left = max(0.0, min(deadline - time.monotonic(), SIZE_SECONDS))
            if pressed := self._pressed(left):
                return pressed
            if time.monotonic() >= deadline or self.console.size != self._size:
                return ""

    def _pressed(self, seconds: float) -> str:
        if self._keyboard is not None:
            return self._keyboard.keys(seconds)
        time.sleep(seconds)
        return ""

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Suspend (Ctrl-Z), at once or after the current redraw: two writers on one stream would collide."""
        if self._is_drawing:
            self._is_asked_to_stop = True
        else:
            self._leave_to_shell()

    def _leave_to_shell(self) -> None:
        """Give the screen to the shell while suspended, and take it back when resumed (fg)."""
        assert self._keyboard is not None, "the signal is taken only with a keyboard"
        self._keyboard.give_back()
        self.console.set_alt_screen(False)
        self.console.show_cursor(True)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        # To this thread: another one might take a signal sent to the process, and this one would run on for a moment.
        signal.pthread_kill(threading.get_ident(), signal.SIGTSTP)
        # Execution continues here after fg.
        signal.signal(signal.SIGTSTP, self._stop)
        self.console.set_alt_screen(True)
        self.console.show_cursor(False)
        self._keyboard.take()
        self._live.refresh()


def _keyboard() -> Keyboard | None:
    """Return the terminal's keyboard; None without POSIX terminals (Windows), where Ctrl-C ends the display."""
    try:
        from swimctl.live.keyboard import Keyboard
    except ModuleNotFoundError:
        return None
    return Keyboard()


def wants_to_quit(keys: str) -> bool:
    """Return True if one of the keys ends the display. An arrow key begins with Escape, but more characters follow."""
    return bool(QUIT_KEYS.intersection(keys.replace("\x1b[", "").replace("\x1bO", "")))
