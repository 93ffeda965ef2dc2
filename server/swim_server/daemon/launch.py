"""How this process was started: by what, which program, with which arguments."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil

from swim_server.config.redaction import url_without_secrets

CONTAINER = "container"
SHELLS = frozenset({"sh", "dash", "bash", "ash", "busybox"})
_UNIT = re.compile(r"/([^/\s]+\.service)$", re.MULTILINE)
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
"""Supervisors by the name of the parent process."""
WATCHES_PID = frozenset({"supervisord", "runit", "s6", "tini", "dumb-init", "catatonit", "container"})
"""Supervisors that consider the service ended when the process that they started ends, even if another has taken over.

systemd is told about the new main process (sd_notify(3), MAINPID=).
"""


RESTARTED_BY = {
    "supervisord": "restart it with: supervisorctl restart {name}",
    "runit": "restart it with: sv restart {name}",
    "s6": "restart it with: s6-svc -r with its service folder",
    CONTAINER: "restart the container: docker restart, or kubectl rollout restart",
}


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What ``status`` shows about the start."""

    supervisor: str | None = None
    """The supervisor of the process; None: none is known."""
    program: str | None = None
    supervised_as: str | None = None
    """The supervisor's name for it: ``swim.service``, ``swim:swim_00``."""
    has_terminal: bool = False
    """Whether it has a controlling terminal, and ends with it."""
    executable: str | None = None
    """The Python that runs the program."""
    arguments: tuple[str, ...] = ()
    """The program's arguments; credentials in addresses are hidden."""

    def refusal(self) -> str | None:
        """Return why no other process may take over from this one; None: one may."""
        if self.supervisor not in WATCHES_PID:
            return None
        name = f" as {self.supervised_as}" if self.supervised_as else ""
        if self.supervisor == CONTAINER:
            who, end = f"pid {os.getpid()} is what its container waits for", "the container would end with it"
        else:
            who = f"{self.supervisor} runs it{name} and tracks it by pid {os.getpid()}"
            end = "it would count as stopped, even though another process takes over"
        step = RESTARTED_BY.get(self.supervisor or "", RESTARTED_BY[CONTAINER]).format(
            name=self.supervised_as or "swim"
        )
        return f"restart is refused, and the service keeps running: {who}, {end}; {step}"

    @classmethod
    def of_this_process(cls, environ: Mapping[str, str]) -> Launch:
        """Examine this process, its parent and its environment."""
        program, *arguments = sys.argv or [""]
        has_terminal = has_controlling_terminal()
        supervisor = supervisor_of(environ, os.getpid(), watching_parent(has_terminal=has_terminal))
        if supervisor == "supervisord" and os.getsid(0) == os.getpid():
            supervisor = None  # a grandchild of supervisord that has started its own session
        return cls(
            supervisor=supervisor,
            supervised_as=supervised_as(supervisor, environ),
            has_terminal=has_terminal,
            program=str(Path(program).absolute()) if program else None,
            executable=sys.executable or None,
            arguments=tuple(hide_credentials(each) for each in arguments),
        )


def supervisor_of(environ: Mapping[str, str], pid: int, parent: str | None) -> str | None:
    """Return the supervisor of a process. Pure.

    systemd sets ``SYSTEMD_EXEC_PID`` for the process that it starts, and ``NOTIFY_SOCKET`` is also inherited by
    processes that follow it over a restart (systemd.exec(5)); supervisord sets ``SUPERVISOR_ENABLED``.
    """
    if environ.get("NOTIFY_SOCKET") or environ.get("SYSTEMD_EXEC_PID") == str(pid):
        return "systemd"
    if environ.get("SUPERVISOR_ENABLED"):
        return "supervisord"
    if pid == 1 or parent == CONTAINER:
        return CONTAINER
    return SUPERVISING_PARENTS.get(parent or "")


def supervised_as(supervisor: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the supervisor's name for this process; None if it is not known."""
    if supervisor == "supervisord":
        names = (environ.get("SUPERVISOR_GROUP_NAME"), environ.get("SUPERVISOR_PROCESS_NAME"))
        return ":".join(each for each in names if each) or None
    if supervisor == "systemd":
        with contextlib.suppress(OSError):
            found = _UNIT.findall(Path("/proc/self/cgroup").read_text("utf-8", "replace"))
            return found[-1] if found else None
    return None


def watching_parent(*, has_terminal: bool) -> str | None:
    """Return the program that waits for this process: its parent or, if that is a shell, the shell's parent.

    None if it can't be determined. A shell at a terminal outlives its programs.
    """
    try:
        parent = psutil.Process(os.getppid())
        while parent.name() in SHELLS and not has_terminal:
            if parent.pid == 1:
                return CONTAINER
            above = parent.parent()
            if above is None:
                break
            parent = above
        return str(parent.name())
    except psutil.Error:
        return None


def has_controlling_terminal() -> bool:
    """Tell whether this process belongs to a terminal, whatever its standard streams are (tty(4))."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def hide_credentials(argument: str) -> str:
    """Hide user and password of an address in an argument."""
    return _URL.sub(lambda match: str(url_without_secrets(match[0])), argument)
