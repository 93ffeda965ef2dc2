"""Where an installation keeps its state."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest
from swim_server.daemon.home import SOCKET_PATH_LIMIT, Home, HomeError


def test_home_is_what_the_environment_says(tmp_path: Path) -> None:
    assert Home.default({"SWIM_HOME": str(tmp_path)}).path == tmp_path


def test_tilde_and_relative_paths_are_made_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Home.default({"SWIM_HOME": "~/swim"}).path == tmp_path / "swim"
    monkeypatch.chdir(tmp_path)
    assert Home.default({"SWIM_HOME": "here"}).path == tmp_path / "here"


@pytest.mark.parametrize("environ", [{}, {"SWIM_HOME": ""}])
def test_home_is_the_users_state_folder_otherwise(environ: dict[str, str]) -> None:
    assert Home.default(environ).path.name == "swim"
    assert Home.default(environ).path.is_absolute()


def test_two_homes_share_no_path(tmp_path: Path) -> None:
    names = ("lockfile", "control_socket", "database", "history", "log", "sources")
    deep = tmp_path / ("x" * 200)
    for first, second in ((tmp_path / "a", tmp_path / "b"), (deep / "a", deep / "b")):
        assert not {getattr(Home(first), name) for name in names} & {getattr(Home(second), name) for name in names}


def test_prepared_home_is_its_owners_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "new" / "home")
    home.prepare()
    home.prepare()
    for folder in (home.path, home.sources):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [each.name for each in home.path.iterdir()] == ["sources"]


def test_control_socket_stays_within_the_limit_of_socket_paths(tmp_path: Path) -> None:
    for length in range(SOCKET_PATH_LIMIT - 20, SOCKET_PATH_LIMIT + 20):
        path = Path("/" + "h" * (length - len("/control.sock") - 1))
        control = Home(path).control_socket
        assert len(os.fsencode(control)) <= SOCKET_PATH_LIMIT
        assert (control.parent == path) == (length <= SOCKET_PATH_LIMIT)


def test_path_is_measured_in_bytes(tmp_path: Path) -> None:
    control = Home(Path("/" + "ü" * 60)).control_socket
    assert len(os.fsencode(control)) <= SOCKET_PATH_LIMIT
    assert control.parent.parent == Path(tempfile.gettempdir())


@pytest.fixture
def long_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """One whose control socket lives in a temporary folder, the test's own."""
    short = Path(tempfile.mkdtemp(prefix="s-"))
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    return Home(tmp_path / ("x" * 200))


def test_folder_of_the_socket_is_made_private(long_home: Home) -> None:
    long_home.prepare()
    folder = long_home.control_socket.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert str(os.getuid()) in folder.name


def test_folder_of_the_socket_that_others_may_enter_is_refused(long_home: Home) -> None:
    folder = long_home.control_socket.parent
    folder.mkdir(mode=0o755)
    with pytest.raises(HomeError, match="belongs to another user"):
        long_home.prepare()


def test_folder_of_the_socket_that_is_a_link_is_refused(long_home: Home, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    long_home.control_socket.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HomeError, match="belongs to another user"):
        long_home.prepare()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to somebody else")
def test_folder_of_the_socket_that_somebody_else_made_is_refused(long_home: Home) -> None:
    folder = long_home.control_socket.parent
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    with pytest.raises(HomeError, match="belongs to another user"):
        long_home.prepare()


def test_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(HomeError) as caught:
        Home(tmp_path / "home").prepare()
    assert str(caught.value).startswith(f"can't use {tmp_path}/home as home: ")
    assert str(caught.value).endswith("; set SWIM_HOME to a folder that you may write to")


@pytest.mark.parametrize("path", ["/dev/null/swim", "/proc/swim"])
def test_home_that_cannot_be_made_is_refused(path: str) -> None:
    with pytest.raises(HomeError, match=f"can't use {path} as home: "):
        Home(Path(path)).prepare()


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_home_that_is_not_writable_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    with pytest.raises(HomeError, match="Permission denied"):
        Home(home).prepare()
