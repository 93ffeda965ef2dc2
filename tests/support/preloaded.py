"""A process that has imported ``swimctl`` and forks for each command: the command is real, its imports cost nothing.

As a program: reads one request per line, answers with one exit code per line. Started with the ``PYTHONPATH`` of some
copy of the code; every command runs that copy. The program's arguments are packages that are imported whole, too.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

HEAVY = (
    "swimctl.commands.doctor", "swimctl.doctor.diagnose", "swimctl.render.doctor_picture",
    "swimctl.client.control", "swimctl.doctor.probes.database.file_access",
    "swim_server.config", "swim_server.keys.opening", "swim_server.keys.upgrading", "swim_server.keys.store",
    "swim_server.daemon.fingerprint", "swim_server.daemon.process", "swim_server.daemon.control.documents.status",
    "sqlalchemy", "packaging.requirements", "websockets.sync.client", "websockets.asyncio.client",
    "rich.console",
)  # fmt: skip
END_SECONDS = 10.0
_READ_WHEN_RUN = "SWIM_", "_SWIM", "XDG_"
"""Variables that don't matter before the program begins."""


class Preloaded:
    """One such process."""

    def __init__(self, environ: Mapping[str, str], *packages: str) -> None:
        """``packages``: imported whole, beside what doctor needs."""
        self._environ = dict(environ)
        self._packages = packages
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        self._mounts = _mount_namespace()
        return subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).absolute()), *self._packages], env=self._environ, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0,
        )  # fmt: skip

    def run(
        self, words: Sequence[str], environ: Mapping[str, str], folder: Path, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to completion, its output in pipes as in a script. Raises TimeoutExpired."""
        if self._mounts != _mount_namespace():  # it does not see what is mounted for a test
            self.end()
        if self._process.poll() is not None:  # ended just now, or with a command that took too long
            self._process = self._start()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory(prefix="swim-run-") as name:
            out, err = Path(name, "out"), Path(name, "err")
            request = {"words": words, "environ": dict(environ), "folder": str(folder), "files": [str(out), str(err)]}
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            if not select.select([self._process.stdout], [], [], timeout)[0]:
                self._kill()
                self.end()
                raise subprocess.TimeoutExpired(["swimctl", *words], timeout)
            code = int(self._process.stdout.readline())
            return subprocess.CompletedProcess(
                ["swimctl", *words], code, out.read_text("utf-8"), err.read_text("utf-8")
            )

    def end(self) -> None:
        """End it, after its command if it runs one. Idempotent."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait()

    def _kill(self) -> None:
        """Kill it, and the command that it runs."""
        os.killpg(self._process.pid, signal.SIGKILL)


_idle: dict[str, list[Preloaded]] = {}


def run_command(
    words: Sequence[str], environ: Mapping[str, str], folder: Path, timeout: float
) -> subprocess.CompletedProcess[str] | None:
    """Run a command in a fork of a process that has imported all commands; several at once have one each.

    Returns None where a process started for it would be another one: where a library is preloaded, or the environment
    differs from this process's in more than ``PYTHONPATH`` and what the program alone reads.
    """
    changed = {name for name in os.environ.keys() | environ.keys() if os.environ.get(name) != environ.get(name)}
    is_usual = all(name.startswith(_READ_WHEN_RUN) for name in changed - {"PYTHONPATH", "PYTHONWARNINGS"})
    if "LD_PRELOAD" in environ or not is_usual:
        return None
    start = {name: value for name, value in environ.items() if not name.startswith(_READ_WHEN_RUN)}
    idle = _idle.setdefault(json.dumps(start, sort_keys=True), [])
    runner = idle.pop() if idle else _started(start)
    try:
        return runner.run(words, environ, folder, timeout)
    finally:
        idle.append(runner)


def _started(environ: Mapping[str, str]) -> Preloaded:
    runner = Preloaded(environ, "swimctl.commands", "swimctl.render", "swim_server.config")
    atexit.register(runner.end)
    return runner


def _mount_namespace() -> str:
    """Return the mount namespace of processes started now; empty if there are none."""
    try:
        return str(Path("/proc/thread-self/ns/mnt").readlink())
    except OSError:
        return ""


def main() -> None:
    """Serve requests until the end of standard input."""
    for name in HEAVY:
        importlib.import_module(name)
    for package in sys.argv[1:]:
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(found.name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _be_the_command(json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


class Request(TypedDict):
    """How to run a command. ``files``: for standard output and error."""

    words: list[str]
    environ: dict[str, str]
    folder: str
    files: list[str]


def _be_the_command(request: Request) -> None:
    from swimctl import __main__ as program

    out, err = request["files"]
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["folder"])
    flags = os.O_WRONLY | os.O_CREAT
    for number, opened in enumerate((os.open(os.devnull, os.O_RDONLY), os.open(out, flags), os.open(err, flags))):
        os.dup2(opened, number)
        os.close(opened)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [program.__file__, *request["words"]]
    code = 1
    try:
        program.main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - told as the interpreter tells it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
