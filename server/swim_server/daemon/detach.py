"""Starts the daemon in the background and waits until clients can connect."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec

from swim_server.daemon.home import Home
from swim_server.daemon.lockfile import LockInfo

READY_VARIABLE = "_SWIM_READY_FD"
"""Environment variable with the descriptor on which a child process reports that it serves."""
START_SECONDS = 30.0
LOG_LINES = 15


class StartFailed(Exception):
    """The daemon did not start serving."""

    def __init__(self, exit_code: int | None, output: Sequence[str], log: Path) -> None:
        self.exit_code = exit_code
        self.output = list(output)
        self.log = log
        super().__init__(exit_code, log)

    def __str__(self) -> str:
        how = f"ended with exit code {self.exit_code}" if self.exit_code is not None else "is not ready after 30 s"
        return "\n".join([f"the daemon {how}; the last lines of {self.log}:", *self.output])


def serve_detached(home: Home, arguments: Sequence[str]) -> LockInfo:
    """Start ``swimctl`` with ``arguments`` in its own session; return once it serves.

    Its output goes to the home's log. If the caller stops waiting, the daemon is ended too. Raises HomeError,
    StartFailed, OSError.
    """
    home.prepare()
    reading, writing = os.pipe()
    begin = home.log.stat().st_size if home.log.exists() else 0
    with home.log.open("ab") as log:
        os.fchmod(log.fileno(), 0o600)
        child = subprocess.Popen(
            [*program(), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[writing],
            env={**os.environ, READY_VARIABLE: str(writing)},
        )
    os.close(writing)
    try:
        return _await_ready(child, reading, home.log, begin)
    except BaseException:
        child.terminate()
        raise
    finally:
        os.close(reading)


def _await_ready(child: subprocess.Popen[bytes], reading: int, log: Path, begin: int) -> LockInfo:
    deadline = time.monotonic() + START_SECONDS
    said = b""
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([reading], [], [], left)[0]:
            break
        chunk = os.read(reading, 65_536)
        said += chunk
        if not chunk or said.endswith(b"\n"):
            break
    if said.endswith(b"\n"):
        return msgspec.json.decode(said, type=LockInfo)
    if time.monotonic() >= deadline:
        raise StartFailed(None, tail(log, begin), log)
    raise StartFailed(child.wait(), tail(log, begin), log)


def program() -> list[str]:
    """Return the command that starts ``swimctl`` again: the code on disk that this process was imported from.

    ``-m`` alone would search the working folder first, wherever that is.
    """
    spec = find_spec("swimctl")
    assert spec is not None and spec.submodule_search_locations, "it is installed together with this package"
    is_here = Path(spec.submodule_search_locations[0]).parent == Path.cwd()
    return [sys.executable, *([] if is_here else ["-P"]), "-m", "swimctl"]


def ready_callback() -> Callable[[LockInfo], None] | None:
    """Return what a child calls to tell its parent that it serves; None if no parent waits."""
    number = os.environ.pop(READY_VARIABLE, None)
    if number is None:
        return None
    descriptor = int(number)
    os.set_inheritable(descriptor, False)

    def tell(info: LockInfo) -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody waits any more; the service runs all the same
            os.write(descriptor, msgspec.json.encode(info) + b"\n")
        os.close(descriptor)

    return tell


def tail(path: Path, begin: int = 0, lines: int = LOG_LINES) -> list[str]:
    """Read the last lines of a file, starting at byte ``begin`` at the earliest."""
    try:
        with path.open("rb") as file:
            file.seek(max(begin, file.seek(0, os.SEEK_END) - 65_536))
            return [line.decode(errors="replace").rstrip() for line in deque(file, maxlen=lines)]
    except OSError:
        return []
