"""Replaying a folder of snapshots that has none to play."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from swimctl.errors import CommandFailed
from swimctl.replaying.sinks import LineSink
from swimctl.replaying.sources import play_snapshots


@pytest.mark.parametrize("content", ["{}", "[", "\ufeff{}"], ids=["no snapshot", "cut off", "byte order mark"])
def test_folder_whose_files_are_no_snapshots_ends_with_an_error(tmp_path: Path, content: str) -> None:
    """The source would wait for one to come; a command must end, and write nothing on standard output."""
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    stream = io.StringIO()
    with pytest.raises(CommandFailed, match="none is a snapshot"):
        play_snapshots(tmp_path, 0, LineSink(stream))
    assert stream.getvalue() == ""
