"""Which file of an installation holds what: the only place of the disk harnesses that knows file names."""

from __future__ import annotations

import ctypes
import gzip
import json
import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

HISTORY, HISTORY_LOG, MARK = "home/history.db", "home/history.db-wal", "home/history.mark"
WITNESS, INSTALLATION = "home/history.witness", "home/installation"
KEYS = "home/swim.db"
SOURCE_STATE = "home/sources"
RESUME_FILE, RECORDING, PLAYED = "resume.json", "evening.swim", "morning.swim"
EVENT_FILE, DROP = "feed/swim_ws_events.json", "drop"
SET_ASIDE = "history.db.damaged-*"
"""Beside the history: what a repair has put out of the way."""
CONFIG = """
[server]
host = "127.0.0.1"
port = {port}

[tiers.public]
connections = 10

[history]
synchronous = "{synchronous}"
keep_positions = "{keep_positions}"

[logging]
level = "info"
"""
SOURCES = """
[[sources]]
kind = "file"
name = "file"
path = "{root}/feed/swim_ws_events.json"

[[sources]]
kind = "drop"
name = "drop"
path = "{root}/drop"
"""


def write_config(
    root: Path, port: int, synchronous: str, *, with_sources: bool = True, keep_positions: str = "15m"
) -> Path:
    """Write the configuration below ``root``; return its path."""
    text = CONFIG.format(port=port, synchronous=synchronous, keep_positions=keep_positions)
    path = root / "swim.toml"
    path.write_text(text + (SOURCES.format(root=root) if with_sources else ""), "utf-8")
    return path


def make_folders(root: Path) -> None:
    """Create the missing folders of an installation."""
    for name in ("home", "feed", "drop"):
        (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)


def sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def sync_file_system(path: Path) -> None:
    """Wait until everything on the file system of a folder is on its disk; the machine's other disks may be busy."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "syncfs", str(path))
    finally:
        os.close(descriptor)


def append_to_event_file(root: Path, rows: Sequence[Mapping[str, object]], sync: Callable[[Path], None]) -> None:
    """Append as the provider does: read the whole file, append, write another, rename it over."""
    path = root / EVENT_FILE
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        found = []
    temporary = path.with_suffix(".writing")
    temporary.write_text(json.dumps(found + rows), "utf-8")
    sync(temporary)
    temporary.rename(path)
    sync(path.parent)


def put_in_drop_folder(
    root: Path, name: str, rows: Sequence[Mapping[str, object]], sync: Callable[[Path], None]
) -> None:
    """Write a file of JSON lines under another name and rename it into the folder."""
    temporary = root / DROP / f".{name}.writing"
    temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    sync(temporary)
    temporary.rename(root / DROP / f"{name}.jsonl")
    sync(root / DROP)


def bit_that_lowers_the_offset(state: bytes) -> int:
    """Find the bit that makes the drop folder's state claim less of the file is done."""
    found = re.search(rb'"offset":(\d+)', state)
    assert found is not None, state
    places = range(found.start(1) + 1, found.end())
    return next(at * 8 + bit for at in places for bit in (2, 1, 0) if state[at] >> bit & 1)


def stored_events(files: Mapping[str, bytes]) -> dict[str, str]:
    """Read names and ids of the events in history and its log. ``files``: content by name."""
    with tempfile.TemporaryDirectory(prefix="swim-files-") as folder:
        for name in (HISTORY, HISTORY_LOG):
            if name in files:
                (Path(folder) / Path(name).name).write_bytes(files[name])
        connection = sqlite3.connect(Path(folder) / Path(HISTORY).name)
        try:
            rows = [json.loads(wire) for (wire,) in connection.execute("SELECT wire FROM events ORDER BY id")]
        finally:
            connection.close()
    return {str(row["data"].get("callsign")): row["id"] for row in rows}


def stored_places(content: bytes, table: str, column: str, rows: int) -> list[tuple[int, int]]:
    """Return offset and length of about this many of a column's values in a database, including indexes."""
    with _opened(content) as connection:
        values = [value for (value,) in connection.execute(f"SELECT {column} FROM {table}")]
    places = []
    for value in values[:: max(1, len(values) // rows)]:
        sought = value if isinstance(value, bytes) else str(value).encode()
        at = content.find(sought)
        while at >= 0:
            places.append((at, len(sought)))
            at = content.find(sought, at + 1)
    return places


def key_row(content: bytes, number: str) -> tuple[object, ...] | None:
    """Read a key's row from a key database, beginning with whether it is active. None if it can't be read."""
    query = "SELECT is_active, api_key, tier, expires_at FROM swim_api_keys WHERE id = ?"
    try:
        with _opened(content) as connection:
            found: tuple[object, ...] | None = connection.execute(query, (int(number),)).fetchone()
    except sqlite3.Error:
        return None
    return found


@contextmanager
def _opened(content: bytes) -> Iterator[sqlite3.Connection]:
    """Open a database in memory."""
    connection = sqlite3.connect(":memory:")
    try:
        # A database in memory has no write-ahead log: bytes 18 and 19 say whether there is one.
        connection.deserialize(content[:18] + b"\1\1" + content[20:])
        yield connection
    finally:
        connection.close()


def recorded_events(recording: bytes) -> list[dict[str, object]]:
    """Read the events of a sound recording."""
    lines = gzip.decompress(recording).splitlines()
    return [row for line in lines if "id" in (row := json.loads(line)) and "type" in row]


def resume_id(resume_file: Path) -> str | None:
    """Read where an SDK program would resume; None if the file does not say."""
    try:
        found = json.loads(resume_file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return str(found.get("last_event_id"))
