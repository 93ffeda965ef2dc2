"""The package as it was installed: files, Python, dependencies, the ODBC driver."""

from __future__ import annotations

import asyncio
import base64
import csv
import hashlib
import json
import platform
import shlex
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, Check, fail, ok, skip, warn
from swimctl.text import plural

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

OLDEST_PYTHON = (3, 11)
NAMED_FILES = 20
_PIP = f"{shlex.quote(sys.executable)} -m pip install"


async def files_are_recorded(context: DoctorContext) -> Answer:
    """Every file of the installed package has the content that the wheel's RECORD names."""
    disk = await context.disk()
    return await asyncio.to_thread(judge_files, disk.roots)


def judge_files(roots: dict[str, str]) -> Answer:
    """Hold the files against RECORD. ``roots``: where the packages that run lie. Blocks on some 300 files."""
    from swim_server.daemon.fingerprint import PACKAGES
    from swim_server.daemon.requirements import DISTRIBUTION

    expected = "the files that the wheel's RECORD names"
    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return skip(expected, "not installed from a wheel: this is a checkout or a copy")
    ours = {*PACKAGES, *roots}  # a package that is missing as a whole is not where anything runs from
    listed = [each for each in _recorded(distribution) if each.parts and each.parts[0] in ours]
    files = [each for each in listed if each.suffix != ".pyc"]
    site = {Path(folder).parent.resolve() for folder in roots.values()}
    if not files or Path(str(distribution.locate_file(""))).resolve() not in site:
        return skip(expected, "not installed from a wheel: this is a checkout or a copy")
    differing = list(_differing(files))
    known = {str(each) for each in files}
    differing += [f"{name}: not in RECORD" for name in _present(roots) if name not in known]
    if not differing:
        return ok(expected, f"{plural(len(files), 'file')} as recorded")
    observed = (
        f"{plural(len(differing), 'file')} otherwise: {', '.join(each.partition(':')[0] for each in differing[:3])}"
    )
    fix = f"{_PIP} --force-reinstall --no-deps {shlex.quote(_origin(distribution))}"
    return fail(expected, observed, *differing[:NAMED_FILES], fix=fix)


def _recorded(distribution: metadata.Distribution) -> Iterator[metadata.PackagePath]:
    """Yield what RECORD lists. ``Distribution.files`` leaves out what is missing, from Python 3.12 on."""
    for name, digest, *_ in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        path = metadata.PackagePath(name)
        path.hash = metadata.FileHash(digest) if digest else None
        path.dist = distribution
        yield path


def _differing(files: Iterable[metadata.PackagePath]) -> Iterable[str]:
    for each in files:
        path = Path(str(each.locate()))
        if each.hash is None:
            continue
        try:
            digest = hashlib.new(each.hash.mode, path.read_bytes()).digest()
        except OSError as error:
            yield f"{each}: {'missing' if isinstance(error, FileNotFoundError) else error.strerror}"
            continue
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != each.hash.value:
            yield f"{each}: changed"


def _present(roots: dict[str, str]) -> Iterable[str]:
    for package, folder in roots.items():
        for path in sorted(Path(folder).rglob("*.py")):
            yield f"{package}/{path.relative_to(folder).as_posix()}"


def _origin(distribution: metadata.Distribution) -> str:
    """Where it was installed from, so that it can be again."""
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}").get("url")
    except (OSError, ValueError, AttributeError):
        origin = None
    return str(origin) if origin else f"{distribution.name}=={distribution.version}"


async def python_is_new_enough(context: DoctorContext) -> Answer:
    """Check that the interpreter is one that this code is made for."""
    expected = f"Python {'.'.join(map(str, OLDEST_PYTHON))} or newer"
    observed = f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return fail(expected, observed, fix="apt-get install -y python3")
    return ok(expected, observed)


async def dependencies_fit(context: DoctorContext) -> Answer:
    """Every package that is needed is installed, in a version that this code is made for."""
    return await asyncio.to_thread(judge_dependencies)


def judge_dependencies() -> Answer:
    """Hold the installed packages against the requirements."""
    from packaging.requirements import Requirement
    from swim_server.daemon.requirements import requirements

    wanted = [each for text in requirements() if (each := Requirement(text)).marker is None or each.marker.evaluate()]
    expected = "every required package, within its bounds"
    if not wanted:
        return skip(expected, "a copy without metadata: what it requires is not known")
    missing, outside = [], []
    for each in wanted:
        try:
            version = metadata.version(each.name)
        except metadata.PackageNotFoundError:
            missing.append(each)
            continue
        if not each.specifier.contains(version, prereleases=True):
            outside.append((each, version))
    if not missing and not outside:
        return ok(expected, plural(len(wanted), "package"))
    evidence = [f"{each.name}: not installed, needs {each.specifier}" for each in missing]
    evidence += [f"{each.name}: {version}, needs {each.specifier}" for each, version in outside]
    words = " ".join(shlex.quote(f"{each.name}{each.specifier}") for each in [*missing, *(one for one, _ in outside)])
    answer = fail if missing else warn
    return answer(expected, "; ".join(evidence[:3]), *evidence, fix=f"{_PIP} {words}")


async def odbc_is_there(context: DoctorContext) -> Answer:
    """Where keys live in SQL Server: driver manager and driver are installed."""
    expected = "an ODBC driver manager and a driver for SQL Server"
    database = (await context.loaded()).config.database
    if database.odbc is None and not (database.url or "").startswith("mssql"):
        return skip(expected, "keys don't live in SQL Server")
    return await asyncio.to_thread(judge_odbc, expected)


def judge_odbc(expected: str) -> Answer:
    """Ask the driver manager for its drivers."""
    from swim_server.sql.sqlserver import DRIVER_PREFERENCE, NO_DRIVER, NO_DRIVER_MANAGER

    try:
        import pyodbc
    except ImportError as error:
        return fail(expected, f"{NO_DRIVER_MANAGER.problem}: {error}", fix=_before_comma(NO_DRIVER_MANAGER.remedy))
    drivers = list(pyodbc.drivers())
    fitting = [name for name in DRIVER_PREFERENCE if name in drivers]
    if not fitting:
        observed = f"pyodbc {pyodbc.version}, drivers: {', '.join(drivers) or 'none'}"
        return fail(expected, observed, fix=_before_comma(NO_DRIVER.remedy))
    return ok(expected, f"pyodbc {pyodbc.version}, {fitting[0]}", *drivers)


def _before_comma(remedy: str | None) -> str:
    return (remedy or "").partition(",")[0]


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
)
