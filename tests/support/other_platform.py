"""Runs ``swimctl`` as on a system that is not POSIX: our packages find none of its modules, names and signals.

As a program: ``python other_platform.py WORDS``. Libraries keep what they have on this system; what is hidden is
hidden from our own code, and what it would take of ``os``, ``select`` and ``signal`` at import or later is gone.
"""

from __future__ import annotations

import builtins
import os
import select
import signal
import sys
from typing import Any

MODULES = frozenset({"crypt", "fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty", "uvloop"})
OURS = ("swimctl", "swim_server", "swim_client")
OS_NAMES = (
    "O_CLOEXEC", "O_DIRECTORY", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "fchmod", "fchown", "fork", "getegid",
    "geteuid", "getgid", "getpgrp", "getuid", "mkfifo", "sched_getaffinity", "setsid", "statvfs", "sysconf",
    "tcgetpgrp",
)  # fmt: skip
SIGNALS = ("SIGCONT", "SIGHUP", "SIGKILL", "SIGTSTP", "SIGUSR1", "SIGUSR2", "SIGWINCH")


def hide() -> None:
    """Hide everything; libraries that need it must have been imported."""
    import asyncio  # noqa: F401
    import concurrent.futures.thread  # noqa: F401
    import subprocess  # noqa: F401

    import rich.live  # noqa: F401
    import typer  # noqa: F401
    import websockets.asyncio.client
    import websockets.sync.client  # noqa: F401

    real = builtins.__import__

    def found(name: str, globals: Any = None, *rest: Any, **more: Any) -> Any:
        importer = str((globals or {}).get("__name__", ""))
        if name.partition(".")[0] in MODULES and importer.partition(".")[0] in OURS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, globals, *rest, **more)

    builtins.__import__ = found
    for module, names in ((os, OS_NAMES), (signal, SIGNALS), (select, ("poll", "epoll"))):
        for name in names:
            delattr(module, name)


def main() -> None:
    """Run one command line."""
    words = sys.argv[1:]
    if "swimctl" in words:  # behind another program: python -m swimctl WORDS
        words = words[words.index("swimctl") + 1 :]
    hide()
    sys.argv = ["swimctl", *words]
    from swimctl.__main__ import main as run

    run()


if __name__ == "__main__":
    main()
