"""The folder in which one installation keeps its state. Two homes share nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from swim_server.errors import OperatorError

LAST_RESORT = "/tmp"  # every system has this short, writable folder; ours in it is checked to be ours
SOCKET_NAME = "control.sock"
SOCKET_PATH_LIMIT = 100
"""Maximum length of a Unix socket's path in bytes on every supported system (Linux: 107)."""


class HomeError(OperatorError):
    """The home can't be used."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return f"can't use {self.path} as home: {self.reason}; set SWIM_HOME to a folder that you may write to"


def expand_user(text: str) -> Path:
    """Expand a path that may begin with ``~``. Raises HomeError if there is no such home."""
    try:
        return Path(text).expanduser()
    except (RuntimeError, KeyError):
        raise HomeError(Path(text), "~ can't be resolved: write the full path") from None


class Home:
    """The paths of one installation."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @classmethod
    def default(cls, environ: Mapping[str, str]) -> Home:
        """Return the home: ``SWIM_HOME``, else the user's state directory for ``swim``."""
        configured = environ.get("SWIM_HOME")
        if configured:
            return cls(expand_user(configured))
        from platformdirs import user_state_path

        try:
            found = user_state_path("swim")
        except (RuntimeError, KeyError):
            found = Path("~")
        if not found.is_absolute():
            raise HomeError(found, "this user has no home: HOME is not set, and the list of users has no home for it")
        return cls(found)

    @property
    def lockfile(self) -> Path:
        return self.path / "swim.lock"

    @property
    def control_socket(self) -> Path:
        """The control socket's path; in a temporary directory if the home's path is too long for one."""
        path = self.path / SOCKET_NAME
        return path if _is_short(path) else self._temporary_socket()

    def _temporary_socket(self) -> Path:
        import hashlib
        import tempfile

        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        folders = [Path(each) / f"swim-{os.getuid()}-{digest}" for each in (tempfile.gettempdir(), LAST_RESORT)]
        paths = [folder / SOCKET_NAME for folder in folders]
        return next(filter(_is_short, paths), paths[-1])

    def remove_control_socket(self) -> None:
        """Remove the control socket's name, and the folder created only for it. Idempotent."""
        self.control_socket.unlink(missing_ok=True)
        if self.control_socket.parent != self.path:
            with contextlib.suppress(OSError):  # another process has put something into it: it stays
                self.control_socket.parent.rmdir()

    @property
    def database(self) -> Path:
        return self.path / "swim.db"

    @property
    def history(self) -> Path:
        return self.path / "history.db"

    @property
    def state(self) -> Path:
        """Path of the newest checkpoint of the world; the previous one is beside it."""
        return self.path / "state.checkpoint"

    @property
    def operator_token(self) -> Path:
        """Path of the token with which Prometheus reads the metrics."""
        return self.path / "operator.token"

    @property
    def dashboard(self) -> Path:
        """The file that ``swimctl dashboard`` has a browser open: a form with a single-use token."""
        return self.path / "dashboard.html"

    @property
    def log(self) -> Path:
        return self.path / "swim.log"

    @property
    def starts(self) -> Path:
        """Path of the log of starts."""
        return self.path / "starts.jsonl"

    @property
    def sources(self) -> Path:
        """Folder in which sources keep their state over a restart."""
        return self.path / "sources"

    def prepare(self) -> None:
        """Create the folders, accessible to their owner only. Raises HomeError."""
        try:
            for folder in (self.path, self.sources, self.control_socket.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_socket_folder()
            probe = self.path / f".write-{os.getpid()}"
            probe.touch(mode=0o600)
            probe.unlink()
        except OSError as error:
            raise HomeError(self.path, error.strerror or str(error)) from None

    def _check_socket_folder(self) -> None:
        """Refuse a folder for the control socket that another user created in a place writable by everyone."""
        folder = self.control_socket.parent
        if folder != self.path:
            found = folder.lstat()
            if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
                raise HomeError(self.path, f"{folder}, which holds its control socket, belongs to another user")


def _is_short(path: Path) -> bool:
    return len(os.fsencode(path)) <= SOCKET_PATH_LIMIT
