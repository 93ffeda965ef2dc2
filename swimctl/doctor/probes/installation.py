"""The installed package: files compared with RECORD, requirements, Python, drivers. Facts for checks."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import platform
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import msgspec

LEFT_BY_PIP = "~"
"""pip renames a package's folder like this before replacing it, and back or away at the end: a leftover means that
it was interrupted."""


class FilesSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The installed files, compared with the wheel's RECORD."""

    count: int
    differing: tuple[str, ...]
    origin: str
    """What to reinstall: a version, or the address it was installed from."""


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """A required package."""

    name: str
    bounds: str
    installed: str | None
    is_within: bool


class RequirementsSeen(msgspec.Struct, frozen=True, kw_only=True):
    """All required packages, and what an interrupted pip left behind."""

    packages: tuple[Requirement, ...]
    cut_off: tuple[str, ...] = ()


class PythonSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The interpreter of this command."""

    version: tuple[int, int]
    text: str
    executable: str


class OdbcSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The driver manager and its drivers."""

    version: str | None = None
    drivers: tuple[str, ...] = ()
    trouble: str | None = None
    """Why there is no driver manager."""


def look_at_python() -> PythonSeen:
    """Look at the interpreter."""
    text = f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    return PythonSeen(version=(sys.version_info[0], sys.version_info[1]), text=text, executable=sys.executable)


def look_at_files(roots: dict[str, str]) -> FilesSeen | None:
    """Compare the files with RECORD; None: not installed from a wheel. Blocks while reading some 300 files.

    ``roots``: the folders of the packages in use.
    """
    from swim_server.daemon.fingerprint import PACKAGES
    from swim_server.daemon.requirements import DISTRIBUTION

    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None
    ours = {*PACKAGES, *roots}  # nothing runs from a package that is missing entirely
    listed = [each for each in recorded(distribution) if each.parts and each.parts[0] in ours]
    files = [each for each in listed if each.suffix != ".pyc"]
    site = {Path(folder).parent.resolve() for folder in roots.values()}
    if not files or Path(str(distribution.locate_file(""))).resolve() not in site:
        return None
    wrong = list(differing(files))
    known = {str(each) for each in files}
    wrong += [f"{name}: not in RECORD" for name in _present(roots) if name not in known]
    return FilesSeen(count=len(files), differing=tuple(wrong), origin=_origin(distribution))


def look_at_requirements() -> RequirementsSeen:
    """Compare the installed packages with the requirements."""
    from packaging.requirements import Requirement as Parsed
    from swim_server.daemon.requirements import requirements

    wanted = [each for text in requirements() if (each := Parsed(text)).marker is None or each.marker.evaluate()]
    found = []
    for each in wanted:
        version = _version(each.name)
        is_within = version is not None and each.specifier.contains(version, prereleases=True)
        found.append(Requirement(name=each.name, bounds=str(each.specifier), installed=version, is_within=is_within))
    return RequirementsSeen(packages=tuple(found), cut_off=tuple(_cut_off()))


def look_at_odbc() -> OdbcSeen:
    """Ask the driver manager for its drivers."""
    try:
        import pyodbc
    except ImportError as error:
        return OdbcSeen(trouble=str(error))
    return OdbcSeen(version=pyodbc.version, drivers=tuple(pyodbc.drivers()))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cut_off() -> Iterable[str]:
    """Find what an interrupted pip left behind."""
    for folder in dict.fromkeys(sys.path):
        path = Path(folder)
        if path.name in ("site-packages", "dist-packages") and path.is_dir():
            yield from (str(each) for each in sorted(path.glob(f"{LEFT_BY_PIP}*")))


def recorded(distribution: metadata.Distribution) -> Iterator[metadata.PackagePath]:
    """Yield RECORD's entries. ``Distribution.files`` omits missing files from Python 3.12 on."""
    for name, digest, *_ in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        path = metadata.PackagePath(name)
        path.hash = metadata.FileHash(digest) if digest else None
        path.dist = distribution
        yield path


def differing(files: Iterable[metadata.PackagePath]) -> Iterable[str]:
    """Describe how each file that differs from RECORD differs."""
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
    """Return where the package was installed from, so that it can be installed again."""
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}").get("url")
    except (OSError, ValueError, AttributeError):
        origin = None
    return str(origin) if origin else f"{distribution.name}=={distribution.version}"
