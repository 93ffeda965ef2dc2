"""Files that others may have planted under a name are not opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from swim_server.files.opening import UnsafeFile, follow_own_links, look_at, open_new, open_to_append, open_to_read


def plant_link(path: Path) -> None:
    target = path.with_name("target")
    target.write_text("secret")
    path.symlink_to(target)


def plant_second_name(path: Path) -> None:
    target = path.with_name("target")
    target.write_text("secret")
    path.hardlink_to(target)


PLANTED: dict[str, Callable[[Path], None]] = {
    "a symbolic link": plant_link,
    "a FIFO": lambda path: os.mkfifo(path),
    "a folder": Path.mkdir,
    "a file with a hard link elsewhere": plant_second_name,
}


@pytest.mark.parametrize("open_it", [open_to_read, open_to_append, look_at])
@pytest.mark.parametrize("kind", PLANTED)
def test_what_is_no_file_of_its_own_is_refused_at_once(
    tmp_path: Path, kind: str, open_it: Callable[[Path], object]
) -> None:
    path = tmp_path / "name"
    PLANTED[kind](path)
    with pytest.raises(UnsafeFile, match=kind) as raised:
        open_it(path)
    assert (raised.value.path, raised.value.reason) == (path, kind)
    target = tmp_path / "target"
    assert not target.exists() or target.read_text() == "secret"


def test_a_file_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "name"
    with open_to_append(path) as file:
        file.write(b"one")
    with open_to_append(path) as file:
        file.write(b"two")
    with open_to_read(path) as file:
        assert file.read() == b"onetwo"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_shared_file_may_be_read_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "name"
    plant_second_name(path)
    with open_to_read(path, may_have_links=True) as file:
        assert file.read() == b"secret"


def test_a_file_that_is_missing_is_no_unsafe_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_to_read(tmp_path / "name")


@pytest.mark.parametrize("kind", PLANTED)
def test_a_new_file_is_made_over_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "name"
    PLANTED[kind](path)
    with pytest.raises(FileExistsError):
        open_new(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of another user")
def test_a_file_of_another_user_is_not_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "name"
    path.write_text("theirs")
    os.chown(path, 65534, 65534)
    with pytest.raises(UnsafeFile, match="another user"):
        open_to_append(path)
    with open_to_read(path) as file:
        assert file.read() == b"theirs"


def test_links_of_our_own_are_followed_to_their_end(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("x")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to(tmp_path / "target")
    assert follow_own_links(tmp_path / "one") == tmp_path / "target"
    assert follow_own_links(tmp_path / "missing") == tmp_path / "missing"
    (tmp_path / "round").symlink_to("round")
    assert follow_own_links(tmp_path / "round") == tmp_path / "round"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a link of another user")
def test_a_link_of_another_user_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("x")
    (tmp_path / "link").symlink_to("target")
    os.lchown(tmp_path / "link", 65534, 65534)
    assert follow_own_links(tmp_path / "link") == tmp_path / "link"
