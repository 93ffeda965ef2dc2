"""The installed package: files compared with RECORD, requirements, Python, drivers. Facts for checks."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

LEFT_BY_PIP = "~"
"""pip renames a package's folder like this before replacing it, and back or away at the end: a leftover means that
it was interrupted."""


class RecordedFile(NamedTuple):
    """A file as a package's RECORD names it."""

    name: str
    """The path as recorded: ``swimctl/app.py``."""
    path: Path
    hash: tuple[str, str] | None
    """The algorithm, and the digest in URL-safe base64 without padding; None: none was recorded."""


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
    name, version = sys.implementation.name, sys.version.split()[0]
    text = f"{'CPython' if name == 'cpython' else name} {version}, {sys.executable}"
    return PythonSeen(version=(sys.version_info[0], sys.version_info[1]), text=text, executable=sys.executable)


def look_at_files(roots: dict[str, str]) -> FilesSeen | None:
    """Compare the files with RECORD; None: not installed from a wheel. Blocks while reading some 300 files.

    ``roots``: the folders of the packages in use.
    """
    from swim_server.daemon.fingerprint import PACKAGES
    from swim_server.daemon.requirements import DISTRIBUTION, dist_info_folders, versions_of

    folder = dist_info_folders([DISTRIBUTION]).get(DISTRIBUTION)
    if folder is None:
        return None
    ours = {*PACKAGES, *roots}  # nothing runs from a package that is missing entirely
    files = [each for each in recorded(folder) if each.name.partition("/")[0] in ours and "/" in each.name]
    files = [each for each in files if not each.name.endswith(".pyc")]
    site = {Path(root).parent.resolve() for root in roots.values()}
    if not files or folder.parent.resolve() not in site:
        return None
    wrong = list(differing(files))
    known = {each.name for each in files}
    wrong += [f"{name}: not in RECORD" for name in _present(roots) if name not in known]
    version = versions_of([DISTRIBUTION]).get(DISTRIBUTION)
    return FilesSeen(count=len(files), differing=tuple(wrong), origin=_origin(folder, f"{DISTRIBUTION}=={version}"))


def look_at_requirements() -> RequirementsSeen:
    """Compare the installed packages with the requirements."""
    from swim_server.daemon.requirements import requirements, versions_of

    from swimctl.doctor.probes.packages.bounds import bounds_of

    wanted = [each for text in requirements() if (each := bounds_of(text)) is not None]
    versions = versions_of(each.name for each in wanted)
    found = []
    for each in wanted:
        version = versions.get(each.name)
        is_within = version is not None and each.contains(version)
        found.append(Requirement(name=each.name, bounds=each.text, installed=version, is_within=is_within))
    return RequirementsSeen(packages=tuple(found), cut_off=tuple(_cut_off()))


def look_at_odbc() -> OdbcSeen:
    """Ask the driver manager for its drivers."""
    try:
        import pyodbc
    except ImportError as error:
        return OdbcSeen(trouble=str(error))
    return OdbcSeen(version=pyodbc.version, drivers=tuple(pyodbc.drivers()))


def _cut_off() -> Iterable[str]:
    """Find what an interrupted pip left behind."""
    for folder in dict.fromkeys(sys.path):
        path = Path(folder)
        if path.name in ("site-packages", "dist-packages") and path.is_dir():
            yield from (str(each) for each in sorted(path.glob(f"{LEFT_BY_PIP}*")))


def recorded(folder: Path) -> Iterator[RecordedFile]:
    """Yield the entries of the RECORD in a ``.dist-info`` folder, missing files included."""
    try:
        text = (folder / "RECORD").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return
    for name, digest in _record_rows(text):
        algorithm, separator, value = digest.partition("=")
        yield RecordedFile(name, folder.parent / name, (algorithm, value) if separator else None)


def _record_rows(text: str) -> Iterator[tuple[str, str]]:
    if '"' in text:  # names with commas
        import csv

        yield from ((row[0], row[1]) for row in csv.reader(text.splitlines()) if len(row) > 1)
        return
    for line in text.splitlines():
        name, _, rest = line.partition(",")
        if rest:
            yield name, rest.partition(",")[0]


def differing(files: Iterable[RecordedFile]) -> Iterable[str]:
    """Describe how each file that differs from RECORD differs."""
    for each in files:
        if each.hash is None:
            continue
        algorithm, value = each.hash
        try:
            digest = hashlib.new(algorithm, each.path.read_bytes()).digest()
        except OSError as error:
            yield f"{each.name}: {'missing' if isinstance(error, FileNotFoundError) else error.strerror}"
            continue
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != value:
            yield f"{each.name}: changed"


def _present(roots: dict[str, str]) -> Iterable[str]:
    for package, folder in roots.items():
        for path in sorted(Path(folder).rglob("*.py")):
            yield f"{package}/{path.relative_to(folder).as_posix()}"


def _origin(folder: Path, version: str) -> str:
    """Return where the package was installed from, to install it again; ``version`` if that is unknown."""
    try:
        origin = json.loads((folder / "direct_url.json").read_text("utf-8")).get("url")
    except (OSError, ValueError, AttributeError):
        origin = None
    return str(origin) if origin else version
