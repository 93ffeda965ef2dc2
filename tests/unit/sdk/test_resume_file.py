"""The file that remembers where a program stood."""

from __future__ import annotations

import json
from pathlib import Path
from zlib import crc32

import pytest
from swim_client.errors import ResumeFileError
from swim_client.resume import EventId, ResumeFile

ID = EventId(1768573815123, 4)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    ResumeFile(tmp_path / "resume.json").save(ID)
    assert ResumeFile(tmp_path / "resume.json").load() == ID


def test_no_file_yet_is_no_error(tmp_path: Path) -> None:
    assert ResumeFile(str(tmp_path / "resume.json")).load() is None


def test_saving_replaces_and_leaves_nothing_else_behind(tmp_path: Path) -> None:
    file = ResumeFile(tmp_path / "resume.json")
    for sequence in range(5):
        file.save(EventId(1, sequence))
    assert [path.name for path in tmp_path.iterdir()] == ["resume.json"]
    assert file.saved == EventId(1, 4)


def test_a_failed_save_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ResumeFile(tmp_path / "resume.json")
    file.save(ID)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        file.save(EventId(2, 0))
    assert ResumeFile(tmp_path / "resume.json").load() == ID
    assert [path.name for path in tmp_path.iterdir()] == ["resume.json"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"last_event_id": 5}', '{"last_event_id": "x"}', "null", "\x00\xff"]
)
def test_what_is_no_resume_file_is_not_taken_for_an_empty_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / "resume.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ResumeFileError, match="remove it to begin with the live stream") as raised:
        ResumeFile(path).load()
    assert str(path) in str(raised.value)


def test_a_place_where_nothing_can_be_written_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ResumeFileError, match="there is no folder"):
        ResumeFile(tmp_path / "nowhere" / "resume.json").load()
    (tmp_path / "folder").mkdir()
    with pytest.raises(ResumeFileError, match="can't be read"):
        ResumeFile(tmp_path / "folder").load()


def test_no_flipped_bit_makes_another_place_of_it(tmp_path: Path) -> None:
    path = tmp_path / "resume.json"
    ResumeFile(path).save(ID)
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        rotten = bytearray(content)
        rotten[bit // 8] ^= 1 << bit % 8
        path.write_bytes(rotten)
        file = ResumeFile(path)
        try:
            found = file.load()
        except ResumeFileError:
            continue
        assert found == ID or (found is None and file.fault is not None), f"bit {bit}: {bytes(rotten)!r}"


def test_a_file_of_an_earlier_version_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "resume.json"
    path.write_text('{"last_event_id": "1768573815123-4"}\n')
    file = ResumeFile(path)
    assert file.load() == ID
    assert file.fault is None


def test_saving_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "resume.json"
    file = ResumeFile(path)
    file.save(ID)
    path.chmod(0o640)
    file.save(EventId(2, 0))
    assert path.stat().st_mode & 0o777 == 0o640


def test_the_epoch_is_kept_with_the_id(tmp_path: Path) -> None:
    ResumeFile(tmp_path / "resume.json").save(ID, "0a1b2c3d")
    file = ResumeFile(tmp_path / "resume.json")
    assert (file.load(), file.epoch, file.fault) == (ID, "0a1b2c3d", None)


@pytest.mark.parametrize(
    "content", ['{"last_event_id": "1768573815123-4"}', '{"last_event_id": "1768573815123-4", "crc32": "CRC"}']
)
def test_a_file_of_an_earlier_version_has_no_epoch(tmp_path: Path, content: str) -> None:
    (tmp_path / "resume.json").write_text(content.replace("CRC", f"{crc32(str(ID).encode()):08x}"))
    file = ResumeFile(tmp_path / "resume.json")
    assert (file.load(), file.epoch, file.fault) == (ID, None, None)


def test_an_earlier_version_finds_the_checksum_that_it_knows(tmp_path: Path) -> None:
    ResumeFile(tmp_path / "resume.json").save(ID, "0a1b2c3d")
    document = json.loads((tmp_path / "resume.json").read_text())
    assert document["crc32"] == f"{crc32(document['last_event_id'].encode()):08x}"


def test_no_flipped_bit_is_another_place(tmp_path: Path) -> None:
    path = tmp_path / "resume.json"
    ResumeFile(path).save(ID, "0a1b2c3d")
    content, elsewhere = path.read_bytes(), []
    for bit in range(len(content) * 8):
        rotten = bytearray(content)
        rotten[bit // 8] ^= 1 << bit % 8
        path.write_bytes(rotten)
        file = ResumeFile(path)
        try:
            found = file.load()
        except ResumeFileError:
            continue
        if (found, file.epoch) not in {(ID, "0a1b2c3d"), (ID, None)} and file.fault is None:
            elsewhere.append((bit, found, file.epoch))
    assert elsewhere == []
