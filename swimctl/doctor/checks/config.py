"""The configuration: valid, private, and the one that the process runs with."""

from __future__ import annotations

import asyncio
import re
import shlex
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swimctl.doctor.check import Answer, Check, Repair, decide, fail, inspect, ok, warn
from swimctl.doctor.probes.daemon_facts import config_changes, expecting
from swimctl.text import cell, plural

if TYPE_CHECKING:
    from swim_server.config import Config, LoadedConfig, Problem
    from swim_server.daemon.control.documents.process import ChangedSetting

    from swimctl.doctor.context import DoctorContext

_NEAREST = re.compile(r"did you mean ([\w.-]+)\?")
_FILE_AND_LINE = re.compile(r"(.+), line (\d+)")
_IN_URL = re.compile(r"://[^/@:]*:[^@]+@|(?:pwd|password|access_?token)=", re.IGNORECASE)


async def is_valid(context: DoctorContext) -> Answer:
    """Check that every setting exists and has a valid value."""
    from swim_server.config import ConfigError

    expected = "settings that exist, with values that are possible"
    try:
        loaded = await context.loaded()
    except ConfigError as error:
        first, *_ = error.problems
        observed = f"{plural(len(error.problems), 'problem')}: {first}"
        return fail(expected, observed, *map(str, error.problems), fix=fix_for(first))
    files = ", ".join(map(str, loaded.files))
    return ok(expected, files or "the built-in defaults, as there is no file")


def fix_for(problem: Problem) -> str:
    """Suggest a command for one problem: substitute the nearest valid name, or open the line. Pure."""
    origin, near = problem.origin, _NEAREST.search(problem.rule)
    if origin is not None and origin.kind == "environment":
        return f"unset {origin.name}"
    match = _FILE_AND_LINE.fullmatch(problem.setting)  # the whole file is not valid TOML
    name, line = (match[1], int(match[2])) if match else ("", None)
    if origin is not None and origin.kind == "file":
        name, line = origin.name, origin.line
    if not name:
        return f"export {near[1]}" if near and "SWIM_" in near[1] else "swimctl config check"
    file = shlex.quote(name)
    wrong = re.sub(r"\[\d+\]", "", problem.setting).rpartition(".")[2]
    if near and line is not None and problem.rule.startswith("there is no such") and re.fullmatch(r"[\w-]+", wrong):
        return f"sed -i '{line}s/{wrong}/{near[1]}/' {file}"
    return f"${{EDITOR:-vi}} {f'+{line} ' if line else ''}{file}"


async def is_private(context: DoctorContext) -> Answer:
    """Check that files with secrets are readable only by their owner and group."""
    expected = "nobody else can read or write files with secrets"
    loaded = await context.loaded()
    places = await _secret_files(context, loaded)
    seen = {path: await asyncio.to_thread(context.files.look, path) for path in places}
    open_ones = [(path, found.mode) for path, found in seen.items() if found.is_there and is_open(found.mode)]
    if not open_ones:
        return ok(expected, f"{plural(len(places), 'file')} looked at")
    evidence = [f"{path}: {mode:04o}" for path, mode in open_ones]
    paths = " ".join(shlex.quote(str(path)) for path, _ in open_ones)
    observed = f"{plural(len(open_ones), 'file')} open to others: {open_ones[0][0]}"
    return fail(expected, observed, *evidence, fix=f"chmod u=rw,g-w,o= {paths}")


async def _secret_files(context: DoctorContext, loaded: LoadedConfig) -> list[Path]:
    database = context.home.database
    where = "the files that the configuration names"
    return await context.fact(
        "config.secret-files", lambda: asyncio.to_thread(secret_files, loaded, database), where, shape=list[Path]
    )


def is_open(mode: int) -> bool:
    """Return True if others than the owner and its group may read, or the group may write."""
    return bool(mode & (stat.S_IRWXO | stat.S_IWGRP))


async def close_to_others(context: DoctorContext) -> Sequence[str]:
    """Remove others' permissions from files with secrets."""
    loaded = await context.loaded()
    places = await asyncio.to_thread(secret_files, loaded, context.home.database)
    changed = []
    for path, mode in await asyncio.to_thread(_open_to_others, places):
        closed = mode & ~0o027 & ~0o111
        await asyncio.to_thread(path.chmod, closed)
        changed.append(f"{path}: {mode:04o} → {closed:04o}")
    return changed


def secret_files(loaded: LoadedConfig, default_database: Path) -> list[Path]:
    """List the files with secrets: configuration files that contain one, password files, the key database."""
    found = [path for path in loaded.files if _has_secret(path)]
    found += [Path(name) for name in password_files(loaded.config)]
    url = loaded.config.database.url or ""
    if url.startswith("sqlite"):
        database = Path(url.partition(":///")[2].partition("?")[0]) if ":///" in url else default_database
        found += [database, database.with_name(f"{database.name}-wal")]
    return [path for path in dict.fromkeys(found) if path.is_file()]


def password_files(config: Config) -> Iterable[str]:
    """List the password files that the configuration names."""
    databases = [config.database]
    for adl in config.adl.values():
        databases += [adl.flights, adl.tmis]
    return [each.password_file for each in databases if each.password_file]


def written_passwords(path: Path) -> list[str]:
    """List the passwords written in the configuration files themselves."""
    return [value for key, value in _settings_in(path) if key == "password" and isinstance(value, str)]


def _has_secret(path: Path) -> bool:
    return any(_is_secret(key, value) for key, value in _settings_in(path))


def _settings_in(path: Path) -> list[tuple[str, Any]]:
    import tomllib

    try:
        return list(_leaves(tomllib.loads(path.read_text("utf-8-sig"))))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return []  # config.valid reports what is wrong with it


def _is_secret(key: str, value: Any) -> bool:
    return isinstance(value, str) and bool(value) and (key == "password" or _IN_URL.search(value) is not None)


def _leaves(values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value)
        else:
            yield key, value


def _open_to_others(paths: Iterable[Path]) -> list[tuple[Path, int]]:
    found = []
    for path in paths:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        if is_open(mode):
            found.append((path, mode))
    return found


@expecting("a reload and a restart would change nothing")
async def is_running(context: DoctorContext) -> Answer:
    """Check that the process runs with the current files: neither reload nor restart would change anything."""
    expected = "a reload and a restart would change nothing"
    changes = await config_changes(context)
    if changes.problem:
        return fail(expected, f"the process can't read its configuration again: {changes.problem}", fix=CHECK)
    reload, restart = changes.reload, changes.restart
    if not reload and not restart:
        return ok(expected, "the process runs with what is in the files")
    verb = "restart" if restart else "reload"
    evidence = [_change(name, change, "reload") for name, change in sorted(reload.items())]
    evidence += [_change(name, change, "restart") for name, change in sorted(restart.items())]
    observed = f"{plural(len(evidence), 'setting')} not in force: {', '.join([*reload, *restart][:3])}"
    lost = list(
        dict.fromkeys(loss for name, change in (reload | restart).items() if (loss := what_is_lost(name, change)))
    )
    if lost:
        look = inspect("swimctl config show --origin")
        return fail(expected, observed, *evidence, advice=[look, decide(f"swimctl {verb}", "; ".join(lost))])
    return fail(expected, observed, *evidence, fix=f"swimctl {verb}")


_LOSSES = {
    "history.": "events that history may keep no longer are removed for good",
    "database.": "keys are looked up in another database: clients whose key it lacks are closed",
    "auth.": "who may connect is decided in another way",
    "server.host": "the address changes: clients and the proxy must be told",
    "server.port": "the address changes: clients and the proxy must be told",
    "server.tls": "clients are shown another certificate",
    "sources": "sources start again, and removed ones publish no more events",
    "channels": "types that are gone are rejected",
    "state": "entries of kinds that are gone are forgotten",
}
"""What applying a setting may cost, by the beginning of its name."""


def what_is_lost(name: str, change: ChangedSetting) -> str | None:
    """Say what somebody may miss once a setting takes effect; None: nothing. Pure."""
    if name.startswith("tiers."):
        running, configured = change.running, change.configured
        is_raised = isinstance(running, int) and isinstance(configured, int) and configured >= running
        return None if is_raised else "clients beyond a new or lower limit are refused when they reconnect"
    return next((loss for beginning, loss in _LOSSES.items() if name.startswith(beginning)), None)


CHECK = "swimctl config check"


def _change(name: str, change: ChangedSetting, verb: str) -> str:
    running, configured = cell(change.running), cell(change.configured)
    told = "changed" if running == configured else f"{running} in the process, {configured} configured"
    return f"{name}: {told}; a {verb} changes it"


async def is_same(context: DoctorContext) -> Answer:
    """Check that this command and the process read the same files."""
    from swim_server.config.files import LOCAL_NAME

    status, loaded = await context.status(), await context.loaded()
    theirs, ours = status.config_files, [str(path) for path in loaded.files]
    expected = f"the process's: {', '.join(theirs) or 'the built-in defaults'}"
    if theirs == ours:
        return ok(expected, "the same")
    if theirs and ours == [theirs[0], str(Path(theirs[0]).with_name(LOCAL_NAME))]:
        return ok(expected, f"the same, and {ours[1]}, which is new: a reload reads it; config.running tells of it")
    differing = _other_values(await context.ask("config"), loaded)
    observed = f"this command reads {', '.join(ours) or 'the built-in defaults'}"
    if not differing:
        return ok(expected, f"{observed}, which says the same")
    fix = f"export SWIM_CONFIG={shlex.quote(theirs[0])}" if theirs else "unset SWIM_CONFIG; cd /"
    return warn(expected, f"{observed}: {plural(len(differing), 'setting')} differ", *differing, fix=fix)


def _other_values(running: Mapping[str, Any], loaded: LoadedConfig) -> list[str]:
    """List the settings that differ, except those set by options of ``serve``."""
    import msgspec
    from swim_server.config.differences import differences
    from swim_server.config.secrets import without_secrets

    ours = without_secrets(msgspec.to_builtins(loaded.config))
    options = ("server.host", "server.port", "sources", "logging.level")
    return sorted(name for name in differences(dict(running), ours) if not name.startswith(options))


CHECKS: tuple[Check, ...] = (
    Check(id="config.valid", summary="The configuration is valid, without unknown settings", ask=is_valid),
    Check(
        id="config.permissions",
        summary="Files with secrets are closed to others",
        ask=is_private,
        needs=("config.valid",),
        repair=Repair(apply=close_to_others),
    ),
    Check(
        id="config.running",
        summary="The process runs with the configuration that is in the files",
        ask=is_running,
        needs=("config.valid", "process.answers"),
    ),
    Check(
        id="config.same-files",
        summary="This command reads the configuration that the process reads",
        ask=is_same,
        needs=("config.valid", "process.answers"),
    ),
)
