"""A process that has imported ``swimctl`` and forks for each command: the command is real, its imports cost nothing.

As a program: reads one request per line, answers with one exit code per line. Started with the ``PYTHONPATH`` of some
copy of the code; every command runs that copy.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

HEAVY = (
    "swimctl.commands.doctor", "swimctl.doctor.diagnose", "swimctl.render.doctor", "swimctl.client.control",
    "swim_server.config", "swim_server.keys.opening", "swim_server.keys.upgrading", "swim_server.keys.store",
    "swim_server.daemon.fingerprint", "swim_server.daemon.process", "swim_server.daemon.control.documents.status",
    "sqlalchemy", "packaging.requirements", "websockets.sync.client", "websockets.asyncio.client",
    "rich.console",
)  # fmt: skip


class Preloaded:
    """One such process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        self._mounts = _mount_namespace()
        return subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).absolute())], env=self._environ, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
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
                self.end()
                raise subprocess.TimeoutExpired(["swimctl", *words], timeout)
            code = int(self._process.stdout.readline())
            return subprocess.CompletedProcess(
                ["swimctl", *words], code, out.read_text("utf-8"), err.read_text("utf-8")
            )

    def end(self) -> None:
        """End it. Idempotent."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


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
    from swimctl.app import run

    out, err = request["files"]
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["folder"])
    flags = os.O_WRONLY | os.O_CREAT
    for number, opened in enumerate((os.open(os.devnull, os.O_RDONLY), os.open(out, flags), os.open(err, flags))):
        os.dup2(opened, number)
        os.close(opened)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 70
    try:
        code = run(request["words"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
