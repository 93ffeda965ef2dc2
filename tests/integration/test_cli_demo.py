"""The demo: a whole service in one terminal, and nothing left afterwards."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support.daemon import Daemon

_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[@-_])")


class Terminal:
    """A command on a terminal of 80 by 24, and what it has drawn so far."""

    def __init__(self, words: list[str], environ: dict[str, str]) -> None:
        self._master, slave = os.openpty()
        self.resize(24, 80)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "swimctl", *words], stdin=slave, stdout=slave, stderr=slave,
            env={**environ, "TERM": "xterm-256color"}, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,  # noqa: PLW1509  # one call, no lock
        )  # fmt: skip
        os.close(slave)
        self.drawn = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def hang_up(self) -> None:
        os.close(self._master)
        self._master = -1

    def read_until(self, holds: Callable[[str], bool], seconds: float = 40) -> str:
        """Read until what was drawn, escapes removed, fulfils ``holds``."""
        deadline = time.monotonic() + seconds
        while not holds(self.text):
            assert time.monotonic() < deadline, f"not drawn within {seconds} s:\n{self.text[-3000:]}"
            self._read(0.2)
        return self.text

    def end(self, seconds: float = 20) -> int:
        """Wait for the end, reading what is drawn meanwhile."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still running:\n{self.text[-3000:]}"
            if self._master >= 0:
                self._read(0.05)
            else:
                time.sleep(0.05)
        if self._master >= 0:
            self._read(0.1)
        return self.process.returncode

    @property
    def text(self) -> str:
        return _ESCAPE.sub("", self.drawn)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self._master >= 0:
            os.close(self._master)

    def _read(self, seconds: float) -> None:
        if select.select([self._master], [], [], seconds)[0]:
            try:
                self.drawn += os.read(self._master, 65_536).decode(errors="replace")
            except OSError:  # the other side is closed
                time.sleep(0.02)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder of a short name: what the demo shows of it must fit a line."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        yield Path(folder)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The demo's temporary home lies where the test can see it; an operator's own settings must not matter."""
    (tmp_path / "tmp").mkdir()
    trap = {"SWIM_HOME": "/nonexistent", "SWIM_DATABASE__URL": "sqlite:////nonexistent/keys.db", "SWIM_SERVR__X": "1"}
    own = Daemon(tmp_path / "unused").environ | trap | {"TMPDIR": str(tmp_path / "tmp")}
    return {
        name: value for name, value in own.items() if name not in ("COLUMNS", "LINES")
    }  # the terminal's size counts


@pytest.fixture
def terminal(environ: dict[str, str]) -> Iterator[Terminal]:
    terminal = Terminal(["demo"], environ)
    yield terminal
    terminal.close()


def is_busy(text: str) -> bool:
    return "● live" in text and all(re.search(rf"\d\d:\d\d:\d\d {what}", text) for what in ("departed", "arrived"))


def leftovers(tmp_path: Path) -> list[str]:
    """Temporary homes, and processes that have theirs there."""
    homes = [path.name for path in (tmp_path / "tmp").iterdir()]
    here = str(tmp_path / "tmp")
    for process in psutil.process_iter(["pid"]):
        try:
            if process.environ().get("SWIM_HOME", "").startswith(here):
                homes.append(f"pid {process.pid}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return homes


def test_demo_shows_departures_and_arrivals_and_how_to_connect(terminal: Terminal, tmp_path: Path) -> None:
    text = terminal.read_until(is_busy)
    assert "SWIM ● live  ws://127.0.0.1:" in text
    typed = re.search(r"\. (/\S+/env) && swimctl status\s", text)
    assert typed is not None, "one line that can be pasted"
    written = Path(typed[1]).read_text("utf-8")
    assert Path(typed[1]).stat().st_mode & 0o077 == 0
    home = re.search(r"export SWIM_HOME=(\S+)", written)
    url = re.search(r"export SWIM_URL=(\S+)", written)
    key = re.search(r"export SWIM_API_KEY=(swim_dev_[0-9A-Za-z]{38})", written)
    assert home is not None and url is not None and key is not None
    other = Daemon(tmp_path / "other", environ={"SWIM_HOME": home[1]})
    assert other.swimctl("status").returncode == 0
    seen = other.swimctl("tail", "--url", url[1], "--count", "1", "--json", SWIM_API_KEY=key[1])
    assert (seen.returncode, len(seen.stdout.splitlines())) == (0, 1)
    terminal.resize(40, 140)
    terminal.read_until(lambda drawn: re.search(r"\d{13}-\d+", drawn) is not None)
    terminal.type("\x03")
    assert terminal.end() == 130
    assert "has left nothing behind" in terminal.text
    assert "Traceback" not in terminal.text
    assert terminal.drawn.count("\x1b[?1049h") == terminal.drawn.count("\x1b[?1049l") == 1
    assert terminal.drawn.rfind("\x1b[?25h") > terminal.drawn.rfind("\x1b[?25l")
    assert leftovers(tmp_path) == []


@pytest.mark.unmeasured
@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "hang-up"])
def test_demo_that_is_ended_from_outside_leaves_nothing(terminal: Terminal, tmp_path: Path, how: str) -> None:
    terminal.read_until(lambda text: "WHAT HAPPENED" in text)
    if how == "hang-up":
        terminal.hang_up()
    else:
        terminal.process.send_signal(signal.Signals[how])
    terminal.end()
    assert leftovers(tmp_path) == []


@pytest.mark.unmeasured
def test_demo_that_is_killed_takes_its_daemon_with_it(terminal: Terminal, tmp_path: Path) -> None:
    terminal.read_until(lambda text: "WHAT HAPPENED" in text)
    terminal.process.kill()
    terminal.process.wait()
    deadline = time.monotonic() + 15
    while any(found.startswith("pid") for found in leftovers(tmp_path)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_demo_interrupted_while_it_starts_leaves_nothing(terminal: Terminal, tmp_path: Path) -> None:
    terminal.read_until(lambda text: "Starting a service" in text)
    terminal.type("\x03")
    assert terminal.end() == 130
    assert leftovers(tmp_path) == []


def test_demo_without_a_terminal_writes_plain_lines_and_ends_after_its_count(
    environ: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "swimctl", "demo", "--count", "5", "--flights", "50"], env=environ, text=True,
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert all(line.count("\t") == 6 for line in lines)
    assert "export SWIM_API_KEY=swim_dev_" in done.stderr
    assert leftovers(tmp_path) == []


@pytest.mark.unmeasured
def test_demo_whose_daemon_dies_says_so_and_ends(terminal: Terminal, tmp_path: Path) -> None:
    terminal.read_until(lambda text: "WHAT HAPPENED" in text)
    (pid,) = [int(found.split()[1]) for found in leftovers(tmp_path) if found.startswith("pid")]
    os.kill(pid, signal.SIGKILL)
    assert terminal.end() == 1
    assert "error: the service ended unexpectedly with exit code -9" in terminal.text
    assert leftovers(tmp_path) == []


@pytest.mark.unmeasured
def test_reader_of_the_demo_that_goes_away_is_no_failure(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "swimctl", "demo"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout is not None and process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 0
