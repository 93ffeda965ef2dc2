"""Which packages this one requires: from its metadata, or from ``pyproject.toml`` in a checkout."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

DISTRIBUTION = "swimctl"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def requirements() -> tuple[str, ...]:
    """Return the requirements as written, such as ``msgspec>=0.19``; those of extras are not included."""
    pyproject = _pyproject()
    if pyproject is not None:
        found: list[str] = tomllib.loads(pyproject.read_text("utf-8"))["project"]["dependencies"]
        return tuple(found)
    try:
        declared = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return ()
    return tuple(each for each in declared if "extra ==" not in each)


def installed_versions() -> dict[str, str]:
    """Return the version of each required package that is installed, by its name."""
    found = {}
    for requirement in requirements():
        match = _NAME.match(requirement)
        assert match is not None, f"a requirement begins with a name: {requirement}"
        try:
            found[match[0].lower()] = metadata.version(match[0])
        except metadata.PackageNotFoundError:
            continue
    return found


def checkout_root() -> Path | None:
    """Return the folder of the checkout that this code runs from; None if it is installed."""
    pyproject = _pyproject()
    return pyproject.parent if pyproject is not None else None


def _pyproject() -> Path | None:
    spec = find_spec(DISTRIBUTION)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]).parent / "pyproject.toml"
    try:
        is_ours = tomllib.loads(path.read_text("utf-8"))["project"]["name"] == DISTRIBUTION
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError):
        return None
    return path if is_ours else None
