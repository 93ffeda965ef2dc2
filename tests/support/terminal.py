"""A command on its own terminal: what it draws, what is typed, how it leaves the terminal."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence

_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[@-_])")


class Terminal:
    """Runs ``swimctl`` on a pseudo-terminal, as the first process of its session."""

    def __init__(
        self,
        words: Sequence[str],
        environ: Mapping[str, str],
        *,
        rows: int = 24,
        columns: int = 80,
        through: Sequence[str] = (),
        more: Mapping[str, str] | None = None,
    ) -> None:
        """Without words: a shell to type into. ``through``: a command before it, as ``sh -c 'exec "$@" > FILE'``.

        ``more``: additional environment variables.
        """
        self._master, slave = os.openpty()
        self.resize(rows, columns)
        self.modes = termios.tcgetattr(slave)
        """What the terminal was like before."""
        left = {name: value for name, value in environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        program = [*through, *(["sh"] if through else []), sys.executable, "-m", "swimctl", *words]
        if not words:
            program = ["bash", "--norc", "-i"]
        self.process = subprocess.Popen(
            program, stdin=slave, stdout=slave, stderr=slave,
            env={**left, "TERM": "xterm-256color", **(more or {})}, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,  # noqa: PLW1509  # one call, no lock
        )  # fmt: skip
        self._slave = slave
        self.drawn = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    @property
    def modes_now(self) -> list[object]:
        return termios.tcgetattr(self._slave)

    @property
    def text(self) -> str:
        """What was drawn, without escape sequences."""
        return _ESCAPE.sub("", self.drawn)

    @property
    def is_on_second_screen(self) -> bool:
        return self.drawn.rfind("\x1b[?1049h") > self.drawn.rfind("\x1b[?1049l")

    @property
    def has_cursor(self) -> bool:
        return self.drawn.rfind("\x1b[?25h") >= self.drawn.rfind("\x1b[?25l")

    def read_until(self, holds: Callable[[Terminal], bool], seconds: float = 60) -> str:
        """Read until a condition on what was drawn holds."""
        deadline = time.monotonic() + seconds
        while not holds(self):
            assert time.monotonic() < deadline, f"not drawn within {seconds} s:\n{self.text[-3000:]}"
            self._read(0.1)
        return self.text

    def forget(self) -> None:
        """Ignore what has been drawn so far."""
        self._read(0.1)
        self.drawn = ""

    def end(self, seconds: float = 30) -> int:
        """Wait for the end, reading what is drawn meanwhile."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still running:\n{self.text[-3000:]}"
            self._read(0.05)
        self._read(0.1)
        return self.process.returncode

    def _read(self, seconds: float) -> None:
        if select.select([self._master], [], [], seconds)[0]:
            try:
                self.drawn += os.read(self._master, 65_536).decode(errors="replace")
            except OSError:  # the other side is closed
                time.sleep(0.02)
