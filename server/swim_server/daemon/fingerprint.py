"""The code's fingerprint: a digest of every source file that runs, taken once at start and kept in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import msgspec

PACKAGES = ("swim_client", "swim_server", "swimctl")


class Fingerprint(msgspec.Struct, frozen=True):
    """What code this is."""

    digest: str
    """The first 12 hex digits of the SHA-256 over all files' names and digests."""
    files: dict[str, str]
    """SHA-256 of each source file by its path below the packages' folder: ``swim_server/config.py``."""


def take_fingerprint() -> Fingerprint:
    """Read the packages' source files from disk as they are now. Some 10 ms; call it before serving."""
    files = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in _source_files()}
    whole = hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in sorted(files.items())).encode())
    return Fingerprint(whole.hexdigest()[:12], files)


def check_syntax() -> None:
    """Compile every source file on disk, also those that are imported when they are first needed. Raises SyntaxError.

    About a second: for a process that is to take over from one that serves.
    """
    for _, path in _source_files():
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)


def _source_files() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        spec = find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            root = Path(spec.submodule_search_locations[0])
            for path in sorted(root.rglob("*.py")):
                yield f"{package}/{path.relative_to(root).as_posix()}", path
