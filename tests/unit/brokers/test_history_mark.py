"""The mark reports the newest committed id, whatever happened to its file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from swim_server.brokers.history_mark import HistoryMark, Mark, Owner, read_boot_id
from swim_server.files.opening import UnsafeFile
from swim_server.protocol.event_id import EventId


def mark(milliseconds: int, *, is_clean: bool = False) -> Mark:
    return Mark(EventId(milliseconds, 7), "a-boot", is_clean)


def test_a_mark_that_was_never_written_is_none(tmp_path: Path) -> None:
    assert HistoryMark(tmp_path / "history.mark").read() is None


def test_the_newest_mark_is_read_back(tmp_path: Path) -> None:
    file = HistoryMark(tmp_path / "history.mark")
    for milliseconds in (1, 2, 3):
        file.write(mark(milliseconds))
        assert file.read() == mark(milliseconds)
    file.close()


def test_a_clean_mark_holds_until_the_next_commit(tmp_path: Path) -> None:
    file = HistoryMark(tmp_path / "history.mark")
    file.write(mark(1))
    file.write_through(mark(2, is_clean=True))
    assert file.read() == mark(2, is_clean=True)
    file.write_through(mark(2))
    assert file.read() == mark(2)
    file.write(mark(3))
    assert file.read() == mark(3)
    file.close()


def test_close_is_idempotent_and_writing_opens_again(tmp_path: Path) -> None:
    file = HistoryMark(tmp_path / "history.mark")
    file.close()
    file.write(mark(1))
    file.close()
    file.close()
    assert HistoryMark(tmp_path / "history.mark").read() == mark(1)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "history.mark").mkdir()
    with pytest.raises(UnsafeFile, match="a folder"):
        HistoryMark(tmp_path / "history.mark").read()


def test_the_owner_is_read_back_and_outlives_marks(tmp_path: Path) -> None:
    file = HistoryMark(tmp_path / "history.mark")
    assert file.read_owner() is None
    owner = Owner("writer", "full", "installation", "epoch")
    file.write_through(mark(1), owner)
    for milliseconds in (2, 3, 4):
        file.write(mark(milliseconds))
    assert file.read_owner() == owner
    assert file.read() == mark(4)
    file.close()


def test_a_mark_of_an_earlier_version_has_no_owner(tmp_path: Path) -> None:
    path = tmp_path / "history.mark"
    file = HistoryMark(path)
    file.write_through(mark(1))
    file.close()
    assert len(path.read_bytes()) == 256, "as an earlier version writes and reads it"
    assert (file.read(), file.read_owner(), file.is_doubtful()) == (mark(1), None, False)
    path.write_bytes(b"x" * 256)
    assert file.is_doubtful()


@given(position=st.integers(0, 300), junk=st.binary(min_size=1, max_size=100))
@settings(deadline=None)
def test_a_torn_write_leaves_a_mark_that_was_true(
    tmp_path_factory: pytest.TempPathFactory, position: int, junk: bytes
) -> None:
    path = tmp_path_factory.mktemp("mark") / "history.mark"
    file = HistoryMark(path)
    file.write(mark(1))
    file.write(mark(2))
    file.close()
    content = bytearray(path.read_bytes())
    content[position : position + len(junk)] = junk
    path.write_bytes(content)
    assert HistoryMark(path).read() in (mark(2), mark(1), None)


def test_this_run_of_the_machine_has_one_name() -> None:
    assert read_boot_id() == read_boot_id()
