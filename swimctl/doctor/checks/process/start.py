"""How the process was started: its supervisor, its user, and whether its files are still in place."""

from __future__ import annotations

import asyncio
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from swimctl.doctor.check import Advice, Answer, Check, decide, fail, inspect, ok, skip, warn
from swimctl.doctor.probes.daemon_facts import expecting, status
from swimctl.doctor.probes.launching import BY_SUPERVISOR, user_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swim_server.daemon.control.documents.status import Status
    from swim_server.daemon.home import Home

    from swimctl.doctor.context import DoctorContext

DELETED = " (deleted)"
RENAMED = "was renamed to "
HISTORY_NAME = "history.db"
_SUPERVISED = "the process outlives its session"
_FILES = "the files that the process has open are those of its home"


@expecting(_SUPERVISED)
async def is_supervised(context: DoctorContext) -> Answer:
    """Say what keeps the process running; warn if it ends with its terminal."""
    found = await status(context)
    if found.supervisor is not None:
        name = f" as {found.supervised_as}" if found.supervised_as else ""
        return ok(_SUPERVISED, f"{found.supervisor} runs it{name}")
    if found.has_terminal:
        how = "it runs at a terminal, and ends with it"
        return warn(_SUPERVISED, how, advice=[inspect("swimctl service show", "the unit that would keep it running")])
    return ok(_SUPERVISED, "nothing restarts it after a crash: it was started by hand")


async def has_right_user(context: DoctorContext) -> Answer:
    """Check that the process runs as the owner of the home."""
    owner = await asyncio.to_thread(user_of, context, context.home.path)
    info = await context.lock()
    running = None if info is None else await asyncio.to_thread(context.procfs.user, info.pid)
    expected = "the process runs as the owner of its home"
    if owner is None or running is None:
        return skip(expected, "its user can't be determined")
    name = await asyncio.to_thread(context.procfs.user_name, owner)
    if owner == running:
        return ok(expected, name)
    other = await asyncio.to_thread(context.procfs.user_name, running)
    observed = f"it runs as {other}, {context.home.path} belongs to {name}"
    after = f"what it makes belongs to {other}: {name} can't start it again before that changes"
    look = inspect(f"ls -la {context.home.path}", after)
    return warn(expected, observed, advice=[look, _as_owner(await context.status(), name)])


def _as_owner(found: Status, name: str) -> Advice:
    command = BY_SUPERVISOR.get(found.supervisor or "", "swimctl stop")
    return decide(command, f"then chown -R {name}: the home, and start it as {name}: an outage")


@expecting(_FILES)
async def has_its_files(context: DoctorContext) -> Answer:
    """Check that no open file of the home was removed or replaced."""
    found = await status(context)
    links = await asyncio.to_thread(context.procfs.links, found.pid)
    if not links:
        return skip(_FILES, "only the daemon's own user, or root, may look at its files")
    home = context.home
    aside = found.history.damaged_files
    gone = {name: fate for name in (home.history, home.database) if (fate := _fate(name, links, aside))}
    since = {name: await asyncio.to_thread(_when, context, name) for name in gone}
    folder = await asyncio.to_thread(context.procfs.working_folder, found.pid)
    lines = [f"{name} {fate}{since[name]}: the process still has the old one" for name, fate in gone.items()]
    if home.history in gone:
        events = f"{found.history.events} events" if found.history.is_counted else "all events"
        lines.append(f"{events} are in the old history, which goes when the process ends")
    if not lines:
        if folder is not None and folder.endswith(DELETED):
            told = f"its working folder {folder.removesuffix(DELETED)} is gone: relative paths lead nowhere"
            return warn(_FILES, told, advice=[inspect(f"ls -l /proc/{found.pid}/cwd")])
        return ok(_FILES, "they are")
    look = inspect(f"ls -l /proc/{found.pid}/fd")
    return fail(_FILES, lines[0], *lines, advice=[*_put_back(context, gone), *_open_anew(home, gone, look)])


def _put_back(context: DoctorContext, gone: Mapping[Path, str]) -> list[Advice]:
    """Advise how to give renamed files their names again, if nothing has taken these meanwhile: nothing is lost."""
    found = []
    for path, fate in gone.items():
        now = Path(fate.removeprefix(RENAMED))
        is_beside = fate.startswith(RENAMED) and now.parent == path.parent
        if is_beside and context.files.look(now).is_there and not context.files.look(path).is_there:
            command = f"mv -n {shlex.quote(str(now))} {shlex.quote(str(path))}"
            found.append(decide(command, "if that was not meant: the process has this file open"))
    return found


def _open_anew(home: Home, gone: Mapping[Path, str], look: Advice) -> list[Advice]:
    """Advise about files that are gone: a restart opens what is there now, which may be nothing.

    Without the keys that it still has open, every client would be refused: then no restart is advised.
    """
    if home.database in gone:
        back = "of the newest backup, while the daemon is stopped; until then it knows the keys that it has open"
        return [look, decide("swimctl restore BACKUP.tar.gz --only keys", back)]
    lost = "it begins a history, or opens the one that is there now: clients are told of a gap"
    return [decide("swimctl restart", lost), look]


def _fate(path: Path, links: Sequence[str], aside: Sequence[str]) -> str | None:
    """Say what happened to a file that the process has open under this name; None: nothing, or it has none. Pure.

    The process may have opened a newer file of the same name meanwhile; the files that SQLite keeps beside it show
    whether it did. ``aside``: files that the process itself has renamed.
    """
    if f"{path}{DELETED}" in links:
        return "was removed or replaced"
    beside = {f"{path}{tail}{state}" for tail in ("-wal", "-shm", "-journal") for state in ("", DELETED)}
    others = [
        each for each in links
        if each.startswith(f"{path}.") and not each.startswith((f"{path}.damaged-", *aside))
    ]  # fmt: skip
    if others:
        return f"{RENAMED}{others[0].removesuffix(DELETED)}"
    if path.name == HISTORY_NAME and str(path) not in links:  # it lies in the home always: the home was renamed
        moved = [each for each in links if Path(each).name == path.name]
        if moved:
            return f"{RENAMED}{moved[0]}"
    return "was moved away" if str(path) not in links and beside.intersection(links) else None


def _when(context: DoctorContext, path: Path) -> str:
    """Say when another file took the name."""
    found = context.files.look(path)
    return time.strftime(" at %H:%M:%S", time.localtime(found.changed_at)) if found.is_there else ""


async def logs_little(context: DoctorContext) -> Answer:
    """Check that a service in use does not log at level debug."""
    expected = "no service that others use logs at level debug"
    running = await context.ask("config")
    level = running.get("logging", {}).get("level")
    if level != "debug":
        return ok(expected, f"level {level}")
    found = await context.status()
    is_used = bool(running.get("server", {}).get("public_url")) or found.supervisor is not None
    if not is_used:
        return ok(expected, "level debug, of a service without a public_url and a supervisor")
    return warn(expected, "level debug", advice=[inspect("swimctl config show --origin")])


CHECKS: tuple[Check, ...] = (
    Check(
        id="process.supervisor",
        summary="The process outlives its session",
        ask=is_supervised,
        needs=("process.answers",),
    ),
    Check(
        id="process.user",
        summary="The process runs as the owner of its home",
        ask=has_right_user,
        needs=("process.running",),
    ),
    Check(
        id="process.files",
        summary="The files that the process has open are those of its home",
        ask=has_its_files,
        needs=("process.answers",),
    ),
    Check(
        id="process.logging",
        summary="The process does not log at level debug where others use it",
        ask=logs_little,
        needs=("process.answers",),
    ),
)
