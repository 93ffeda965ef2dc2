"""The write-ahead log read without SQLite: committed pages are found, unfinished ones are not."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from swim_server.brokers.recovery.write_ahead_log import read_log

PAGE_BYTES = 4096
FRAME_BYTES = 24 + PAGE_BYTES


def log_of(tmp_path: Path) -> Path:
    """A log of two commits, the second one newer than the first; the database is open no more."""
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES ('first')")
        connection.execute("INSERT INTO t VALUES ('second')")
        return Path(shutil.copy(tmp_path / "a.db-wal", tmp_path / "copy-wal"))


def test_newest_committed_content_of_each_page_is_found(tmp_path: Path) -> None:
    pages = read_log(log_of(tmp_path), PAGE_BYTES)
    assert set(pages) == {1, 2}
    assert pages[1].startswith(b"SQLite format 3\0")
    assert b"first" in pages[2] and b"second" in pages[2]


def test_frame_that_was_cut_off_or_is_of_an_earlier_log_ends_the_reading(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    content = log.read_bytes()
    log.write_bytes(content[:-1])
    assert b"second" not in read_log(log, PAGE_BYTES)[2]
    other_salt = bytearray(content)
    other_salt[len(content) - FRAME_BYTES + 8] ^= 1
    log.write_bytes(other_salt)
    assert b"second" not in read_log(log, PAGE_BYTES)[2]


def test_pages_of_a_commit_without_its_end_are_left_out(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    content = bytearray(log.read_bytes())
    last = len(content) - FRAME_BYTES
    content[last + 4 : last + 8] = bytes(4)
    log.write_bytes(content)
    assert b"second" not in read_log(log, PAGE_BYTES)[2]


def test_no_log_is_an_empty_one(tmp_path: Path) -> None:
    assert read_log(tmp_path / "missing", PAGE_BYTES) == {}
    (tmp_path / "empty").touch()
    assert read_log(tmp_path / "empty", PAGE_BYTES) == {}
