"""Sessions in memory on virtual time, for code that reads streams: each plays its script."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from support.virtual_clock import VirtualClock

from swimctl.client.session import SessionLost
from swimctl.errors import DaemonNotRunning


class MemorySession:
    """Returns its messages in order; an exception among them is raised; then silence."""

    def __init__(self, clock: VirtualClock, messages: list[Mapping[str, Any] | Exception]) -> None:
        self.sent: list[Mapping[str, Any]] = []
        self.is_closed = False
        self.messages = deque(messages)
        self.on_status: Callable[[], Mapping[str, Any] | None] = lambda: {"catching_up": False}
        """The answer to a ``status`` action; None: no answer."""
        self._clock = clock

    def send(self, message: Mapping[str, Any]) -> None:
        self.sent.append(message)
        if message.get("action") == "status" and (data := self.on_status()) is not None:
            self.messages.append({"type": "status", "data": data})

    def receive(self, timeout: float | None = None) -> bytes | None:
        if not self.messages:
            self._clock.block(max(timeout or 0.0, 0.001))
            return None
        message = self.messages.popleft()
        if isinstance(message, Exception):
            raise message
        return json.dumps(message).encode()

    def request(self, method: str, params: Mapping[str, Any] | None = None) -> int:
        self.sent.append({"method": method})
        return 1

    def close(self) -> None:
        self.is_closed = True


class Dialler:
    """Opens one scripted session after the other; None means that nobody answers."""

    def __init__(self, sessions: list[MemorySession | Exception | None]) -> None:
        self.attempts = 0
        self._sessions = deque(sessions)

    def __call__(self) -> Any:
        self.attempts += 1
        session = self._sessions.popleft() if self._sessions else None
        if session is None:
            raise DaemonNotRunning
        if isinstance(session, Exception):
            raise session
        return session


CONNECTED = {"type": "connected", "timestamp": "t", "data": {"tier": "local", "client_id": "client_0"}}


def subscribed(newest: int | None = None, *, gap: bool = False) -> dict[str, Any]:
    """Return the answer to a subscribe; ``newest`` is the number of the newest stored event."""
    return {"type": "subscribed", "channels": [], "filters": {}, "last_event_id": id_of(newest), "gap": gap}


def event(number: int, type: str = "flight.departed", **data: Any) -> dict[str, Any]:
    """Return a numbered event."""
    return {"type": type, "timestamp": "2026-01-16T14:30:15.000Z", "id": id_of(number), "data": data}


def id_of(number: int | None) -> str | None:
    """Return the id of a numbered event."""
    return None if number is None else f"1768573815000-{number}"


def lost(code: int | None = 1012, reason: str = "") -> SessionLost:
    """Return the end of a connection."""
    return SessionLost(code, reason)
