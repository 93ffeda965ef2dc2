"""The running daemon as its control socket shows it: how to find it, and how to ask it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from swimctl.client.answers import read_answer
from swimctl.client.session import (
    ANSWER_TIMEOUT_SECONDS,
    OPEN_TIMEOUT_SECONDS,
    RpcFailed,
    Session,
    SessionLost,
    decode,
)
from swimctl.errors import CommandFailed, DaemonNotRunning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swim_server.daemon.home import Home
    from swim_server.daemon.lockfile import LockInfo

T = TypeVar("T")

__all__ = ["ControlClient", "DaemonNotRunning", "RpcFailed", "SessionLost"]

STARTING_SECONDS = 5.0
"""How long a daemon that holds the lock may take until its control socket answers."""
PAUSE_SECONDS = 0.05


class ControlClient:
    """A session with the daemon of one home."""

    def __init__(self, session: Session, info: LockInfo | None) -> None:
        self.session = session
        self.info = info
        """The lockfile's content when the daemon was found."""

    @classmethod
    def connect(
        cls,
        home: Home,
        timeout: float = STARTING_SECONDS,
        open_timeout: float = OPEN_TIMEOUT_SECONDS,
        *,
        light: bool = False,
    ) -> Self:
        """Connect to the daemon of a home; wait if it is just starting. ``light``: see ``Session``.

        Raises DaemonNotRunning if the lock is free, CommandFailed if its holder does not answer.
        """
        from swim_server.daemon.lockfile import Lockfile

        lockfile = Lockfile(home.lockfile)
        deadline = time.monotonic() + timeout
        while True:
            if not lockfile.is_held():
                raise not_running(home)
            info = lockfile.read()
            try:
                path = Path(info.control) if info is not None and info.control else home.control_socket
                session = Session.open_light(path, open_timeout) if light else Session.open_unix(path, open_timeout)
                break
            except _unanswered(light=light) as error:
                if isinstance(error, PermissionError) or time.monotonic() >= deadline:
                    raise _silent(info, error) from None
            time.sleep(PAUSE_SECONDS)
        return cls(session, info)

    def greet(self, timeout: float = ANSWER_TIMEOUT_SECONDS) -> dict[str, Any]:
        """Receive the ``connected`` message, the first on every connection."""
        payload = self.session.receive(timeout)
        if payload is None:
            raise _silent(self.info, None)
        return decode(payload)

    def call(
        self, method: str, params: Mapping[str, Any] | None = None, timeout: float = ANSWER_TIMEOUT_SECONDS
    ) -> Any:
        """Call a method and wait for its answer. Raises RpcFailed, SessionLost; CommandFailed on a timeout."""
        return self.session.call(method, params, timeout)

    def ask(
        self,
        method: str,
        shape: type[T],
        params: Mapping[str, Any] | None = None,
        timeout: float = ANSWER_TIMEOUT_SECONDS,
    ) -> T:
        """Call a method and decode its answer. Raises what ``call`` raises, and UnreadableAnswer."""
        return read_answer(method, self.call(method, params, timeout), shape)

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _unanswered(*, light: bool) -> tuple[type[Exception], ...]:
    """Return the errors raised when no daemon answers; ``websockets`` is imported only if it was used."""
    if light:
        return (OSError,)
    from websockets.exceptions import WebSocketException

    return (OSError, WebSocketException)


def not_running(home: Home) -> DaemonNotRunning:
    """Return the error for a home without a running daemon."""
    return DaemonNotRunning(f"the daemon is not running in {home.path}")


def _silent(info: LockInfo | None, error: BaseException | None) -> CommandFailed:
    who = f"pid {info.pid}" if info is not None else "its pid is not known"
    reason = f": {error}" if error is not None and str(error) else ""
    return CommandFailed(
        f"the daemon ({who}) is running but does not answer on its control socket{reason}",
        "see what it is doing with swimctl logs, or stop it with swimctl stop",
    )
