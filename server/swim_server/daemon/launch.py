"""How this process was started: by whom, which program, with which arguments."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil

from swim_server.config.redaction import url_without_secrets

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
SUPERVISING_PARENTS = {
    "supervisord": "supervisord",
    "runsv": "runit",
    "s6-supervise": "s6",
    "tini": "tini",
    "docker-init": "tini",
    "dumb-init": "dumb-init",
    "catatonit": "catatonit",
}
"""By the name of the parent process."""


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What ``status`` tells of the start."""

    supervisor: str | None = None
    """What keeps the process running; None: nothing that can be told."""
    program: str | None = None
    executable: str | None = None
    """The Python that runs the program."""
    arguments: tuple[str, ...] = ()
    """The program's arguments; credentials in addresses are hidden."""

    @classmethod
    def of_this_process(cls, environ: Mapping[str, str]) -> Launch:
        """Look at this process, its parent and its environment."""
        program, *arguments = sys.argv or [""]
        return cls(
            supervisor=supervisor_of(environ, os.getpid(), parent_name()),
            program=str(Path(program).absolute()) if program else None,
            executable=sys.executable or None,
            arguments=tuple(hide_credentials(each) for each in arguments),
        )


def supervisor_of(environ: Mapping[str, str], pid: int, parent: str | None) -> str | None:
    """Name what supervises a process. Pure.

    systemd sets ``SYSTEMD_EXEC_PID`` for the process that it starts, and ``NOTIFY_SOCKET`` also reaches the processes
    that follow it over a restart (systemd.exec(5)); supervisord sets ``SUPERVISOR_ENABLED``.
    """
    if environ.get("NOTIFY_SOCKET") or environ.get("SYSTEMD_EXEC_PID") == str(pid):
        return "systemd"
    if environ.get("SUPERVISOR_ENABLED"):
        return "supervisord"
    if pid == 1:
        return "container"
    return SUPERVISING_PARENTS.get(parent or "")


def parent_name() -> str | None:
    """Name the program of the parent process; None where it can't be looked at."""
    try:
        return str(psutil.Process(os.getppid()).name())
    except psutil.Error:
        return None


def hide_credentials(argument: str) -> str:
    """Hide user and password of an address in an argument."""
    return _URL.sub(lambda match: str(url_without_secrets(match[0])), argument)
