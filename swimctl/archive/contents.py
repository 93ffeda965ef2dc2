"""The contents of a backup: a tar archive of known names; its manifest comes first and has the digest of each file."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

import msgspec

from swimctl.arguments.files import told_with_its_name
from swimctl.errors import CommandFailed

FORMAT = 1
MANIFEST = "manifest.json"
MANIFEST_LIMIT = 1024 * 1024
KEYS, HISTORY = "swim.db", "history.db"
CHUNK_BYTES = 1024 * 1024

Part = Literal["keys", "history", "config"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the archive."""

    name: str
    """The file's name in the archive."""
    part: Part
    path: str
    """The file's original path."""
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive says about itself."""

    format: int = FORMAT
    version: str
    """Version of the swimctl that made the backup."""
    created_at: str
    home: str
    entries: list[Entry]
    left_out: list[str] = []
    """What belongs to the service but is not in the backup, in words."""


class BadArchive(CommandFailed):
    """The file is not a backup, or is incomplete."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} can't be restored: {reason}", "nothing was changed; use another backup")


def digest_of(path: Path) -> str:
    """Compute the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[tuple[tarfile.TarFile, Manifest]]:
    """Open a backup and read its manifest. Raises NotFound, BadArchive."""
    with told_with_its_name(path):
        file = path.open("rb")
    with file:
        try:
            with tarfile.open(fileobj=file, mode="r:*") as archive:
                yield archive, _read_manifest(path, archive)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise BadArchive(path, f"it is damaged or not an archive: {error}") from None


def _read_manifest(path: Path, archive: tarfile.TarFile) -> Manifest:
    first = archive.next()
    stream = archive.extractfile(first) if first is not None and first.name == MANIFEST and first.isfile() else None
    if stream is None:
        raise BadArchive(path, "it was not made by swimctl backup")
    try:
        manifest = msgspec.json.decode(stream.read(MANIFEST_LIMIT), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadArchive(path, f"its manifest can't be read: {error}") from None
    if manifest.format > FORMAT:
        raise BadArchive(
            path, f"version {manifest.version} of swimctl made it, in a format that this version does not know"
        )
    return manifest


def extract(path: Path, archive: tarfile.TarFile, entry: Entry, target: Path) -> None:
    """Copy one file out and verify its digest. Raises BadArchive; nothing in the archive is trusted."""
    try:
        stream: IO[bytes] | None = archive.extractfile(archive.getmember(entry.name))
    except KeyError:
        stream = None
    if stream is None:
        raise BadArchive(path, f"{entry.name} is missing in it")
    digest = hashlib.sha256()
    with target.open("xb") as file:
        left = entry.size + 1  # read one byte more than allowed, to detect excess
        while left > 0 and (chunk := stream.read(min(left, CHUNK_BYTES))):
            digest.update(chunk)
            file.write(chunk)
            left -= len(chunk)
    if digest.hexdigest() != entry.sha256:
        raise BadArchive(path, f"{entry.name} in it is not what was backed up")
