"""Which packages this one requires: from its metadata, or from ``pyproject.toml`` in a checkout."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

DISTRIBUTION = "swimctl"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SEPARATORS = re.compile(r"[-_.]+")
_DIST_INFO = ".dist-info"


def requirements() -> tuple[str, ...]:
    """Return the requirements as written, such as ``msgspec>=0.19``; those of extras are not included."""
    declared = _declared()
    if declared is not None:
        return declared[1]
    from importlib import metadata  # slow to import, and no checkout needs it

    try:
        found = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return ()
    return tuple(each for each in found if "extra ==" not in each)


def installed_versions() -> dict[str, str]:
    """Return the version of each required package that is installed, by its name."""
    names = []
    for requirement in requirements():
        match = _NAME.match(requirement)
        assert match is not None, f"a requirement begins with a name: {requirement}"
        names.append(match[0])
    return {name.lower(): version for name, version in versions_of(names).items()}


def versions_of(names: Iterable[str]) -> dict[str, str]:
    """Return the version of each of these packages that is installed, as ``importlib.metadata`` reports it."""
    wanted = tuple(names)
    found: dict[str, str] = {}
    folders = dist_info_folders(wanted)
    for name in wanted:
        version = _version_in(folders[name]) if name in folders else None
        if version is None:
            version = _version_by_metadata(name)
        if version is not None:
            found[name] = version
    return found


def dist_info_folders(names: Iterable[str]) -> dict[str, Path]:
    """Return the ``.dist-info`` folder of each package that has exactly one in the first place that has any.

    ``importlib.metadata`` would parse all of each package's metadata, with its readme, for the one line that counts.
    """
    missing = {_normalised(name): name for name in names}
    found: dict[str, Path] = {}
    for place in dict.fromkeys(sys.path):
        try:
            entries = os.listdir(place or ".")  # noqa: PTH208  # hundreds of them: no Path each
        except OSError:
            continue  # no folder
        here: dict[str, list[str]] = {}
        for entry in entries:
            if entry.endswith((_DIST_INFO, ".egg-info")):
                here.setdefault(_normalised(entry[: entry.rindex(".")].partition("-")[0]), []).append(entry)
        for key in missing.keys() & here.keys():
            name, folders = missing.pop(key), here[key]
            if len(folders) == 1 and folders[0].endswith(_DIST_INFO):
                found[name] = Path(place or ".") / folders[0]
    return found


def _version_in(folder: Path) -> str | None:
    """Return the version in a package's metadata (core metadata: headers, a blank line, the description)."""
    try:
        with (folder / "METADATA").open("rb") as lines:
            for line in lines:
                name, separator, value = line.partition(b":")
                if not separator:
                    break
                if name.lower() == b"version":
                    return value.decode("utf-8", "surrogateescape").strip() or None
    except OSError:
        pass  # whoever knows more shapes of metadata decides
    return None


def _version_by_metadata(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, KeyError):  # not there, or without a version
        return None


def _normalised(name: str) -> str:
    """Return the form in which two spellings of a package's name are equal (PEP 503)."""
    return _SEPARATORS.sub("-", name).lower()


def checkout_root() -> Path | None:
    """Return the folder of the checkout that this code runs from; None if it is installed."""
    declared = _declared()
    return declared[0] if declared is not None else None


def _declared() -> tuple[Path, tuple[str, ...]] | None:
    """Return a checkout's folder and the requirements in its ``pyproject.toml``; None: there is no checkout."""
    spec = find_spec(DISTRIBUTION)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]).parent / "pyproject.toml"
    try:
        found = path.stat()
        declared = _read(path, (found.st_ino, found.st_size, found.st_mtime_ns))
    except OSError:
        return None
    return None if declared is None else (path.parent, declared)


@lru_cache(maxsize=1)
def _read(path: Path, _version: tuple[int, int, int]) -> tuple[str, ...] | None:
    """Return the requirements that a file declares for this package; None: it is another project's. Raises OSError."""
    try:
        project = tomllib.loads(path.read_text("utf-8"))["project"]
        return tuple(project["dependencies"]) if project["name"] == DISTRIBUTION else None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError):
        return None
