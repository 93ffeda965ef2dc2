from __future__ import annotations

from pathlib import Path

import pytest
from swim_server.files.installation import FILE_NAME, read_installation, write_installation


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert read_installation(tmp_path) is None
    write_installation(tmp_path, "0123456789abcdef")
    assert read_installation(tmp_path) == "0123456789abcdef"


@pytest.mark.parametrize("place", range(0, 25, 3))
def test_a_name_that_rotted_is_none(tmp_path: Path, place: int) -> None:
    write_installation(tmp_path, "0123456789abcdef")
    content = bytearray((tmp_path / FILE_NAME).read_bytes())
    content[place] ^= 1
    (tmp_path / FILE_NAME).write_bytes(content)
    assert read_installation(tmp_path) is None
