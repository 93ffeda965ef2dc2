"""The installed package: its files, Python, dependencies, the ODBC driver."""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, Check, decide, fail, inspect, ok, skip, warn
from swimctl.doctor.probes.installation import (
    FilesSeen,
    OdbcSeen,
    PythonSeen,
    RequirementsSeen,
    look_at_files,
    look_at_odbc,
    look_at_python,
    look_at_requirements,
)
from swimctl.doctor.probes.packages.installed_packages import look_at_bytecode, look_at_packages
from swimctl.text import plural

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

OLDEST_PYTHON = (3, 11)
NAMED_FILES = 20
DEEP_SECONDS = 60.0
_RECORDED = "the files that the wheel's RECORD names"
_REQUIRED = "every required package, within its bounds"
_DRIVER = "an ODBC driver manager and a driver for SQL Server"
_DEPLOYS = "it installs into the environment of this command: as its owner, and from where you deploy"


async def files_are_recorded(context: DoctorContext) -> Answer:
    """Check that every installed file has the content listed in the wheel's RECORD."""
    roots = (await context.disk()).roots
    seen = await context.fact(
        "install.files", lambda: asyncio.to_thread(look_at_files, roots), "the wheel's RECORD", shape=FilesSeen | None
    )
    return judge_files(seen, await _pip(context))


def judge_files(seen: FilesSeen | None, pip: str) -> Answer:
    """Evaluate the files of a wheel."""
    if seen is None:
        return skip(_RECORDED, "not installed from a wheel: this is a checkout or a copy")
    differing = seen.differing
    if not differing:
        return ok(_RECORDED, f"{plural(seen.count, 'file')} as recorded")
    names = ", ".join(each.partition(":")[0] for each in differing[:3])
    observed = f"{plural(len(differing), 'file')} otherwise: {names}"
    command = f"{pip} --force-reinstall --no-deps {shlex.quote(seen.origin)}"
    again = decide(command, f"the changes in these files are lost; {_DEPLOYS}")
    return fail(_RECORDED, observed, *differing[:NAMED_FILES], advice=[inspect("swimctl version"), again])


async def _python(context: DoctorContext) -> PythonSeen:
    return await context.fact(
        "install.python", lambda: asyncio.to_thread(look_at_python), "this interpreter", shape=PythonSeen
    )


async def _pip(context: DoctorContext) -> str:
    """Return the command that installs packages for this interpreter."""
    return f"{shlex.quote((await _python(context)).executable)} -m pip install"


async def python_is_new_enough(context: DoctorContext) -> Answer:
    """Check that the interpreter's version is supported."""
    expected = f"Python {'.'.join(map(str, OLDEST_PYTHON))} or newer"
    seen = await _python(context)
    if seen.version < OLDEST_PYTHON:
        newer = decide("apt-get install -y python3", "as root; then create the environment again with it")
        return fail(expected, seen.text, advice=[inspect("ls /usr/bin/python3*"), newer])
    return ok(expected, seen.text)


async def dependencies_fit(context: DoctorContext) -> Answer:
    """Check that every required package is installed in a supported version."""
    return judge_dependencies(await _requirements(context), await _pip(context))


async def _requirements(context: DoctorContext) -> RequirementsSeen:
    return await context.fact(
        "install.requirements",
        lambda: asyncio.to_thread(look_at_requirements),
        "metadata of the installed packages",
        shape=RequirementsSeen,
    )


def judge_dependencies(seen: RequirementsSeen, pip: str) -> Answer:
    """Compare the installed packages with the requirements."""
    if not seen.packages:
        return skip(_REQUIRED, "a copy without metadata: what it requires is not known")
    missing = [each for each in seen.packages if each.installed is None]
    outside = [each for each in seen.packages if each.installed is not None and not each.is_within]
    if not missing and not outside:
        return ok(_REQUIRED, plural(len(seen.packages), "package"))
    lines = [f"{each.name}: not installed, needs {each.bounds or 'any version'}" for each in missing]
    lines += [f"{each.name}: {each.installed}, needs {each.bounds}" for each in outside]
    cut = f"; pip was interrupted and left {seen.cut_off[0]}" if missing and seen.cut_off else ""
    words = " ".join(shlex.quote(f"{each.name}{each.bounds}") for each in [*missing, *outside])
    answer = fail if missing else warn
    again = decide(f"{pip} {words}", _DEPLOYS)
    return answer(_REQUIRED, f"{'; '.join(lines[:3])}{cut}", *lines, *seen.cut_off[:3], advice=[again])


async def odbc_is_there(context: DoctorContext) -> Answer:
    """Check that the driver manager and a driver are installed if keys are in SQL Server."""
    database = (await context.loaded()).config.database
    if database.odbc is None and not (database.url or "").startswith("mssql"):
        return skip(_DRIVER, "keys don't live in SQL Server")
    return judge_odbc(
        await context.fact("install.odbc", lambda: asyncio.to_thread(look_at_odbc), "pyodbc", shape=OdbcSeen)
    )


def judge_odbc(seen: OdbcSeen) -> Answer:
    """Evaluate the driver manager's drivers."""
    from swim_server.sql.sqlserver import DRIVER_PREFERENCE, NO_DRIVER, NO_DRIVER_MANAGER

    if seen.version is None:
        command = decide(_before_comma(NO_DRIVER_MANAGER.remedy), "as root")
        return fail(_DRIVER, f"{NO_DRIVER_MANAGER.problem}: {seen.trouble}", advice=[command])
    fitting = [name for name in DRIVER_PREFERENCE if name in seen.drivers]
    if not fitting:
        observed = f"pyodbc {seen.version}, drivers: {', '.join(seen.drivers) or 'none'}"
        look, command = inspect("odbcinst -q -d"), decide(_before_comma(NO_DRIVER.remedy), "as root")
        return fail(_DRIVER, observed, advice=[look, command])
    return ok(_DRIVER, f"pyodbc {seen.version}, {fitting[0]}", *seen.drivers)


def _before_comma(remedy: str | None) -> str:
    return (remedy or "").partition(",")[0]


_AS_INSTALLED = "the Python files of required packages are those of their RECORD"
_BYTECODE = "Python's bytecode is that of its source"


async def packages_are_recorded(context: DoctorContext) -> Answer:
    """Check that no file of a required package was changed."""
    names = [each.name for each in (await _requirements(context)).packages]
    seen = await context.fact(
        "install.packages", lambda: asyncio.to_thread(look_at_packages, names), "each package's RECORD",
        shape=dict[str, list[str]],
    )  # fmt: skip
    lines = [line for wrong in seen.values() for line in wrong]
    if not lines:
        return ok(_AS_INSTALLED, plural(len(names), "package"))
    again = decide(f"{await _pip(context)} --force-reinstall --no-deps {' '.join(map(shlex.quote, seen))}", _DEPLOYS)
    observed = f"{plural(len(lines), 'file')} of {', '.join(list(seen)[:3])} otherwise: {lines[0]}"
    return fail(_AS_INSTALLED, observed, *lines[:NAMED_FILES], advice=[again])


async def bytecode_is_its_sources(context: DoctorContext) -> Answer:
    """Check that the bytecode Python would run matches the source files."""
    roots = (await context.disk()).roots
    seen = await context.fact(
        "install.bytecode", lambda: asyncio.to_thread(look_at_bytecode, roots), "__pycache__", shape=list[str]
    )
    if not seen:
        return ok(_BYTECODE, "all of it that is there")
    python = shlex.quote((await _python(context)).executable)
    folders = " ".join(shlex.quote(folder) for folder in roots.values())
    anew = decide(f"{python} -m compileall -q -f {folders}", "it rewrites the bytecode; then restart the daemon")
    observed = f"{plural(len(seen), 'file')} would run as something else: {seen[0]}"
    return fail(_BYTECODE, observed, *seen[:NAMED_FILES], advice=[anew])


CHECKS: tuple[Check, ...] = (
    Check(id="install.files", summary="The installed files are those of the wheel", ask=files_are_recorded),
    Check(id="install.python", summary="Python is new enough", ask=python_is_new_enough),
    Check(id="install.dependencies", summary="Required packages are within their bounds", ask=dependencies_fit),
    Check(
        id="install.odbc",
        summary="SQL Server has its ODBC driver",
        ask=odbc_is_there,
        needs=("config.valid",),
    ),
    Check(
        id="install.packages",
        summary="Required packages are as they were installed",
        ask=packages_are_recorded,
        is_deep=True,
        timeout_seconds=DEEP_SECONDS,
    ),
    Check(
        id="install.bytecode",
        summary="Python's bytecode is that of its source",
        ask=bytecode_is_its_sources,
        is_deep=True,
        timeout_seconds=DEEP_SECONDS,
    ),
)
