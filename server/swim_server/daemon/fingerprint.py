"""The code's fingerprint: a digest of every source file that runs, computed once at the start and kept in memory."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import msgspec

from swim_server import __version__
from swim_server.daemon.requirements import installed_versions

_READ_BYTES = 1 << 18
_BINARY = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)  # Windows has only the second
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


def commit_of_checkout(start: Path | None = None) -> str | None:
    """Return the commit that is checked out in a folder (this package's); None if there is none."""
    folder = (start or Path(__file__)).resolve()
    try:
        git = next((parent / ".git" for parent in folder.parents if (parent / ".git").exists()), None)
        return None if git is None or not _is_ours(git, start) else _read_head(_git_folder(git))
    except OSError:
        return None


def _is_ours(git: Path, start: Path | None) -> bool:
    """Tell whether the checkout is this code's, not one in which the environment with this code happens to be."""
    return start is not None or (git.parent / "swimctl" / "__init__.py").exists()


def _git_folder(git: Path) -> Path:
    """Return the repository's folder: in a worktree, ``.git`` is a file that names it."""
    if git.is_dir():
        return git
    return (git.parent / git.read_text("utf-8").removeprefix("gitdir:").strip()).resolve()


def _read_head(folder: Path) -> str | None:
    head = (folder / "HEAD").read_text("utf-8").strip()
    if not head.startswith("ref:"):
        return head if _COMMIT.fullmatch(head) else None
    name = head.removeprefix("ref:").strip()
    common = folder / "commondir"
    root = (folder / common.read_text("utf-8").strip()).resolve() if common.exists() else folder
    for place in (folder / name, root / name):
        if place.exists():
            found = place.read_text("utf-8").strip()
            return found if _COMMIT.fullmatch(found) else None
    packed = root / "packed-refs"
    lines = packed.read_text("utf-8").splitlines() if packed.exists() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}") and not line.startswith("#")), None)


PACKAGES = ("swim_server", "swimctl")


class Fingerprint(msgspec.Struct, frozen=True):
    """Identifies the code."""

    digest: str
    """The first 12 hex digits of the SHA-256 over all files' names and digests."""
    files: dict[str, str]
    """SHA-256 of each source file by its path below the packages' folder: ``swim_server/config.py``."""
    roots: dict[str, str] = {}
    """The folder of each package."""
    version: str = __version__
    commit: str | None = None
    """The commit, if the code runs from a checkout."""
    python: str = ""
    dependencies: dict[str, str] = {}
    """The version of each required package, by name."""


def take_fingerprint() -> Fingerprint:
    """Read the packages' source files from disk. Takes some 20 ms; call it before serving."""
    roots = package_roots()
    files = digests_below(roots)
    return Fingerprint(
        digest_of(files),
        files,
        roots=roots,
        commit=commit_of_checkout(),
        python=sys.version.split()[0],
        dependencies=installed_versions(),
    )


def package_roots() -> dict[str, str]:
    """Return the folder of each package that this process would import."""
    found = {}
    for package in PACKAGES:
        spec = find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            found[package] = str(Path(spec.submodule_search_locations[0]).absolute())
    return found


def digests_below(roots: Mapping[str, str]) -> dict[str, str]:
    """Compute the SHA-256 of each source file in the packages' folders, by ``package/path``. Raises OSError."""
    found = {}
    for name, path in _source_files(roots):
        try:
            found[name] = hashlib.sha256(_content(path)).hexdigest()
        except FileNotFoundError:
            continue  # removed since it was listed
    return found


def _content(path: str) -> bytes:
    """Read a file with as few calls as possible: there are hundreds."""
    descriptor = os.open(path, os.O_RDONLY | _BINARY)
    try:
        parts = []
        while part := os.read(descriptor, _READ_BYTES):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def digest_of(files: Mapping[str, str]) -> str:
    """Compute one short digest of all files."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


def check_syntax() -> None:
    """Compile every source file on disk, including those imported only when needed. Raises SyntaxError.

    Takes about a second: for a process that is about to take over from one that serves.
    """
    for _, path in _source_files(package_roots()):
        compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)


def _source_files(roots: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the path of each source file, in the order of names. Strings: there are hundreds."""
    for package, folder in sorted(roots.items()):
        found = []
        for place, _, files in os.walk(folder):
            inside = place[len(folder) :].replace(os.sep, "/").strip("/")
            prefix = f"{package}/{inside}/" if inside else f"{package}/"
            found += [(f"{prefix}{file}", f"{place}{os.sep}{file}") for file in files if file.endswith(".py")]
        yield from sorted(found)
