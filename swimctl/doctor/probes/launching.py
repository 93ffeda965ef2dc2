"""How to start the daemon of a home again: with its own arguments, as its own user, by its own supervisor."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from swimctl.doctor.check import Advice, AdviceKind, decide, inspect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from swim_server.daemon.start_log import Start

    from swimctl.doctor.context import DoctorContext

START = "swimctl serve --detach"
HIDDEN = "***"
BY_SUPERVISOR = {
    "systemd": "systemctl status swim",
    "supervisord": "supervisorctl status",
    "runit": "sv status swim",
}


def start_again(context: DoctorContext) -> str | Advice:
    """Advise how to start a daemon that isn't running. Blocks briefly.

    It is a fix to paste only if nothing is guessed: this user owns the home, and the last start's arguments are known.
    """
    last = last_start(context)
    owner = user_of(context, context.home.path)
    if last is not None and last.supervisor is not None:
        command = BY_SUPERVISOR.get(last.supervisor, START)
        return decide(command, f"{last.supervisor} started it last: let it do so again, with its own command")
    if last is not None and last.arguments is None:
        return decide(START, "with the options that it had: none are known, an earlier version started it")
    arguments = list(last.arguments or ()) if last is not None else []
    if any(HIDDEN in each for each in arguments):
        return decide(started_with(arguments), f"put the secret in for {HIDDEN}: it was in an option of the last start")
    return as_user(context, owner, started_with(arguments))


def stop_and_start(context: DoctorContext, arguments: Sequence[str], supervisor: str | None, clients: int) -> Advice:
    """Advise to stop a running daemon and start it as before; say what is lost."""
    lost = f"closes {clients} connections, which come back" if clients else "an outage of some seconds"
    if supervisor is not None:
        command = BY_SUPERVISOR.get(supervisor, "swimctl status")
        return inspect(command, f"{supervisor} runs it: restart it there ({lost})")
    command = f"swimctl stop && {started_with(list(arguments))}"
    if any(HIDDEN in each for each in arguments):
        lost = f"{lost}; put the secret in for {HIDDEN}"
    advised = as_user(context, user_of(context, context.home.path), command)
    if isinstance(advised, Advice):
        return decide(advised.command, f"{advised.requires}; {lost}")
    return decide(advised, lost)


def started_with(arguments: Sequence[str]) -> str:
    """Return the command that starts a detached daemon with these arguments."""
    if "serve" not in arguments:
        return START
    return shlex.join(["swimctl", *(each for each in arguments if each != "--detach"), "--detach"])


def last_start(context: DoctorContext) -> Start | None:
    """Return how this home's daemon was last started, from its log of starts."""
    starts = context.starts()
    return starts[-1] if starts else None


def user_of(context: DoctorContext, path: Path) -> int | None:
    """Return the owner of a file or folder; None if it is missing or can't be looked at. Blocks briefly."""
    found = context.files.look(path)
    return found.uid if found.is_there else None


def as_user(context: DoctorContext, uid: int | None, command: str) -> str | Advice:
    """Return the command for the home's owner; for other users, advice that names who must type it."""
    if uid is None or uid == context.circumstances.user:
        return command
    name = context.procfs.user_name(uid)
    words = f"sudo -u {shlex.quote(name)} env SWIM_HOME={shlex.quote(str(context.home.path))}"
    together = command if "&&" not in command else f"sh -c {shlex.quote(command)}"
    requires = f"as user {name}, who owns the home: as another user it would leave files that {name} can't open"
    return Advice(kind=AdviceKind.FIX, command=f"{words} {together}", requires=requires)


def about_immutable(paths: Sequence[Path]) -> list[Advice]:
    """Advise how to make files writable again; somebody has made them immutable by hand."""
    names = " ".join(shlex.quote(str(path)) for path in paths)
    return [
        decide(f"chattr -i -a {names}", "as root; it was made so with chattr: find out why"),
        inspect(f"lsattr {names}"),
    ]
