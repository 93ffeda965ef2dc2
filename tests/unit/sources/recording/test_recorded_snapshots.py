from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from support.feed import NOON_MS, document, pilot, prefile, snapshot
from swim_server.sources.recording.recorded_snapshots import HEAD_BYTES, RecordedSnapshots, UnreadableSnapshot


def put(folder: Path, name: str, at: float, *, packed: bool = False) -> Path:
    """Record a snapshot taken ``at`` seconds after noon."""
    content = document(snapshot(at, [pilot(at)], [prefile()]))
    path = folder / name
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    return path


def played(recorded: RecordedSnapshots) -> list[str]:
    """The names in the order in which they would be played."""
    return [one.path.name for one in recorded.snapshots]


def test_snapshots_are_in_the_order_of_their_own_stamps_not_of_their_names(tmp_path: Path) -> None:
    put(tmp_path, "a.json", 30)
    put(tmp_path, "b.json.gz", 0, packed=True)
    put(tmp_path, "c.json", 15)
    recorded = RecordedSnapshots(tmp_path)
    recorded.look()
    assert played(recorded) == ["b.json.gz", "c.json", "a.json"]


def test_the_next_one_is_strictly_newer(tmp_path: Path) -> None:
    for at in (0, 15):
        put(tmp_path, f"{at}.json", at)
    recorded = RecordedSnapshots(tmp_path)
    recorded.look()
    first = recorded.after(None)
    assert first is not None
    second = recorded.after(first.update_ms)
    assert second is not None
    assert (first.update_ms, second.update_ms) == (NOON_MS, NOON_MS + 15_000)
    assert recorded.after(second.update_ms) is None


def test_the_same_snapshot_in_two_files_counts_once(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        put(tmp_path, name, 0)
    recorded = RecordedSnapshots(tmp_path)
    recorded.look()
    assert (played(recorded), recorded.repeated) == (["a.json"], 1)


def test_other_files_and_unfinished_ones_are_left_alone(tmp_path: Path) -> None:
    put(tmp_path, "good.json", 0)
    put(tmp_path, ".hidden.json", 15)
    put(tmp_path, "good.json.part", 15)
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "folder.json").mkdir()
    recorded = RecordedSnapshots(tmp_path)
    recorded.look()
    assert (played(recorded), recorded.broken) == (["good.json"], {})


def test_one_file_may_be_named_alone_whatever_its_suffix(tmp_path: Path) -> None:
    path = put(tmp_path, "snapshot.data", 0, packed=True)
    recorded = RecordedSnapshots(path)
    recorded.look()
    assert played(recorded) == ["snapshot.data"]


def test_a_packed_file_is_told_by_its_content_not_its_name(tmp_path: Path) -> None:
    put(tmp_path, "really_packed.json", 0, packed=True)
    put(tmp_path, "not_packed.json.gz", 15)
    recorded = RecordedSnapshots(tmp_path)
    recorded.look()
    assert played(recorded) == ["really_packed.json", "not_packed.json.gz"]
    assert all(recorded.read(one).pilots for one in recorded.snapshots)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "truncated"),
        (b"<html>", "not JSON"),
        (b"{}", "not a feed"),
        (gzip.compress(b"x" * 10_000, mtime=0)[:40], "truncated"),
        (b"\x1f\x8b" + b"garbage" * 10, "truncated"),
    ],
)
def test_a_broken_file_among_good_ones_is_told_and_the_others_are_found(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    put(tmp_path, "good.json", 0)
    (tmp_path / "bad.json").write_bytes(content)
    recorded = RecordedSnapshots(tmp_path)
    recorded.look()
    assert played(recorded) == ["good.json"]
    assert recorded.broken["bad.json"].startswith(reason)


def test_a_file_cut_off_behind_its_stamp_is_found_broken_when_it_is_read(tmp_path: Path) -> None:
    path = put(tmp_path, "cut.json", 0)
    path.write_bytes(path.read_bytes()[:-20])
    recorded = RecordedSnapshots(tmp_path)
    recorded.look()
    with pytest.raises(UnreadableSnapshot, match=r"cut\.json: truncated"):
        recorded.read(recorded.snapshots[0])


def test_a_stamp_that_does_not_stand_at_the_head_is_found_all_the_same(tmp_path: Path) -> None:
    raw = json.loads(document(snapshot(0, [pilot()])))
    late = {"pilots": [{**raw["pilots"][0], "remarks": "X" * HEAD_BYTES}], "general": raw["general"]}
    (tmp_path / "late.json").write_text(json.dumps(late))
    recorded = RecordedSnapshots(tmp_path)
    recorded.look()
    assert recorded.snapshots[0].update_ms == NOON_MS


@pytest.mark.parametrize("packed", [True, False])
def test_a_document_over_the_limit_is_refused_without_being_unpacked(tmp_path: Path, packed: bool) -> None:
    content = document(snapshot(0, [pilot()]))[:-1] + b',"filler":"' + b" " * 200_000 + b'"}'
    (tmp_path / "big.json").write_bytes(gzip.compress(content, mtime=0) if packed else content)
    recorded = RecordedSnapshots(tmp_path, max_document_bytes=100_000)
    recorded.look()
    with pytest.raises(UnreadableSnapshot, match="larger than 100,000 bytes"):
        recorded.read(recorded.snapshots[0])


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSnapshot, match="No such file"):
        RecordedSnapshots(tmp_path / "nowhere").look()


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSnapshot, match=r"holds no \*\.json"):
        RecordedSnapshots(tmp_path).look()


def test_a_folder_of_nothing_but_broken_files_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UnreadableSnapshot, match="none is a snapshot"):
        RecordedSnapshots(tmp_path).look()


def test_what_is_added_or_taken_away_is_seen_at_the_next_look(tmp_path: Path) -> None:
    first = put(tmp_path, "first.json", 0)
    recorded = RecordedSnapshots(tmp_path)
    recorded.look()
    put(tmp_path, "second.json", 15)
    first.unlink()
    recorded.look(thoroughly=True)
    assert played(recorded) == ["second.json"]


def test_a_file_that_was_mended_is_read_again(tmp_path: Path) -> None:
    bad = tmp_path / "one.json"
    bad.write_text("{")
    put(tmp_path, "two.json", 15)
    recorded = RecordedSnapshots(tmp_path)
    recorded.look()
    put(tmp_path, "one.json", 0)
    recorded.look(thoroughly=True)
    assert (played(recorded), recorded.broken) == (["one.json", "two.json"], {})


def test_a_file_that_vanishes_before_it_is_read_is_told(tmp_path: Path) -> None:
    path = put(tmp_path, "gone.json", 0)
    recorded = RecordedSnapshots(tmp_path)
    recorded.look()
    path.unlink()
    with pytest.raises(UnreadableSnapshot, match="No such file"):
        recorded.read(recorded.snapshots[0])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    put(tmp_path, "good.json", 0)
    put(tmp_path, "secret.json", 15).chmod(0)
    recorded = RecordedSnapshots(tmp_path)
    recorded.look()
    assert "Permission denied" in recorded.broken["secret.json"]
