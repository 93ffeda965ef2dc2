"""The code's fingerprint: a digest of every source file that runs, taken once at start and kept in memory."""

from __future__ import annotations

import hashlib
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
    files: dict[str, str] = {}
    for package in PACKAGES:
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            continue
        root = Path(spec.submodule_search_locations[0])
        for path in sorted(root.rglob("*.py")):
            files[f"{package}/{path.relative_to(root).as_posix()}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    whole = hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in sorted(files.items())).encode())
    return Fingerprint(whole.hexdigest()[:12], files)
