"""``swimctl stop``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from swimctl.app import single_command
from swimctl.errors import CommandError, CommandFailed
from swimctl.invocation import invocation_of

if TYPE_CHECKING:
    import signal

    from swim_server.daemon.home import Home
    from swim_server.daemon.lockfile import Lockfile, LockInfo

app = single_command()

LOOK_SECONDS = 0.05
SIGNAL_SECONDS = 3.0
"""How long to wait after each signal before the next, stronger one."""


@app.command()
def stop(
    context: typer.Context,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", min=0, help="Seconds to wait for a graceful stop before signals are sent."
        ),
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Stop the daemon gracefully.

    New connections are refused, clients are asked to come back later, history is flushed and the lock is released. If
    the daemon does not stop in time, it gets SIGTERM, then SIGKILL; acknowledged events survive even that.

    \b
    Examples:
      swimctl stop
      swimctl stop --timeout 30
    """
    invocation = invocation_of(context)
    output, messages, home = invocation.output(as_json=as_json), invocation.messages(), invocation.home
    from swim_server.daemon.lockfile import Lockfile

    lockfile = Lockfile(home.lockfile)
    if not lockfile.is_held():
        _tell_not_running(lockfile, home)
    info = lockfile.read()
    who = f"pid {info.pid}" if info is not None else "pid unknown"
    asked = _ask(home)
    if asked is not None:
        messages.line(f"{asked}; sending SIGTERM to {who}")
    elif not _await_release(lockfile, timeout):
        asked = f"not stopped after {timeout:g} s"
        messages.line(f"{asked}; sending SIGTERM to {who}")
    if asked is not None:
        _signal_until_gone(lockfile, info)
    if as_json:
        output.document({"pid": None if info is None else info.pid, "stopped": True, "graceful": asked is None})
    else:
        messages.line(f"stopped ({who})")


def _tell_not_running(lockfile: Lockfile, home: Home) -> None:
    from swimctl.client.control import not_running
    from swimctl.errors import DaemonNotRunning

    info = lockfile.read()
    if lockfile.clear():
        whose = f" of pid {info.pid}" if info is not None else ""
        raise DaemonNotRunning(f"the daemon is not running in {home.path}; cleared the stale lockfile{whose}")
    raise not_running(home)


def _ask(home: Home) -> str | None:
    """Ask the daemon to stop over the control socket; return why that was impossible, or None."""
    from swimctl.client.control import ControlClient
    from swimctl.client.session import SessionLost

    try:
        with ControlClient.connect(home, timeout=2.0) as control:
            control.call("stop", timeout=2.0)
    except SessionLost:
        return None  # it stopped before its answer arrived
    except CommandError as error:
        return error.problem
    return None


def _await_release(lockfile: Lockfile, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while lockfile.is_held():
        if time.monotonic() >= deadline:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _signal_until_gone(lockfile: Lockfile, info: LockInfo | None) -> None:
    import signal

    if info is None:
        raise CommandFailed(
            f"{lockfile.path} is held by a process that did not write its pid", f"find it with: fuser {lockfile.path}"
        )
    for number in (signal.SIGTERM, signal.SIGKILL):
        if _end(info, number) and _await_release(lockfile, SIGNAL_SECONDS):
            return
    raise CommandFailed(f"pid {info.pid} could not be stopped", f"inspect it with: ps -fp {info.pid}")


def _end(info: LockInfo, number: signal.Signals) -> bool:
    from swim_server.daemon.process import send_signal

    try:
        send_signal(info, number)
    except PermissionError:
        raise CommandFailed(f"pid {info.pid} belongs to another user", "stop it as that user, or with sudo") from None
    return True
