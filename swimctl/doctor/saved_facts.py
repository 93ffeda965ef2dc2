"""Facts in a file: written where they were observed, with secrets removed, and evaluated elsewhere or later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from swim_server import __version__
from swim_server.files.replacing import put_in_place

from swimctl.doctor.context import Circumstances, Options
from swimctl.doctor.facts import Fact, FactBook, decoded, encoded
from swimctl.doctor.redaction import redact
from swimctl.errors import CommandFailed

FORMAT = 1
NAME = "facts.json"
"""The file's name in a bundle."""
MAX_BYTES = 256 * 1024 * 1024


class SavedRun(msgspec.Struct, frozen=True, kw_only=True):
    """All observations of one run."""

    format: int = FORMAT
    version: str = __version__
    """Version of the swimctl that made the observations."""
    circumstances: Circumstances
    options: Options
    checks: tuple[str, ...]
    """Checks that were asked for."""
    facts: tuple[Fact, ...]

    @property
    def book(self) -> FactBook:
        """A fact book with these facts, which observes nothing."""
        return FactBook({each.id: each for each in self.facts})


def saved(book: FactBook, circumstances: Circumstances, options: Options, checks: Iterable[str]) -> SavedRun:
    """Put a run's observations together for a file; the user's key is not included."""
    return SavedRun(
        circumstances=circumstances,
        options=msgspec.structs.replace(options, api_key=None),
        checks=tuple(checks),
        facts=tuple(book.facts[id] for id in sorted(book.facts)),
    )


def to_json(run: SavedRun, secrets: Iterable[str]) -> bytes:
    """Encode a run as JSON, without known secrets and anything that looks like one."""
    secrets = tuple(secrets)
    return msgspec.json.format(msgspec.json.encode(_clean(encoded(run), secrets)), indent=1) + b"\n"


def write_facts(path: Path, run: SavedRun, secrets: Iterable[str]) -> None:
    """Write a run to a file readable only by its owner. Raises OSError."""
    put_in_place(path, to_json(run, secrets), mode=0o600)


def read_facts(path: Path) -> SavedRun:
    """Read a run from a file of facts, or from a bundle. Raises CommandFailed."""
    try:
        data = _content(path)
        document = msgspec.json.decode(data)
        run: SavedRun = decoded(document, SavedRun)
    except (OSError, _BrokenArchive, EOFError) as error:
        raise CommandFailed(f"--facts: {path} can't be read: {getattr(error, 'strerror', None) or error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = "swimctl doctor --save-facts FILE writes one; a bundle holds one too"
        raise CommandFailed(f"--facts: {path} has no facts of swimctl doctor: {error}", hint) from None
    if run.format != FORMAT:
        problem = f"--facts: {path} has format {run.format}, this version reads format {FORMAT}"
        raise CommandFailed(problem, f"judge it with swimctl {run.version}")
    return run


class _BrokenArchive(Exception):
    """A bundle that can't be unpacked."""


def _content(path: Path) -> bytes:
    import tarfile
    import zipfile

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = [each for each in archive.namelist() if each.rpartition("/")[2] == NAME]
                return archive.read(names[0]) if names else b""
        if tarfile.is_tarfile(path):
            with tarfile.open(path) as packed:
                for entry in packed:
                    file = packed.extractfile(entry) if entry.name.rpartition("/")[2] == NAME else None
                    if file is not None:
                        return file.read(MAX_BYTES)
            return b""
    except (zipfile.BadZipFile, tarfile.TarError) as error:
        raise _BrokenArchive(str(error)) from None
    with path.open("rb") as plain:
        return plain.read(MAX_BYTES)


def _clean(value: Any, secrets: tuple[str, ...]) -> Any:
    """Hide secrets in every text, and leave everything else unchanged, so that it stays JSON."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, Mapping):
        return {redact(str(name), secrets): _clean(each, secrets) for name, each in value.items()}
    return [_clean(each, secrets) for each in value] if isinstance(value, list | tuple) else value
