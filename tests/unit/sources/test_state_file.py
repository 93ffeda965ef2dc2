from __future__ import annotations

from pathlib import Path
from zlib import crc32

import msgspec
import pytest
from swim_server.files.installation import write_installation
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


@pytest.fixture
def homes(tmp_path: Path) -> tuple[Path, Path]:
    """Two installations, each with a place for a state."""
    for name in ("one", "two"):
        (tmp_path / name / "sources").mkdir(parents=True)
        write_installation(tmp_path / name, name)
    return tmp_path / "one" / "sources" / "drop.json", tmp_path / "two" / "sources" / "drop.json"


def test_the_state_of_another_installation_is_moved_aside_and_told(homes: tuple[Path, Path]) -> None:
    here, there = homes
    StateFile(there, Progress).save(Progress(7))
    assert StateFile(there, Progress).load() == Progress(7)
    here.write_bytes(there.read_bytes())
    file = StateFile(here, Progress)
    assert file.load() is None
    assert file.fault is not None
    assert "drop.json belongs to another installation" in file.fault
    assert here.with_name("drop.json.broken").read_bytes() == there.read_bytes()


@pytest.mark.parametrize("content", [b'{"position":7}', b'{"position":7,"crc32":"d9f6ad06"}'], ids=["bare", "sealed"])
def test_a_state_of_an_earlier_version_is_taken_as_it_is(homes: tuple[Path, Path], content: bytes) -> None:
    here, _ = homes
    here.write_bytes(content)
    file = StateFile(here, Progress)
    assert file.load() == Progress(7)
    assert file.fault is None
    file.save(Progress(8))
    assert msgspec.json.decode(here.read_bytes())["installation"] == "one"


def test_an_earlier_version_reads_what_this_one_writes(homes: tuple[Path, Path]) -> None:
    """It knows the checksum at the end, over everything before, and passes over fields that it does not know."""
    here, _ = homes
    StateFile(here, Progress).save(Progress(7))
    state, _, seal = here.read_bytes().rpartition(b',"crc32":"')
    assert seal == b'%08x"}' % crc32(state + b"}")
    assert msgspec.json.decode(state + b"}", type=Progress) == Progress(7)
