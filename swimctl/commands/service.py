"""``swimctl service install | uninstall | show``: the systemd unit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swimctl.app import command_group
from swimctl.completion.words import scopes
from swimctl.errors import CommandFailed, ExitCode, NotFound, WrongUsage
from swimctl.invocation import invocation_of

if TYPE_CHECKING:
    from swimctl.output import Output
    from swimctl.systemd.manager import Manager
    from swimctl.systemd.unit import Scope, Unit

app = command_group("Run the daemon under systemd: install, show and remove the unit.")

ScopeOption = Annotated[
    str | None,
    typer.Option(
        "--scope",
        metavar="system|user",
        autocompletion=scopes,
        help="Use the system's or the user's service manager; default: the system's for root.",
    ),
]
Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the unit.")]
RunAs = Annotated[str | None, typer.Option("--run-as", metavar="USER", help="User that a system unit runs as.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


@app.command()
def show(
    context: typer.Context,
    *,
    scope: ScopeOption = None,
    name: Name = "swim",
    run_as: RunAs = None,
    as_json: Json = False,
) -> int:
    """Print the unit that would be installed.

    Also reports whether the installed one is the same. Exit code 5 if none is installed.

    \b
    Examples:
      swimctl service show
      swimctl service show --scope system --run-as swim > swim.service
    """
    from swimctl.systemd.installation import unit_of
    from swimctl.systemd.manager import Manager

    invocation = invocation_of(context)
    chosen, name = read_scope(scope), read_name(name)
    text = unit_of(invocation, chosen, run_as, is_draft=True).text()
    path = Manager(chosen, invocation.environ).unit_path(name)
    installed = read_installed(path)
    output = invocation.output(as_json=as_json)
    if as_json:
        state = {"is_installed": installed is not None, "is_same": installed == text}
        output.document({"path": str(path), "scope": chosen, "unit": text, **state})
        return ExitCode.DONE if installed is not None else ExitCode.NOT_FOUND
    output.stream.write(text)
    output.stream.flush()
    if installed is None:
        invocation.messages().line(f"not installed as {path}: swimctl service install")
        return ExitCode.NOT_FOUND
    same = (
        "installed, up to date"
        if installed == text
        else "the installed unit differs; update it with: swimctl service install"
    )
    invocation.messages().line(f"{path}: {same}")
    return ExitCode.DONE


@app.command()
def install(
    context: typer.Context,
    *,
    scope: ScopeOption = None,
    name: Name = "swim",
    run_as: RunAs = None,
    now: Annotated[bool, typer.Option("--now", help="Start the service too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, without doing it.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Write the unit and enable it at boot.

    The service notifies systemd when it is ready, is monitored by systemd's watchdog, can write only where it needs to,
    and is restarted when it fails. Its home is SWIM_HOME; for a system unit, /var/lib/swim by default.

    \b
    Examples:
      swimctl service install --dry-run
      swimctl service install --now
      sudo SWIM_HOME=/srv/swim swimctl service install --run-as swim --yes
    """
    from swimctl.systemd.installation import check_command, unit_of
    from swimctl.systemd.manager import Manager

    invocation = invocation_of(context)
    output, messages = invocation.output(as_json=as_json), invocation.messages()
    chosen, name = read_scope(scope), read_name(name)
    unit, manager = unit_of(invocation, chosen, run_as, is_draft=dry_run), Manager(chosen, invocation.environ)
    path, text = manager.unit_path(name), unit.text()
    if dry_run and as_json:
        output.document({"path": str(path), "scope": chosen, "unit": text, "installed": False})
        return
    if dry_run:
        output.stream.write(text)
        output.stream.flush()
        messages.line(f"would write {path}, then: {_steps(manager, name, now)}")
        return
    require_systemd(manager)
    check_command(unit)
    has_changed = _write_unit(manager, unit, name, yes=yes)
    manager.call("enable", *(["--now"] if now else []), name)
    if as_json:
        output.document({"path": str(path), "scope": chosen, "changed": has_changed, "installed": True})
    else:
        output.line(f"{'installed' if has_changed else 'unchanged'} {path}")
    _tell_how_to_go_on(messages, manager, name, unit, has_started=now or _is_serving(unit))


def _write_unit(manager: Manager, unit: Unit, name: str, *, yes: bool) -> bool:
    """Write the unit, after asking, and create its home; return False if the unit was already up to date."""
    from swimctl.output import require_yes

    path, text = manager.unit_path(name), unit.text()
    installed = read_installed(path)
    if installed == text:
        return False
    what = "Replace" if installed is not None else "Write"
    require_yes(f"{what} {path} and let systemd start {name} at boot?", yes=yes)
    make_home(unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)
    manager.call("daemon-reload")
    return True


@app.command()
def uninstall(
    context: typer.Context,
    *,
    scope: ScopeOption = None,
    name: Name = "swim",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Stop the service and remove its unit. Home, keys and history are kept.

    \b
    Examples:
      swimctl service uninstall
      swimctl service uninstall --scope system --yes
    """
    from swimctl.output import require_yes
    from swimctl.systemd.manager import Manager
    from swimctl.systemd.unit import MARK

    invocation = invocation_of(context)
    chosen, name = read_scope(scope), read_name(name)
    manager = Manager(chosen, invocation.environ)
    path = manager.unit_path(name)
    installed = read_installed(path)
    if installed is None:
        raise NotFound(
            f"there is no unit {path}", "user and system units are separate: try --scope user or --scope system"
        )
    foreign = "" if installed.startswith(MARK) else " (it was not written by swimctl)"
    require_yes(f"Stop {name} and remove {path}{foreign}?", yes=yes)
    output = invocation.output(as_json=as_json)
    has_systemd = manager.problem() is None
    if has_systemd:
        manager.call("disable", "--now", name)
    path.unlink()
    if has_systemd:
        manager.call("daemon-reload")
    if as_json:
        output.document({"path": str(path), "removed": True})
    else:
        output.line(f"removed {path}")


def read_scope(scope: str | None) -> Scope:
    """Parse ``--scope``. Raises WrongUsage."""
    from swimctl.systemd.installation import default_scope

    if scope is None:
        return default_scope()
    if scope == "system":
        return "system"
    if scope == "user":
        return "user"
    raise WrongUsage(f"--scope: must be system or user, got {scope!r}")


def read_name(name: str) -> str:
    """Parse ``--name``: the name of a unit, not a path. Raises WrongUsage."""
    found = name.removesuffix(".service")
    if not found or not all(character.isalnum() or character in "-_" for character in found) or not found.isascii():
        raise WrongUsage(f"--name: must be letters, digits, - and _, got {name!r}")
    return found


def read_installed(path: Path) -> str | None:
    """Return the text of the installed unit, or None if there is none."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None


def require_systemd(manager: Manager) -> None:
    """Raise CommandFailed if systemd is not running."""
    problem = manager.problem()
    if problem is not None:
        raise CommandFailed(
            f"systemd is not available here: {problem}",
            "print the unit: swimctl service show; run without it: swimctl serve --detach",
        )


def make_home(unit: Unit) -> None:
    """Create a system unit's home, accessible only to its user, if it does not exist."""
    if unit.scope == "system" and unit.user is not None and not unit.home.exists():
        import shutil

        unit.home.mkdir(mode=0o700, parents=True)
        shutil.chown(unit.home, unit.user)


def write_whole(path: Path, text: str) -> None:
    """Write a file atomically: readers see all of it or nothing."""
    from swim_server.files.replacing import replace_durably

    replace_durably(path, text.encode(), mode=0o644)


def _steps(manager: Manager, name: str, now: bool) -> str:
    systemctl = " ".join(manager.command)
    return f"{systemctl} daemon-reload; {systemctl} enable {'--now ' if now else ''}{name}"


def _is_serving(unit: Unit) -> bool:
    from swim_server.daemon.home import Home
    from swim_server.daemon.lockfile import Lockfile

    return Lockfile(Home(unit.home).lockfile).is_held()


def _tell_how_to_go_on(messages: Output, manager: Manager, name: str, unit: Unit, *, has_started: bool) -> None:
    systemctl = " ".join(manager.command)
    if not has_started:
        messages.line(f"start it: {systemctl} start {name}")
    messages.line(f"new code: SWIM_HOME={unit.home} swimctl restart (systemctl restart would drop its clients)")
    if unit.scope == "user":
        messages.line("to keep it running after you log out: loginctl enable-linger")
