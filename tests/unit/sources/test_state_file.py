from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from swim_server.sources.state_file import StateFile


class Progress(msgspec.Struct):
    position: int


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "sources" / "one.json", Progress)
    assert file.load() is None
    file.save(Progress(7))
    assert file.load() == Progress(7)
    assert [path.name for path in (tmp_path / "sources").iterdir()] == ["one.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b'{"position": "x"}', b"\xff\xfe"])
def test_a_file_that_holds_no_state_is_moved_aside_and_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "one.json"
    path.write_bytes(content)
    file = StateFile(path, Progress)
    assert file.load() is None
    assert file.fault is not None
    assert "one.json.broken" in file.fault
    assert (tmp_path / "one.json.broken").read_bytes() == content
    assert not path.exists()


def test_a_save_that_was_cut_off_leaves_the_state_before(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "one.json", Progress)
    file.save(Progress(1))
    (tmp_path / "one.json.new").write_bytes(b'{"posi')
    assert file.load() == Progress(1)


def test_without_a_path_nothing_is_kept() -> None:
    file = StateFile(None, Progress)
    file.save(Progress(1))
    assert file.load() is None
