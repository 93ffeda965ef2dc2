"""A replaced file is whole at every moment, on the disk when done, and still has its owner."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from swim_server.files.opening import UnsafeFile
from swim_server.files.replacing import put_in_place, rename_durably, replace_durably


def test_a_new_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    replace_durably(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_mode_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    replace_durably(path, b"new", mode=0o600)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o640)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_leaves_a_file_to_its_owner(tmp_path: Path) -> None:
    path, main = tmp_path / "file", tmp_path / "main"
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)
    replace_durably(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)
    main.write_bytes(b"main")
    os.chown(main, 0, 2345)
    main.chmod(0o640)
    replace_durably(tmp_path / "local", b"new", like=main)
    found = (tmp_path / "local").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, 2345, 0o640)
    os.chown(tmp_path, 1234, 2345)
    replace_durably(tmp_path / "first", b"new")
    assert (tmp_path / "first").stat().st_uid == 1234, "the home's owner has what root makes in it"


def test_the_operator_s_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to("folder/target")
    replace_durably(link, b"new", follows_link=True)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_link_is_refused_where_nobody_asked_to_follow_it(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with pytest.raises(UnsafeFile):
        replace_durably(link, b"new")
    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]


def test_a_planted_name_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    put_in_place(link, b"ours")
    assert target.read_bytes() == b"old"
    assert not link.is_symlink()
    assert link.read_bytes() == b"ours"


def test_a_name_is_changed_over_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    rename_durably(tmp_path / "a", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b").read_bytes() == b"a"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace shows what is synced, and is not installed")
def test_file_and_folder_are_synced_around_the_rename(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from swim_server.files.replacing import replace_durably;"
        "replace_durably(Path(sys.argv[1]), b'x')"
    )
    trace = tmp_path / "trace"
    calls = ["strace", "-f", "-o", str(trace), "-e", "trace=fsync,rename,renameat,renameat2"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    subprocess.run([*calls, sys.executable, "-c", code, str(tmp_path / "file")], check=True, env=environ)
    names = [line.split(maxsplit=1)[1].partition("(")[0] for line in trace.read_text().splitlines() if "(" in line]
    assert [name for name in names if name in {"fsync", "rename", "renameat", "renameat2"}] in (
        ["fsync", "rename", "fsync"], ["fsync", "renameat", "fsync"], ["fsync", "renameat2", "fsync"],
    )  # fmt: skip
