"""Restores a backup while the service is stopped. Current files are set aside; keys that were ended stay ended."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from swimctl.archive.contents import CHUNK_BYTES, HISTORY, KEYS, BadArchive, Entry, Manifest, Part, extract, opened
from swimctl.archive.writing import database_file
from swimctl.errors import CommandFailed

if TYPE_CHECKING:
    from swim_server.config import LoadedConfig
    from swim_server.daemon.home import Home
    from swim_server.keys.records import KeyRecord
    from swim_server.keys.store import KeyStore

BESIDE = ("", "-wal", "-shm", "-journal")
"""Files that SQLite keeps beside a database: another database's log must never be mistaken for this one's."""
REASON = "ended before a backup was restored in which it is not"


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """Where one file of the archive goes."""

    entry: Entry
    target: Path
    replaces: bool
    """Another file is there."""


class Restored(msgspec.Struct, kw_only=True):
    """What was done."""

    created_at: str
    placed: list[str] = []
    set_aside: list[str] = []
    ended_again: list[int] = []
    """Keys that are valid in the backup but were ended after it."""
    missing_keys: int = 0
    """Keys created after the backup: they no longer exist."""
    has_unknown_endings: bool = False
    """There was no key database that could tell which keys were ended since."""


def plan(
    manifest: Manifest, home: Home, loaded: LoadedConfig, parts: Collection[Part], config: Path | None
) -> list[Placed]:
    """Decide where each file goes. ``config``: where the main configuration file goes, else to its former place."""
    from swim_server.config.files import LOCAL_NAME

    found = []
    for entry in manifest.entries:
        if entry.part not in parts:
            continue
        if entry.name == KEYS:
            target = database_file(loaded, home)
            if target is None:
                continue  # keys are in a server now
        elif entry.name == HISTORY:
            target = home.history
        elif entry.part == "config":
            target = Path(entry.path)
            if config is not None:
                target = config.parent / LOCAL_NAME if target.name == LOCAL_NAME else config
        else:
            raise AssertionError("every part has its place")
        found.append(Placed(entry=entry, target=target, replaces=target.exists()))
    return found


def restore(path: Path, places: Sequence[Placed], home: Home, tell: Callable[[int], None]) -> Restored:
    """Put the files of a backup in their places. Raises CommandFailed; nothing has changed then unless it says so.

    Holds the home's lock meanwhile. Raises AlreadyRunning.
    """
    with locked(home), opened(path) as (archive, manifest):
        for folder in {place.target.parent for place in places}:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=home.path) as staging:
            done = Restored(created_at=manifest.created_at)
            staged = []
            for number, place in enumerate(places):
                copy = Path(staging) / str(number)
                extract(path, archive, place.entry, copy)
                if place.entry.part != "config":
                    _check_database(path, place.entry, copy)
                staged.append((place, copy))
                tell(sum(each.entry.size for each in places[: number + 1]))
            _carry_endings(staged, done)
            stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
            for place, copy in staged:
                _put(place, copy, stamp, done)
    return done


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """Keep a daemon from starting in this home. Raises AlreadyRunning, HomeError."""
    from swim_server.daemon.lockfile import Lockfile

    home.prepare()
    lockfile = Lockfile(home.lockfile)
    lockfile.acquire()
    try:
        yield
    finally:
        lockfile.release()


def _check_database(path: Path, entry: Entry, copy: Path) -> None:
    import sqlite3

    try:
        with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise BadArchive(path, f"{entry.name} in it can't be used: {error}") from None
    if found not in ("ok", b"ok"):
        raise BadArchive(path, f"{entry.name} in it is damaged: {found}")


def _put(place: Placed, copy: Path, stamp: str, done: Restored) -> None:
    """Set aside the current file, with the files SQLite keeps beside it, and put the copy in its place."""
    from swim_server.files.replacing import rename_durably, replace_durably

    is_database = place.entry.part != "config"
    content = copy.read_bytes() if not is_database else b""
    if place.replaces and not is_database and place.target.read_bytes() == content:
        return
    mode = place.target.stat().st_mode & 0o7777 if place.target.exists() else 0o600
    try:
        for suffix in BESIDE if is_database else ("",):
            old = place.target.with_name(place.target.name + suffix)
            if old.exists() or old.is_symlink():
                aside = place.target.with_name(f"{place.target.name}.before-restore-{stamp}{suffix}")
                rename_durably(old, aside)
                done.set_aside.append(str(aside))
        replace_durably(place.target, _chunks(copy), mode=mode)
    except OSError as error:
        so_far = ", ".join(done.placed) or "nothing"
        raise CommandFailed(
            f"{place.target} can't be written: {error.strerror or error}; restored: {so_far}",
            "what was there has been set aside as *.before-restore-*",
        ) from None
    done.placed.append(str(place.target))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


# Keys that were ended since.


def _carry_endings(staged: Sequence[tuple[Placed, Path]], done: Restored) -> None:
    """End in the restored database the keys that were ended in the current one: no backup revives a key."""
    found = next(((place, copy) for place, copy in staged if place.entry.part == "keys"), None)
    if found is None:
        return
    place, copy = found
    if not place.replaces or not place.target.stat().st_size:
        done.has_unknown_endings = True
        return
    with _store(place.target, is_read_only=True) as before:
        known = {record.id: record for record in before.list()}
    with _store(copy) as after:
        restored = {record.id: record for record in after.list()}
        done.missing_keys = len(known.keys() - restored.keys())
        for key_id, record in restored.items():
            if key_id in known and _is_same(known[key_id], record) and _end(after, record, known[key_id]):
                done.ended_again.append(key_id)


def _is_same(one: KeyRecord, other: KeyRecord) -> bool:
    if one.fingerprint is not None and other.fingerprint is not None:
        return one.fingerprint == other.fingerprint
    return one.hint == other.hint


def _end(store: KeyStore, record: KeyRecord, before: KeyRecord) -> bool:
    from swim_server.keys.audit import operating_user

    now = datetime.now(UTC)
    if record.is_active and not before.is_active:
        store.revoke(record.id, REASON, operating_user())
        return True
    if before.expires_at is not None and before.is_expired(now) and not record.is_expired(now):
        store.expire(record.id, before.expires_at, operating_user())
        return True
    return False


@contextmanager
def _store(path: Path, *, is_read_only: bool = False) -> Iterator[KeyStore]:
    import secrets

    from sqlalchemy.engine import make_url
    from swim_server.concurrency.clock import SYSTEM_CLOCK
    from swim_server.keys.store import KeyStore
    from swim_server.sql.errors import StoreError
    from swim_server.sql.sqlite import open_sqlite

    try:
        url = make_url("sqlite://").set(database=str(path))
        with closing(open_sqlite(url, is_read_only=is_read_only)) as database:
            yield KeyStore(database, clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes)
    except StoreError as error:
        raise CommandFailed(
            f"{path} can't be read, so revoked or expired keys might be accepted again: {error}",
            "nothing was changed; move it away to restore without this check",
        ) from None
