"""The unit for this installation: derived from the locations of swimctl, its home and its configuration."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from swimctl.errors import WrongUsage
from swimctl.systemd.unit import Scope, Unit

if TYPE_CHECKING:
    from swim_server.config import Config

    from swimctl.invocation import Invocation

SYSTEM_HOME = Path("/var/lib/swim")
SYSTEM_USER = "swim"
STARTS_SECONDS = 30.0
_ALL_WRITABLE = 'for each in "$0" "$0"/*; do [ ! -e "$each" ] || [ -w "$each" ] || exit 1; done'
MAKE_USER = "useradd --system --home-dir /var/lib/swim --shell /usr/sbin/nologin swim"


def default_scope() -> Scope:
    """Return the system manager for root, otherwise the user's."""
    return "system" if os.geteuid() == 0 else "user"


def unit_of(invocation: Invocation, scope: Scope, run_as: str | None, *, is_draft: bool = False) -> Unit:
    """Build the unit; as a draft, even if the user that it would run as does not exist yet.

    Raises ConfigError, WrongUsage.
    """
    from swim_server import __version__
    from swim_server.daemon.home import Home

    home = invocation.home
    if scope == "system" and not invocation.environ.get("SWIM_HOME"):
        home = Home(SYSTEM_HOME)
    loaded = invocation.load_config(home=home.path)
    if run_as is not None and scope == "user":
        raise WrongUsage(
            "--run-as is for a system unit: a user unit runs as its user", "leave it out, or --scope system"
        )
    files = [path.absolute() for path in loaded.files if path.name != "swim.local.toml"]
    return Unit(
        scope=scope,
        version=__version__,
        home=home.path,
        command=swimctl_command(),
        user=find_user(run_as, home.path, is_draft=is_draft) if scope == "system" else None,
        config_file=files[0] if files else None,
        python_path=invocation.environ.get("PYTHONPATH") or None,
        writable=sorted(set(written_folders(loaded.config)) - {home.path}),
        needs_temporary=home.control_socket.parent != home.path,
        port=loaded.config.server.port,
    )


def swimctl_command() -> list[str]:
    """Return the command of this very swimctl: as it was called, perhaps through a link that survives upgrades;
    otherwise the script beside its Python, otherwise the module.
    """
    script = Path(sys.executable).with_name("swimctl")
    if not script.is_file() or os.environ.get("PYTHONPATH"):
        return [sys.executable, "-P", "-m", "swimctl"]
    called = Path(shutil.which(sys.argv[0]) or script).absolute()
    return [str(called if is_same_file(called, script) else script)]


def is_same_file(one: Path, other: Path) -> bool:
    """Return True if two names lead to one file."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def find_user(run_as: str | None, home: Path, *, is_draft: bool = False) -> str:
    """Return the user of a system unit: the named one, the home's owner, or ``swim``. Raises WrongUsage."""
    if run_as is not None:
        try:
            return pwd.getpwnam(run_as).pw_name
        except KeyError:
            raise WrongUsage(f"--run-as: there is no user {run_as!r}", f"make one: {MAKE_USER}") from None
    try:
        owner = pwd.getpwuid(home.stat().st_uid).pw_name
        if owner != "root":
            return owner
    except (OSError, KeyError):
        pass
    try:
        return pwd.getpwnam(SYSTEM_USER).pw_name
    except KeyError:
        if is_draft:
            return SYSTEM_USER
        raise WrongUsage(
            "name the user that the service runs as: --run-as USER", f"a dedicated one is best: {MAKE_USER}"
        ) from None


def check_command(unit: Unit) -> None:
    """Check that the unit's user can start its program, read its configuration and write its home.

    Raises WrongUsage with a remedy.
    """
    if unit.user is None or os.geteuid() != 0:
        return

    program = unit.command[0]
    if reason := _failure_of(unit, [*unit.command, "--version"]):
        raise WrongUsage(
            f"user {unit.user} can't run {program}: {reason}",
            "install it where all users may read, and call it from there: "
            "python3 -m venv /opt/swim/1 && /opt/swim/1/bin/pip install .",
        )
    if unit.config_file is not None and _failure_of(unit, ["cat", str(unit.config_file)]):
        raise WrongUsage(
            f"user {unit.user} can't read the configuration {unit.config_file}",
            "name another one with --config; in a checkout its own config/swim.toml is found first",
        )
    if _failure_of(unit, ["sh", "-c", _ALL_WRITABLE, str(unit.home)]):
        home = shlex.quote(str(unit.home))
        raise WrongUsage(
            f"user {unit.user} can't write the home {unit.home}, or files in it: another user has made them",
            f"give it to that user: chown -R {unit.user}: {home}",
        )


def _failure_of(unit: Unit, words: Sequence[str]) -> str:
    """Run a command as the unit's user; return why it failed, or nothing."""
    import subprocess

    found = pwd.getpwnam(str(unit.user))
    environ = {"PATH": os.defpath} | ({"PYTHONPATH": unit.python_path} if unit.python_path else {})
    try:
        done = subprocess.run(
            words, user=found.pw_uid, group=found.pw_gid, extra_groups=[], env=environ, cwd="/", check=False,
            capture_output=True, text=True, timeout=STARTS_SECONDS, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return ""  # it does start; the machine is busy
    except OSError as error:
        return error.strerror or str(error)
    return "" if done.returncode == 0 else (done.stderr.strip().rpartition("\n")[2] or f"exit {done.returncode}")


def written_folders(config: Config) -> Iterator[Path]:
    """Return the folders that the configuration makes the service write to, besides its home."""
    from swim_server.config import DropSourceConfig, FileSourceConfig

    for source in config.sources:
        if isinstance(source, FileSourceConfig):
            yield Path(source.path).parent
        elif isinstance(source, DropSourceConfig):
            yield Path(source.path)
    if config.logging.file is not None:
        yield Path(config.logging.file).parent
    urls = [config.database.url, *(part.url for adl in config.adl.values() for part in (adl.flights, adl.tmis))]
    for url in urls:
        if url is not None and url.startswith("sqlite") and "/" in (path := url.partition(":///")[2].partition("?")[0]):
            yield Path(path).parent
