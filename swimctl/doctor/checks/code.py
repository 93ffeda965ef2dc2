"""The running code is the deployed code."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from swimctl.doctor.check import Advice, Answer, Check, decide, fail, inspect, ok, skip, unknown, warn
from swimctl.doctor.probes.checkout import broken_sources, checkout_root, git_changes
from swimctl.doctor.probes.installation import FilesSeen, look_at_files
from swimctl.doctor.probes.launching import BY_SUPERVISOR
from swimctl.text import plural

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

NAMED_FILES = 20
RESTART = "swimctl restart"


def differing_files(process: Mapping[str, str], disk: Mapping[str, str]) -> list[str]:
    """Describe how each differing file differs. Pure."""
    found = [f"{name}: changed" for name in process.keys() & disk.keys() if process[name] != disk[name]]
    found += [f"{name}: not on disk any more" for name in process.keys() - disk.keys()]
    found += [f"{name}: new on disk" for name in disk.keys() - process.keys()]
    return sorted(found)


async def process_is_disk(context: DoctorContext) -> Answer:
    """Check that the process runs the code on disk it was started from, by its own record of the start."""
    version = await context.version()
    files, roots = version.files, version.roots
    expected = f"fingerprint {version.fingerprint}, that of the process"
    if not roots:
        disk: Mapping[str, str] = (await context.disk()).files
    else:
        seen = {each: await asyncio.to_thread(context.files.look, Path(each)) for each in roots.values()}
        gone = [folder for folder, found in seen.items() if found.kind != "folder"]
        if gone:
            observed = f"{gone[0]}, where it was started from, is gone"
            return fail(expected, observed, *gone, fix=await _restart(context))
        disk = await context.disk_at(roots)
    return await asyncio.to_thread(_compare, files, disk, expected, await _restart(context), "on disk")


async def sources_compile(context: DoctorContext) -> Answer:
    """Check that Python can compile the code on disk; otherwise a start or restart would fail.

    If a process is running, only files changed since its start are compiled: it was started from the others.
    """
    expected = "source files that Python can compile"
    version = await context.answered(context.version)
    if version is None and await context.is_held():
        return skip(expected, "the process that runs does not say what it was started from")
    if version is None or not version.roots:  # this command's own code is all there is
        broken = await broken_sources(context, (await context.disk()).roots)
    else:
        disk = await context.disk_at(version.roots)
        changed = {name for name, digest in disk.items() if version.files.get(name) != digest}
        if not changed:
            return ok(expected, "they are those that the process was started from")
        broken = await broken_sources(context, version.roots, changed)
    if not broken:
        return ok(expected, "all can be")
    lines = [f"{each.name}, line {each.line}: {each.problem}" for each in broken]
    folder, first = await checkout_root(context), broken[0]
    at = f"+{first.line} " if first.line else ""
    look = [inspect(f"grep -nE '^(<<<<<<<|=======|>>>>>>>)' {shlex.quote(str(first.path))}", "a merge's leftovers")]
    look += [inspect(f"git -C {shlex.quote(str(folder))} status")] if folder is not None else []
    look.append(decide(f"${{EDITOR:-vi}} {at}{shlex.quote(str(first.path))}", "the file is edited where it runs"))
    return fail(expected, f"{plural(len(broken), 'file')} can't be: {lines[0]}", *_named(lines), advice=look)


async def _restart(context: DoctorContext) -> str | Advice:
    """Advise how to get the code on disk running; if the process runs the expected commit, the disk is wrong."""
    from swim_server.config import ConfigError
    from swim_server.daemon.launch import WATCHES_PID

    try:
        wanted = context.options.expect_commit or (await context.loaded()).config.expect.commit
    except ConfigError:
        return inspect("swimctl config check", "before a restart: it refuses a configuration that is not valid")
    version, disk = await context.version(), await context.disk()
    running, on_disk = version.commit, disk.commit
    if wanted and running and running.startswith(wanted.lower()) and not str(on_disk).startswith(wanted.lower()):
        folder = await checkout_root(context)
        why = "the process runs the expected commit already: the disk is wrong; git refuses where it would lose changes"
        if folder is None:
            return inspect("swimctl version", why.partition(";")[0])
        return decide(f"git -C {shlex.quote(str(folder))} checkout {shlex.quote(wanted)}", why)
    status = await context.status()
    if status.supervisor in WATCHES_PID:
        return inspect(BY_SUPERVISOR.get(status.supervisor, "swimctl status"), f"restart it by its {status.supervisor}")
    if await _is_deployed(context):
        return RESTART
    return decide(
        RESTART,
        "the code on disk starts to run; it is neither a release nor a clean checkout",
    )


async def _is_deployed(context: DoctorContext) -> bool:
    """Return True if the code on disk is a release: from a wheel, or from a commit without local changes."""
    disk = await context.disk()
    recorded = await context.fact(
        "install.files", lambda: asyncio.to_thread(look_at_files, disk.roots), "the wheel's RECORD",
        shape=FilesSeen | None,
    )  # fmt: skip
    if recorded is not None:
        return not recorded.differing
    folder = await checkout_root(context)
    if disk.commit is None or folder is None:
        return False
    found = await git_changes(context, folder, [*disk.roots.values()])
    return not found.is_absent and found.trouble is None and not found.lines


async def same_copy(context: DoctorContext) -> Answer:
    """Check that the process was started from the same copy of the code as this command."""
    version, disk = await context.version(), await context.disk()
    roots = version.roots
    expected = f"the code that this command runs: {disk.roots.get('swimctl')}"
    if not roots:
        return skip(expected, "the process does not tell where its code lies")
    elsewhere = [folder for name, folder in sorted(roots.items()) if disk.roots.get(name) != folder]
    if not elsewhere:
        return ok(expected, "the same folders")
    differing = differing_files(version.files, disk.files)
    if not differing:
        return warn(expected, "a copy elsewhere, with the same content", *elsewhere, fix=await _restart(context))
    observed = f"another copy, fingerprint {version.fingerprint}, {plural(len(differing), 'file')} other than here"
    return fail(expected, observed, *elsewhere, *_named(differing), fix=await _restart(context))


async def version_is_expected(context: DoctorContext) -> Answer:
    """Check that process and disk have the version expected by ``--expect-version`` or the configuration."""
    from swim_server import __version__

    wanted = context.options.expect_version or (await context.loaded()).config.expect.version
    if wanted is None:
        return skip("the expected version", "none is expected: --expect-version, or [expect] version")
    running = (await context.version()).version
    if running == wanted:
        return ok(f"version {wanted}", f"the process runs {running}")
    fix = (
        RESTART if __version__ == wanted else f"swimctl version  # the disk holds {__version__}: deploy {wanted} first"
    )
    return fail(f"version {wanted}", f"the process runs {running}, the disk holds {__version__}", fix=fix)


async def commit_is_expected(context: DoctorContext) -> Answer:
    """Check that the process was started from the commit expected by the configuration."""
    wanted = context.options.expect_commit or (await context.loaded()).config.expect.commit
    if wanted is None:
        return skip("the expected commit", "none is expected: [expect] commit")
    running, disk = (await context.version()).commit, (await context.disk()).commit
    expected = f"commit {wanted}"
    if running is None:
        return unknown(expected, "the process was not started from a checkout: no commit is known")
    if running.startswith(wanted.lower()):
        return ok(expected, f"the process was started from {running}")
    observed = f"the process was started from {running}, the disk has {disk}"
    if str(disk).startswith(wanted.lower()):
        return fail(expected, observed, fix=RESTART)
    folder = await checkout_root(context)
    where = f"git -C {shlex.quote(str(folder))} " if folder is not None else "git "
    chosen = decide(f"{where}checkout {shlex.quote(wanted)} && {RESTART}", "it deploys that commit")
    return fail(expected, observed, advice=[inspect(f"{where}status"), chosen])


async def checkout_is_clean(context: DoctorContext) -> Answer:
    """Check that the files of a checkout match its commit."""
    expected = "the files of the commit that is checked out"
    disk, folder = await context.disk(), await checkout_root(context)
    if disk.commit is None or folder is None:
        return skip(expected, "this is not a checkout")
    found = await git_changes(context, folder, [*disk.roots.values()])
    if found.is_absent:
        return skip(expected, "git is not installed")
    if found.trouble is not None:
        return unknown(expected, found.trouble)
    if not found.lines:
        return ok(expected, f"commit {disk.commit}")
    observed = f"{plural(len(found.lines), 'file')} other than in {disk.commit[:12]}"
    return warn(expected, observed, *_named(list(found.lines)), fix=f"git -C {shlex.quote(str(folder))} status")


async def same_python(context: DoctorContext) -> Answer:
    """Check that the process runs with the Python and packages that are installed now."""
    version, disk = await context.version(), await context.disk()
    running = {"python": version.python, **version.dependencies}
    installed = {"python": disk.python, **disk.dependencies}
    expected = f"Python {disk.python} and {plural(len(disk.dependencies), 'package')} as installed"
    if not version.dependencies:
        return skip(expected, "the process does not tell with which packages it runs")
    differing = sorted(name for name in running.keys() | installed.keys() if running.get(name) != installed.get(name))
    if not differing:
        return ok(expected, "the same")
    evidence = [f"{each}: {running.get(each)} in the process, {installed.get(each)} installed" for each in differing]
    names = ", ".join(differing[:3])
    return fail(
        expected, f"{plural(len(differing), 'difference')}: {names}", *_named(evidence), fix=await _restart(context)
    )


def _compare(
    process: Mapping[str, str], disk: Mapping[str, str], expected: str, fix: str | Advice, where: str
) -> Answer:
    from swim_server.daemon.fingerprint import digest_of

    differing = differing_files(process, disk)
    if not differing:
        return ok(expected, f"{digest_of(disk)} {where}, {plural(len(disk), 'file')}")
    first = ", ".join(line.partition(":")[0] for line in differing[:3]) + (", …" if len(differing) > 3 else "")
    observed = f"{digest_of(disk)} {where}; {plural(len(differing), 'file')} other than in the process: {first}"
    return fail(expected, observed, *_named(differing), fix=fix)


def _named(lines: list[str]) -> list[str]:
    more = len(lines) - NAMED_FILES
    return lines[:NAMED_FILES] + ([f"and {more} more"] if more > 0 else [])


CHECKS: tuple[Check, ...] = (
    Check(
        id="code.process-is-disk",
        summary="The process runs the code that is on disk",
        ask=process_is_disk,
        needs=("process.answers",),
    ),
    Check(
        id="code.same-copy",
        summary="The process was started from this copy of the code",
        ask=same_copy,
        needs=("process.answers",),
    ),
    Check(
        id="code.dependencies",
        summary="The process runs with the Python and packages that are installed",
        ask=same_python,
        needs=("process.answers", "code.same-copy"),
    ),
    Check(
        id="code.version",
        summary="The process has the expected version",
        ask=version_is_expected,
        needs=("config.valid", "process.answers"),
    ),
    Check(
        id="code.commit",
        summary="The process was started from the expected commit",
        ask=commit_is_expected,
        needs=("config.valid", "process.answers"),
    ),
    Check(
        id="code.compiles",
        summary="Python can compile the code on disk",
        ask=sources_compile,
    ),
    Check(
        id="code.checkout",
        summary="The checkout has no changes of its own",
        ask=checkout_is_clean,
    ),
)
