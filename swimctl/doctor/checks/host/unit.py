"""The systemd unit: the expected one, loaded, and running the daemon."""

from __future__ import annotations

import asyncio
import dataclasses
import pwd
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from swimctl.doctor.check import Advice, Answer, decide, fail, inspect, ok, skip, unknown, warn
from swimctl.systemd.manager import Manager
from swimctl.systemd.unit import MARK, Scope, quoted

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

SYSTEMD = Path("/run/systemd/system")
NAME = "swim"
SHOWN = ("NeedDaemonReload", "ActiveState", "MainPID", "LoadState")
ASK_SECONDS = 1.2
EXPECTED = "the unit that swimctl service show prints, loaded and running the daemon"


async def unit_is_installed(context: DoctorContext) -> Answer:
    """Check that a unit which runs this home is the expected one, and that the daemon is its process."""
    if not (await asyncio.to_thread(context.files.look, SYSTEMD)).is_there:
        return skip(EXPECTED, "systemd does not run here")
    return judge_unit(context, await unit_here(context), await _pid(context))


async def unit_here(context: DoctorContext) -> UnitSeen | None:
    """Return the unit of this home; None if there is none."""
    return await context.fact(
        "host.unit", lambda: asyncio.to_thread(look_at_unit, context), "the unit's file, systemctl show",
        shape=UnitSeen | None,
    )  # fmt: skip


async def _pid(context: DoctorContext) -> int | None:
    info = await context.lock()
    return info.pid if info is not None and await context.is_held() else None


class UnitSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The unit of this home as systemd shows it."""

    scope: str
    path: Path
    control: str
    """How its systemctl is called."""
    shown: dict[str, str] = {}
    """The properties that systemctl shows."""
    trouble: str | None = None
    """Why systemctl shows nothing."""
    differing: tuple[str, ...] = ()
    """Lines that differ from the unit that this version installs."""
    user: int | None = None
    """The user that it runs as."""


def look_at_unit(context: DoctorContext) -> UnitSeen | None:
    """Read the unit's file and ask systemctl about it; None: no unit serves this home. Blocks for up to a second."""
    found = [each for scope in ("system", "user") if (each := _installed(context, scope)) is not None]
    if not found:
        return None
    manager, path, text = found[0]
    shown = _show(manager, context.invocation.environ)
    wanted = _wanted(context, manager.scope, text)
    return UnitSeen(
        scope=manager.scope,
        path=path,
        control=" ".join(manager.command),
        shown=shown if isinstance(shown, dict) else {},
        trouble=shown if isinstance(shown, str) else None,
        differing=() if wanted is None else tuple(_differing(text, wanted)),
        user=_user_in(text),
    )


def _user_in(text: str) -> int | None:
    name = next((line.partition("=")[2] for line in text.splitlines() if line.startswith("User=")), None)
    try:
        return pwd.getpwnam(name).pw_uid if name is not None else None
    except KeyError:
        return None


def judge_unit(context: DoctorContext, seen: UnitSeen | None, pid: int | None) -> Answer:
    """Evaluate the unit, and whether the daemon is its process."""
    if seen is None:
        return skip(EXPECTED, "no unit is installed for this home: swimctl service install would")
    path, control, shown = seen.path, seen.control, seen.shown
    look = inspect(f"{control} status {NAME}")
    if seen.trouble is not None:
        return unknown(EXPECTED, seen.trouble, advice=[look])
    if shown.get("NeedDaemonReload") == "yes":
        reload = decide(f"{control} daemon-reload", "systemd reloads all units; the daemon is not affected")
        return fail(EXPECTED, f"{path} was changed and not loaded", advice=[look, reload])
    if seen.differing:
        command = f"swimctl service install --scope {seen.scope} --yes && {control} daemon-reload"
        again = decide(command, "the unit's file is overwritten: manual changes in it are lost")
        return warn(EXPECTED, f"{path} is not what this version would install", *seen.differing, advice=[look, again])
    main = int(shown.get("MainPID") or 0)
    if pid is not None and main != pid:
        runs = f"its process is {main}" if main else f"it is {shown.get('ActiveState')}"
        observed = f"pid {pid} was not started by systemd: {runs}"
        return warn(
            EXPECTED, observed, str(path), advice=[inspect(f"{control} status {NAME}"), _hand_to_systemd(control)]
        )
    return ok(EXPECTED, f"{path}, {shown.get('ActiveState')}")


def _hand_to_systemd(control: str) -> Advice:
    lost = "an outage of some seconds; the options of the process that runs are replaced by those of the unit"
    return decide(f"swimctl stop && {control} start {NAME}", lost)


def _installed(context: DoctorContext, scope: Scope) -> tuple[Manager, Path, str] | None:
    manager = Manager(scope, context.invocation.environ)
    path = manager.unit_path(NAME)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    home = quoted(f"SWIM_HOME={context.home.path}")
    return (manager, path, text) if f"Environment={home}" in text.splitlines() else None


def _wanted(context: DoctorContext, scope: Scope, text: str) -> str | None:
    """Return the unit that would be installed for the same user; None: this one was not written by swimctl."""
    from swimctl.systemd.installation import is_same_file, unit_of

    if not text.startswith(MARK):
        return None
    user = next((line.partition("=")[2] for line in text.splitlines() if line.startswith("User=")), None)
    start = next((line.partition("=")[2] for line in text.splitlines() if line.startswith("ExecStart=")), "")
    program = Path(start.partition(" ")[0])
    try:
        wanted = unit_of(context.invocation, scope, user, is_draft=True)
        if len(wanted.command) == 1 and is_same_file(program, Path(wanted.command[0])):
            wanted = dataclasses.replace(wanted, command=[str(program)])  # under another name, such as a link
        return wanted.text()
    except Exception:  # noqa: BLE001  # a user that is gone, a configuration that is not valid: told by others
        return None


def _differing(installed: str, wanted: str) -> list[str]:
    here, there = _settings(installed), _settings(wanted)
    return [f"- {line}" for line in here if line not in there] + [f"+ {line}" for line in there if line not in here]


def _settings(text: str) -> list[str]:
    """Return a unit's lines except the first, which names the version that wrote it."""
    return [line for line in text.splitlines() if not line.startswith(MARK)]


def _show(manager: Manager, environ: Mapping[str, str]) -> dict[str, str] | str:
    """Return systemctl's properties of the unit, or the reason there are none."""
    words = [*manager.command, "show", NAME, f"--property={','.join(SHOWN)}"]
    try:
        done = subprocess.run(
            words, env=dict(environ), capture_output=True, text=True, check=False, timeout=ASK_SECONDS
        )
    except FileNotFoundError:
        return "there is no systemctl"
    except subprocess.TimeoutExpired:
        return f"systemctl did not answer within {ASK_SECONDS:g} s"
    if done.returncode != 0:
        return done.stderr.strip().partition("\n")[0] or f"systemctl ended with {done.returncode}"
    return {name: value for name, _, value in (line.partition("=") for line in done.stdout.splitlines())}
