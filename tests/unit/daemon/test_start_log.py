"""The log of starts: bounded, and readable whatever happened to it."""

from __future__ import annotations

from pathlib import Path

from swim_server.daemon.start_log import KEPT_STARTS, Start, read_starts, record_start


def test_starts_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "starts.jsonl"
    assert read_starts(path) == []
    starts = [Start(1.5, 1, "start"), Start(2.5, 2, "after-crash"), Start(3.5, 3, "restart")]
    for start in starts:
        record_start(path, start)
    assert read_starts(path) == starts


def test_diary_stays_short(tmp_path: Path) -> None:
    path = tmp_path / "starts.jsonl"
    for number in range(3 * KEPT_STARTS):
        record_start(path, Start(float(number), number, "start"))
    kept = read_starts(path)
    assert len(kept) <= 2 * KEPT_STARTS
    assert kept[-1].pid == 3 * KEPT_STARTS - 1


def test_torn_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "starts.jsonl"
    record_start(path, Start(1.0, 1, "start"))
    with path.open("ab") as file:
        file.write(b'{"at": 2.0, "pi\n\xff\n')
    record_start(path, Start(3.0, 3, "restart"))
    assert [each.pid for each in read_starts(path)] == [1, 3]
