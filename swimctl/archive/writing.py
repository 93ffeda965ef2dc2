"""Makes a backup of a service that may be running: each database as of one moment, and only if it is sound."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from swimctl.archive.contents import HISTORY, KEYS, MANIFEST, Entry, Manifest, Part, digest_of
from swimctl.errors import CommandFailed

if TYPE_CHECKING:
    from swim_server.config import LoadedConfig
    from swim_server.daemon.home import Home

PAGES = 4096
BUSY_SECONDS = 30.0

Tell = Callable[[int], None]
"""Called with the bytes of databases copied so far."""


def write_backup(target: Path, home: Home, loaded: LoadedConfig, tell: Tell) -> Manifest:
    """Write the archive durably, readable only by its owner. Raises CommandFailed and leaves nothing behind.

    Blocks while the databases are copied; a service that uses them keeps running.
    """
    with tempfile.TemporaryDirectory(prefix=f".{target.name[:80]}.", dir=target.parent) as folder:
        staged: list[tuple[Entry, Path]] = []

        copied = 0

        def add(part: Part, name: str, path: Path, copy: Callable[[Path], None]) -> None:
            staging = Path(folder) / name
            copy(staging)
            entry = Entry(name=name, part=part, path=str(path), size=staging.stat().st_size, sha256=digest_of(staging))
            staged.append((entry, staging))

        def database(part: Part, name: str, path: Path) -> None:
            nonlocal copied
            before = copied
            add(part, name, path, lambda to: copy_database(path, to, lambda done: tell(before + done)))
            copied += staged[-1][0].size

        left_out = []
        keys = database_file(loaded, home)
        if keys is None:
            left_out.append("keys: they are in a database server, which has its own backups")
        elif keys.exists():
            database("keys", KEYS, keys)
        if home.history.exists():
            database("history", HISTORY, home.history)
        for number, path in enumerate(loaded.files):
            add("config", f"config-{number}.toml", path, partial(_copy_file, path))
        left_out += [f"secret file named in the configuration: {path}" for path in secret_files(loaded)]
        if not staged:
            raise CommandFailed(f"there is nothing to back up in {home.path}", "is SWIM_HOME right?")
        manifest = Manifest(
            version=_version(), created_at=datetime.now(UTC).isoformat(timespec="seconds"), home=str(home.path),
            entries=[entry for entry, _ in staged], left_out=left_out,
        )  # fmt: skip
        _pack(target, manifest, staged)
    return manifest


def database_file(loaded: LoadedConfig, home: Home) -> Path | None:
    """Return the file with the keys, or None if they are on a database server."""
    from sqlalchemy.engine import make_url

    database = loaded.config.database
    if database.odbc is not None:
        return None
    if database.url is None:
        return home.database
    url = make_url(database.url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def secret_files(loaded: LoadedConfig) -> Sequence[str]:
    """List the files with secrets that the configuration names."""
    config = loaded.config
    databases = [config.database, *(each for adl in config.adl.values() for each in (adl.flights, adl.tmis))]
    named = [each.password_file for each in databases if each is not None] + [config.server.tls_key]
    return [str(each) for each in named if each]


def copy_database(path: Path, target: Path, tell: Tell) -> None:
    """Copy a SQLite file as of one moment, even while it is being written. Raises CommandFailed."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with (
            closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as source,
            closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            # An open transaction keeps this moment's pages: without it the copy would restart at each commit.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            page_bytes = source.execute("PRAGMA page_size").fetchone()[0]
            source.backup(copy, pages=PAGES, progress=lambda _, left, total: tell((total - left) * page_bytes))
            source.execute("COMMIT")
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise CommandFailed(f"{path} can't be backed up: {error}", "look: swimctl doctor --only storage") from None
    if found not in ("ok", b"ok"):
        raise CommandFailed(f"{path} is damaged and was not backed up: {found}", "see: swimctl doctor --only storage")


def _copy_file(path: Path, to: Path) -> None:
    try:
        shutil.copyfile(path, to)
    except OSError as error:
        raise CommandFailed(f"{path} can't be read: {error.strerror or error}") from None


def _pack(target: Path, manifest: Manifest, staged: Sequence[tuple[Entry, Path]]) -> None:
    from swim_server.files.opening import open_new
    from swim_server.files.replacing import rename_durably

    temporary = target.with_name(f".{target.name[:80]}.{secrets.token_hex(6)}.tmp")
    try:
        with open_new(temporary) as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6, format=tarfile.PAX_FORMAT) as archive:
                text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
                archive.addfile(_member(MANIFEST, len(text)), io.BytesIO(text))
                for entry, staging in staged:
                    with staging.open("rb") as content:
                        archive.addfile(_member(entry.name, entry.size), content)
            file.flush()
            os.fsync(file.fileno())
        rename_durably(temporary, target)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise CommandFailed(f"{target} can't be written: {error.strerror or error}") from None


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(datetime.now(UTC).timestamp())
    return member


def _version() -> str:
    from swim_server import __version__

    return __version__
