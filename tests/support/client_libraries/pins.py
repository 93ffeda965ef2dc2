"""The versions of the client libraries, read from where they are pinned, so that no version is written twice."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path

PROGRAMS = Path(__file__).parents[2] / "e2e/clients"
"""The small programs, a folder a language, each beside the pins of its libraries."""


@cache
def python_pin(name: str) -> str:
    """Return the pinned version of a PyPI package."""
    return _found(rf"^{re.escape(name)}(?:\[\w+\])?==(\S+)$", PROGRAMS / "python/requirements.txt")


@cache
def npm_pin(name: str) -> str:
    """Return the pinned version of an npm package; for an alias, that of its target."""
    documents = [(PROGRAMS / "node" / path).read_text("utf-8") for path in ("package.json", "runtimes/package.json")]
    pins = {name: pin for document in documents for name, pin in json.loads(document)["dependencies"].items()}
    return str(pins[name]).rpartition("@")[2]


@cache
def go_pin(module: str) -> str:
    """Return the pinned version of a Go module."""
    return _found(rf"^\s+{re.escape(module)} v(\S+)", PROGRAMS / "go/go.mod")


@cache
def maven_coordinates(folder: str) -> tuple[str, str, str]:
    """Return group, artifact and version of the library used by a folder's program."""
    group, artifact, version = _found(rf"^{folder} (\S+)$", PROGRAMS / "java/libraries.txt").split(":")
    return group, artifact, version


@cache
def cargo_pin(name: str) -> str:
    """Return the pinned version of a crate."""
    return _found(rf'^{name} = "=(\S+)"$', PROGRAMS / "rust/Cargo.toml")


@cache
def debian_version(package: str) -> str:
    """Return the upstream version of an installed Debian package."""
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, timeout=30, check=True
    )
    upstream = done.stdout.partition(":")[2] or done.stdout
    return re.split(r"[+-](?:dfsg|really|ds)|-", upstream)[0]


def _found(pattern: str, path: Path) -> str:
    found = re.search(pattern, path.read_text("utf-8"), re.MULTILINE)
    assert found is not None, f"{path} pins nothing that matches {pattern}"
    return found[1]
